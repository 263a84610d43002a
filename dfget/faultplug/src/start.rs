//! Faults between the start of the process and the handshake line.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::TcpListener,
    os::unix::{fs::symlink, net::UnixListener},
    process::exit,
    thread,
};

use nix::sys::signal::{Signal, raise};
use plugin_proto::limits;
use rustix::stdio::dup2_stdout;

use crate::{linger, socket_dir};

/// Handshake lines with one wrong field each. A socket listens at `{socket}`, and tells if anybody connects.
const LINES: &[(&str, &str)] = &[
    ("fields3", "1|1|unix"),
    ("fields4", "1|1|unix|{socket}"),
    ("fields8", "1|1|unix|{socket}|grpc||false|8"),
    ("core2", "2|1|unix|{socket}|grpc|"),
    ("overflow", "1|4294967296|unix|{socket}|grpc|"),
    ("endless-number", "1|99999999999999999999999999999999|unix|{socket}|grpc|"),
    ("signed", "1|+1|unix|{socket}|grpc|"),
    ("spaces", "1| 1 |unix|{socket}|grpc|"),
    ("version0", "1|0|unix|{socket}|grpc|"),
    ("version2", "1|2|unix|{socket}|grpc|"),
    ("npipe", "1|1|npipe|{socket}|grpc|"),
    ("no-address", "1|1|unix||grpc|"),
    ("space-address", "1|1|unix|{socket} |grpc|"),
    ("netrpc", "1|1|unix|{socket}|netrpc|"),
    ("certificate", "1|1|unix|{socket}|grpc|TUlJ"),
    ("multiplex", "1|1|unix|{socket}|grpc||maybe"),
    ("escaped-field", "1|\x1b[2J|unix|{socket}|grpc|"),
    ("tcp", "1|1|tcp|{tcp}|grpc|"),
    ("relative", "1|1|unix|plugin1|grpc|"),
    ("abstract", "1|1|unix|@plugin1|grpc|"),
    ("too-long", "1|1|unix|{long}|grpc|"),
    ("outside", "1|1|unix|/run/plugin1|grpc|"),
    ("parent", "1|1|unix|{dir}/../{name}/plugin1|grpc|"),
    ("symlink", "1|1|unix|{link}|grpc|"),
    ("no-socket", "1|1|unix|{file}|grpc|"),
    ("missing", "1|1|unix|{dir}/plugin2|grpc|"),
];

/// Commits `fault`, if it is one of these. Returns where the plugin is to go on: otherwise, and after a banner.
pub(crate) fn play(fault: &str) {
    if let Some((_, line)) = LINES.iter().find(|(name, _)| *name == fault) {
        write_line(line);
    }
    match fault {
        "exit0" => exit(0),
        "exit3" => leave("no credentials\n", 3),
        "exit-verbose" => leave("1\n2\n3\n4\n5\n6\n\x1b[31mred\x1b[0m\n", 1),
        "segv" => die(Signal::SIGSEGV),
        "killed" => die(Signal::SIGKILL),
        "hang" => linger(),
        "partial" => say(b"1|1|unix|/tmp"),
        "close-stdout" => close_stdout(),
        "banner" => write(b"loading config\n\x1b[1mready\x1b[0m\n"),
        "banner-longest" => write(&b"banner\n".repeat(limits::BANNER_LINES)),
        "banner-flood" => say(&b"banner\n".repeat(limits::BANNER_LINES + 1)),
        "banner-bytes" => say(&[vec![b'b'; limits::HANDSHAKE_LINE - 1], b"\n".to_vec()].concat().repeat(9)),
        "banner-endless" => babble(b"banner\n"),
        "line-huge" => babble(&[b'x'; 64 * 1024]),
        "nul" => say(b"1|1|unix|/a\0b|grpc|\n"),
        "no-utf8" => say(b"1|1|unix|/\xff\xfe|grpc|\n"),
        "escapes" => say(b"\x1b]0;owned\x07\x1b[2J 1|1\xff\n"),
        _ => {}
    }
}

fn leave(words: &str, status: i32) -> ! {
    eprint!("{words}");
    exit(status)
}

/// More than once: Rust's own handler for SIGSEGV takes the first one for a stack that is well.
fn die(signal: Signal) -> ! {
    loop {
        let _ = raise(signal);
    }
}

fn write(bytes: &[u8]) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

fn say(bytes: &[u8]) -> ! {
    write(bytes);
    linger()
}

/// A line of 1 GiB, or as many lines as make that.
fn babble(bytes: &[u8]) -> ! {
    (0..1024 * 1024 * 1024 / bytes.len()).for_each(|_| write(bytes));
    linger()
}

fn close_stdout() -> ! {
    let null = File::options().write(true).open("/dev/null");
    null.and_then(|null| Ok(dup2_stdout(null)?)).expect("/dev/null takes the place of stdout");
    linger()
}

fn write_line(line: &str) -> ! {
    let directory = socket_dir();
    let (socket, link, file) =
        (format!("{directory}/plugin1"), format!("{directory}/link1"), format!("{directory}/file1"));
    let listener = UnixListener::bind(&socket).expect("the host made the directory");
    thread::spawn(move || tell_of(listener.accept().is_ok()));
    let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = tcp.local_addr().expect("it is bound").to_string();
    thread::spawn(move || tell_of(tcp.accept().is_ok()));
    symlink(&socket, &link).and_then(|()| fs::write(&file, "")).expect("the directory is writable");
    let long = format!("{directory}/{}", "x".repeat(limits::SOCKET_PATH));
    let line = line.replace("{socket}", &socket).replace("{tcp}", &address).replace("{long}", &long);
    let line = line.replace("{link}", &link).replace("{file}", &file).replace("{dir}", &directory);
    let line = line.replace("{name}", directory.rsplit('/').next().unwrap_or_default());
    say(format!("{line}\n").as_bytes())
}

/// Among a dead plugin's last words the test finds this.
fn tell_of(connected: bool) {
    if connected {
        eprintln!("somebody connected");
    }
}
