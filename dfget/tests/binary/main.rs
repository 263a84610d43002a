//! dfget as its users meet it: the binary, its plugins as processes of their own, and everything they do wrong.
//!
//! * [`harness`]: two lines a test, and what must hold after every run
//! * the others: what is tested, by the rows of the fault matrix
//!
//! `faultplug` is the plugin of nearly all of them. The scheme of a URL is the fault with which it starts, the query
//! the one with which it runs.

#![allow(clippy::unwrap_used, reason = "all of this is tests, functions that they share included")]

#[path = "../harness/harness.rs"]
mod harness;

mod config;
mod connection;
mod crash;
mod data_socket;
#[cfg(target_os = "linux")]
mod descendants;
#[cfg(target_os = "linux")]
mod disk;
mod events;
mod floods;
mod handshake;
mod histories;
mod hostile;
mod http;
mod isolate;
mod levels;
mod life_line;
mod list;
mod locked;
mod many;
mod modified;
mod mtls;
mod output;
mod phases;
mod reattach;
#[cfg(target_os = "linux")]
mod resources;
mod restart;
mod resume;
mod rivals;
#[cfg(target_os = "linux")]
mod sandbox;
mod secrets;
#[cfg(target_os = "linux")]
mod shared_memory;
mod signals;
mod sizes;
mod stall;
mod start;
mod status;
mod stream;
mod surroundings;
mod tree;
mod trust;
mod validate;
