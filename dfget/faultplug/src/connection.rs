//! Faults behind a good handshake line: what listens there is no gRPC server, or not this user's.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{
            fs::chown,
            net::{UnixListener, UnixStream},
        },
    },
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
#[cfg(target_os = "linux")]
use rustix::{process::Uid, thread::set_thread_res_uid};

use crate::{linger, socket_dir};

/// A user that nobody is.
const FOREIGNER: u32 = 54_321;

/// Commits `fault`, if it is one of these.
pub(crate) fn play(fault: &str) {
    match fault {
        // The kernel connects whoever comes; nobody answers.
        "silent" => hold(&listening()),
        "not-listening" => hold(&bound()),
        "closes" => serve(|_| {}),
        "http1" => serve(|mut client| {
            answer(&mut client, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }),
        "garbage" => serve(|mut client| answer(&mut client, &[0x5a; 4096])),
        "foreign-socket" => {
            let listener = listening();
            chown(path(), Some(FOREIGNER), None).expect("only root can give files away");
            hold(&listener)
        }
        #[cfg(target_os = "linux")]
        "foreign-peer" => listen_as_foreigner(),
        _ => {}
    }
}

fn path() -> String {
    format!("{}/plugin1", socket_dir())
}

fn bound() -> OwnedFd {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    let address = SocketAddrUnix::new(path()).expect("the path is short");
    bind(&socket, &address).expect("the host made the directory");
    socket
}

fn listening() -> OwnedFd {
    let socket = bound();
    listen(&socket, 8).expect("it is bound");
    socket
}

fn greet() {
    println!("1|1|unix|{}|grpc|", path());
}

/// The socket stays open, as its owner never goes on.
fn hold(_: &OwnedFd) -> ! {
    greet();
    linger()
}

fn serve(answer: impl Fn(UnixStream)) -> ! {
    let listener = UnixListener::from(listening());
    greet();
    listener.incoming().flatten().for_each(answer);
    linger()
}

/// Answers and keeps the connection open until the other end has closed it.
fn answer(client: &mut UnixStream, bytes: &[u8]) {
    let _ = client.write_all(bytes);
    let _ = client.shutdown(Shutdown::Write);
    let _ = client.read_to_end(&mut Vec::new());
}

#[cfg(target_os = "linux")]
/// The kernel notes who calls `listen`: that is the peer that the host sees.
fn listen_as_foreigner() -> ! {
    let socket = bound();
    let foreigner = Uid::from_raw(FOREIGNER);
    set_thread_res_uid(foreigner, foreigner, foreigner).expect("only root can become somebody else");
    listen(&socket, 8).expect("it is bound");
    hold(&socket)
}
