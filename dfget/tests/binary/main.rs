//! dfget as its users meet it: the binary, its plugins as processes of their own, and everything they do wrong.
//!
//! * [`harness`]: two lines a test, and what must hold after every run
//! * the others: what is tested, by the rows of the fault matrix
//!
//! `faultplug` is the plugin of nearly all of them. The scheme of a URL is the fault with which it starts, the query
//! the one with which it runs.

#![allow(clippy::unwrap_used, reason = "all of this is tests, functions that they share included")]

mod harness;

mod connection;
mod crash;
mod floods;
mod handshake;
mod http;
mod list;
mod output;
mod resume;
mod secrets;
mod signals;
mod sizes;
mod stall;
mod start;
mod status;
mod stream;
