//! The contract between dfget (the *host*) and a source *plugin*: messages, handshake line, environment, limits.
//!
//! `proto/PROTOCOL.md` is the normative text; this crate is the same in types and does no I/O.
//!
//! * [`resource`]: `dragonfly.plugin.resource.v1`, the service `ResourceClient`
//! * [`goplugin`]: the side services of hashicorp/go-plugin that both ends speak
//! * [`handshake`]: the one line a plugin writes to its stdout
//! * [`environment`]: what a host sets for a plugin
//! * [`extent`]: where bytes lie in shared memory
//! * [`limits`]: the numbers both ends keep to

pub mod environment;
pub mod extent;
pub mod handshake;
pub mod limits;
#[cfg(test)]
mod transcript_test;

/// Generated from `dragonfly/plugin/resource/v1/resource.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod resource {
    tonic::include_proto!("dragonfly.plugin.resource.v1");
}

/// Generated from the two protos in `proto/plugin`, whose package is `plugin` as in go-plugin.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod goplugin {
    tonic::include_proto!("plugin");
}

/// The compiled descriptors of all protos, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The application protocol versions this crate speaks, lowest first.
pub const APP_VERSIONS: [u32; 1] = [1];

/// The name under which a plugin reports to `grpc.health.v1.Health`, as go-plugin has it.
pub const HEALTH_SERVICE: &str = "plugin";

/// What the file name of every plugin begins with; its scheme follows.
pub const FILE_NAME_PREFIX: &str = "d7y-resource-plugin-";

/// The attribute `type` of a plugin of this contract.
pub const PLUGIN_TYPE: &str = "resource";

/// The feature by which the bytes of a download may come on a socket of their own (PROTOCOL.md, "Features").
pub const DATA_SOCKET: &str = "data-socket";

/// The feature by which they may lie in memory that both share, and only tell on that socket where.
pub const SHARED_MEMORY: &str = "shared-memory";

/// `GetContentLength`'s answer for a resource of unknown length: Dragonfly's `UnknownSourceFileLen`.
pub const UNKNOWN_CONTENT_LENGTH: i64 = -2;

/// `GetLastModified`'s answer where the storage keeps no such time.
pub const UNKNOWN_LAST_MODIFIED: i64 = -1;
