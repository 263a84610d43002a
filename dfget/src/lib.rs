//! dfget downloads a URL. What it can download is decided by its sources: compiled in, or plugins, each an
//! executable of its own that is spawned, spoken to over gRPC, supervised and stopped.
//!
//! The path of the data, one direction:
//!
//! ```text
//! argv ─► cli ─► batch ─► Job ─► download ─► ResourceClient ─► Body (stream of Bytes) ─► output ─► file
//!                  │ tree: many jobs             │ in-tree: a call
//!                  └ registry: who serves it     └ out-of-tree: plugin (process → connect → gRPC)
//! ```
//!
//! What holds everywhere:
//!
//! 1. `tonic` appears only under `plugin/`, spawning only in `plugin/process`, `clap` only in `cli`. `validation` has the
//!    SDK's conformance suite do both, which is a host of its own.
//! 2. Only `main` ends the process; only `main`, and `report` for one of many downloads, print an error.
//! 3. The engine names no scheme; a source's settings travel as opaque options.
//! 4. The final file name is only ever a whole file.
//! 5. A stream that ends without its End message is an error, never a short file.
//! 6. Nothing is executed that anybody but root and the user could have written, unless the user says so.
//! 7. When dfget ends, however it ends, no plugin process and no socket is left.

pub mod allocator;
pub mod batch;
pub mod cli;
pub mod download;
pub mod error;
pub mod escape;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod inventory;
pub mod limit;
pub mod output;
pub mod plugin;
pub mod registry;
pub mod report;
pub mod signals;
pub mod source;
pub mod tree;
pub mod url;
pub mod validation;
pub mod verify;
