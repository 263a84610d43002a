//! A server that takes no connection, as Linux lets one be.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::{
    io::ioctl_fionbio,
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with},
};

use crate::harness::TestEnv;

/// A listener whose queue is full answers nobody.
fn deaf() -> (OwnedFd, Vec<OwnedFd>, u16) {
    let socket = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    let listener = socket();
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&listener, 0).unwrap();
    let address = SocketAddrV4::try_from(getsockname(&listener).unwrap()).unwrap();
    let waiting = std::iter::repeat_with(|| {
        let caller = socket();
        ioctl_fionbio(&caller, true).unwrap();
        // It is under way, or in the queue already.
        let _ = connect(&caller, &address);
        caller
    });
    let waiting = waiting.take(4).collect();
    (listener, waiting, address.port())
}

#[test]
fn who_does_not_take_a_connection_is_given_up_after_the_time_that_was_said() {
    let (_listener, _waiting, port) = deaf();
    let url = format!("http://127.0.0.1:{port}/file");
    let run = TestEnv::new().get(&url).output("file").args(&["--connect-timeout", "300ms"]).run();
    let fact = format!("cannot connect to 127.0.0.1:{port} in the time of --connect-timeout");
    run.failed(22, &format!("dfget: {url}: {fact}\n  hint: try again later"));
}
