//! Write a source plugin for dfget: implement [`ResourceClient`], hand it to [`serve`], name the executable
//! `d7y-resource-plugin-<scheme>`, and put it into a plugin directory.
//!
//! This is a whole plugin; `dfget -u motd://today` fetches it:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use plugin_sdk::{
//!     Attributes, Download, DownloadRequest, Error, Metadata, Request, ResourceClient, async_trait, serve,
//! };
//!
//! struct Motd;
//!
//! #[async_trait]
//! impl ResourceClient for Motd {
//!     async fn metadata(&self, _: &Request) -> Result<Metadata, Error> {
//!         let length = std::fs::metadata("/etc/motd")?.len();
//!         Ok(Metadata { content_length: Some(length), support_range: true, ..Metadata::default() })
//!     }
//!
//!     async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
//!         Download::from_bytes(std::fs::read("/etc/motd")?, request.range)
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     serve(Attributes::of_scheme("motd").with("vendor", "me"), |_options| Ok(Motd))
//! }
//! ```
//!
//! What to know beyond that:
//!
//! * **Bodies.** [`Body`] is made from bytes, a file, an async reader, a library's stream, or a task that sends
//!   ([`Body::produce`]). A body that fails, panics or ends short of what [`Opened`] announced is an error for the
//!   host, never a short file.
//! * **Errors.** [`Error`]'s variants are what the host can do about it; choose the right one and retries, exit codes
//!   and messages are right. `?` works on [`std::io::Error`].
//! * **Logs.** Use `tracing`: events appear in dfget's log under the plugin's name (`-v`). `println!` is harmless.
//! * **Debuggers.** Started by hand with `--debug` the plugin waits for dfget, and prints how that connects to it:
//!   `docs/DEBUGGING.md`.
//! * **Panics** in a method or in a [`Body::produce`] task end that one call; the plugin goes on.
//! * **The start.** A plugin is started for each run of dfget. On Linux a program at a fixed address starts sooner, since
//!   no pointers in it need be relocated; Go links its programs so by default. In `build.rs`:
//!   `println!("cargo::rustc-link-arg-bins=-no-pie");`, but not for musl nor with `crt-static`; that of `examples/share`
//!   looks. Stack, heap and libraries stay where the kernel likes. And a source that never blocks starts sooner with
//!   [`serve_on_one_thread`].
//! * **Tests.** `conformance::check`, behind the feature `conformance`, holds the finished executable to PROTOCOL.md.
//! * **The same type** is an in-tree source when it is registered in dfget instead of handed to [`serve`].

mod attributes;
mod body;
mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod resource;
mod serve;
pub mod tls;
pub mod wire;

pub use async_trait::async_trait;
pub use attributes::{Attributes, Options};
pub use body::{Body, BodyEvent, BodySender, CHUNK, Cancelled, Download, Opened};
pub use bytes::Bytes;
pub use client::ResourceClient;
pub use error::Error;
pub use resource::{Digest, DownloadRequest, Entry, Header, Metadata, Range, Request, Validator, url_beneath};
pub use serve::{serve, serve_on_one_thread};

/// The README's own plugin is compiled as a test, too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
