//! Every byte of every size.

use std::{fs::File, io::Write};

use faultplug::Content;

use crate::harness::{Digest, TestEnv, program};

const KIB: u64 = 1024;
const CHUNK: u64 = 64 * KIB;

/// The largest one: many HTTP/2 windows.
const LARGE: u64 = 64 * KIB * KIB;

const SIZES: [u64; 9] =
    [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 256 * KIB - 1, 256 * KIB + 1, KIB * KIB, 3 * KIB * KIB + 17];

#[test]
fn a_plugin_delivers_every_size() {
    let test = TestEnv::new();
    for size in SIZES.into_iter().chain([LARGE]) {
        test.get(&format!("good://h/file?size={size}&seed={size}")).arg("--overwrite").run().succeeded();
    }
}

#[test]
fn a_plugin_delivers_every_chunk_size() {
    let test = TestEnv::new();
    for chunk in [1, 999, CHUNK, KIB * KIB, 3 * KIB * KIB] {
        let url = format!("good://h/file?size={}&chunk={chunk}", if chunk == 1 { 5000 } else { 3_000_000 });
        test.get(&url).arg("--overwrite").run().succeeded();
    }
}

#[test]
fn a_plugin_that_does_not_know_the_length_delivers_every_size() {
    let test = TestEnv::new();
    for size in SIZES {
        test.get(&format!("good://h/file?size={size}&no-length")).arg("--overwrite").run().succeeded();
    }
}

#[test]
fn a_piece_length_is_of_no_use_where_the_length_is_unknown_and_does_no_harm() {
    let test = TestEnv::new();
    test.get("good://h/file?size=3000000&no-length").args(&["--piece-length", "1M"]).run().succeeded();
}

#[test]
fn share_delivers_every_size() {
    let test = TestEnv::new();
    test.install_into("plugins", &program("d7y-resource-plugin-share"), "share");
    let root = format!("root={}", test.root().display());
    for size in SIZES.into_iter().chain([LARGE]) {
        let content = Content { seed: 5, size };
        write(&test, content);
        let run = test.get("share:///resource").output("file").args(&["--overwrite", "--opt", &root]);
        run.expect(Digest::of_content(content)).run().succeeded();
    }
}

fn write(test: &TestEnv, content: Content) {
    let mut file = File::create(test.path("resource")).unwrap();
    for start in (0..content.size).step_by(KIB as usize * KIB as usize) {
        file.write_all(&content.bytes(start..(start + KIB * KIB).min(content.size))).unwrap();
    }
}

#[test]
fn the_first_plugin_says_hello() {
    let test = TestEnv::new();
    test.install_into("plugins", &program("d7y-resource-plugin-d7yfs"), "d7yfs");
    let run = test.get("d7yfs://host:56001/path/to/resource").output("copy");
    run.expect(Digest::of_bytes(b"hello world")).run().succeeded();
}
