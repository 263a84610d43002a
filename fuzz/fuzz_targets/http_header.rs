#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dfget::fuzzing::http_header(bytes));
