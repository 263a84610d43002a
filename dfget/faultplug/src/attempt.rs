//! What a plugin may not be allowed to do, tried on demand: refused, the download is; allowed, it is complete.
//!
//! | in the query | what it tries |
//! |---|---|
//! | `write=PATH`, `read=PATH`, `list=PATH` | to write to a file, to read one, to list a directory |
//! | `signal-host` | to signal its host |
//! | `look` | to look into its host's memory, as a debugger does |
//! | `connect=PORT` | to connect to a port of this machine |
//! | `udp` | to make a socket for datagrams |
//! | `abstract=NAME` | to connect to an abstract socket |
//! | `allocate=N` | to use so many bytes of memory |
//! | `open=N` | to have so many files open |

use std::{
    fs::{self, File},
    io,
    net::{TcpStream, UdpSocket},
};

use faultplug::query;
use plugin_sdk::Error;
use rustix::process::{Signal, getppid, kill_process};

type Attempt = fn(&str) -> io::Result<()>;

/// Tries all that the query of `url` has.
pub(crate) fn all(url: &str) -> Result<(), Error> {
    let attempts: [(&str, Attempt); 10] = [
        ("write", |path| fs::write(path, "written")),
        ("read", |path| fs::read(path).map(drop)),
        ("list", |path| fs::read_dir(path).map(drop)),
        ("signal-host", |_| Ok(kill_process(getppid().expect("a host"), Signal::CONT)?)),
        ("look", |_| File::open(format!("/proc/{}/mem", getppid().expect("a host").as_raw_nonzero())).map(drop)),
        ("connect", |port| TcpStream::connect(format!("127.0.0.1:{port}")).map(drop)),
        ("udp", |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("abstract", connect_abstract),
        ("allocate", |bytes| allocate(bytes.parse().unwrap_or_default())),
        ("open", |files| open(files.parse().unwrap_or_default())),
    ];
    attempts.iter().try_for_each(|(key, attempt)| match query::value(url, key).map(attempt) {
        Some(Err(error)) => Err(Error::PermissionDenied(format!("{key}: {error}"))),
        _ => Ok(()),
    })
}

#[cfg(target_os = "linux")]
fn connect_abstract(name: &str) -> io::Result<()> {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    };
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Each page of it is used.
fn allocate(bytes: usize) -> io::Result<()> {
    let memory = vec![1_u8; bytes];
    drop(std::hint::black_box(memory));
    Ok(())
}

fn open(files: usize) -> io::Result<()> {
    (0..files).map(|_| File::open("/dev/null")).collect::<io::Result<Vec<_>>>().map(drop)
}
