//! The object stores of dfget beside real servers of theirs, and beside the stores' own SDKs where there is no server.
//!
//! * [`store`]: a server, started once, and what a test may ask of it
//! * [`every`]: what holds of all of them
//! * [`refusals`]: who may not, and what dfget says then
//! * [`files`]: credentials that the stores' own tools keep
//! * [`s3`], [`clouds`], [`azblob`], [`gs`], [`hdfs`]: what one of them has alone
//!
//! `servers/` beside this file starts the servers, and puts objects into them by the stores' own clients; `install` fetches
//! what it takes.

#![allow(clippy::unwrap_used, reason = "all of this is tests, functions that they share included")]

#[allow(dead_code, unused_imports, reason = "other tests use the rest of it")]
#[path = "../harness/harness.rs"]
mod harness;

mod azblob;
mod clouds;
mod every;
mod files;
mod gs;
mod hdfs;
mod refusals;
mod s3;
mod store;
