//! The environment variables a host sets for a plugin (PROTOCOL.md, "Environment").

/// Tells a plugin that a host started it, not a person. A courtesy, not security.
pub const COOKIE_NAME: &str = "DRAGONFLY_PLUGIN_MAGIC_COOKIE";

/// The value of [`COOKIE_NAME`].
pub const COOKIE_VALUE: &str = "d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45";

/// Application protocol versions the host speaks: integers joined by `,`, in any order.
pub const PROTOCOL_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";

/// The directory in which the plugin makes its socket.
pub const SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";

/// The directory for the plugin's temporary files, which goes when the plugin does.
pub const SCRATCH_DIR: &str = "TMPDIR";

/// Group, by name or id, that may connect to the socket.
pub const SOCKET_GROUP: &str = "PLUGIN_UNIX_SOCKET_GROUP";

/// The host's certificate in PEM; set only where the host wants AutoMTLS.
pub const CLIENT_CERT: &str = "PLUGIN_CLIENT_CERT";

/// The lowest port on which a plugin that cannot do Unix sockets listens.
pub const MIN_PORT: &str = "PLUGIN_MIN_PORT";

/// The highest such port.
pub const MAX_PORT: &str = "PLUGIN_MAX_PORT";

/// Non-empty where the host understands a seventh handshake field.
pub const MULTIPLEX_GRPC: &str = "PLUGIN_MULTIPLEX_GRPC";

/// `stdin` where the plugin's stdin is a pipe that the host holds open for as long as it lives.
pub const LIFE_LINE: &str = "DRAGONFLY_PLUGIN_LIFE_LINE";

/// The value of [`LIFE_LINE`].
pub const LIFE_LINE_STDIN: &str = "stdin";

/// Of dfget's own environment, not of a plugin's: which plugins run already, by scheme, in the JSON of go-plugin's
/// `ReattachConfig`.
pub const REATTACH: &str = "DFGET_REATTACH_PLUGINS";

/// What a plugin inherits of its host's environment, where it is set, besides what begins with `LC_`.
pub const INHERITED: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Whether a plugin inherits the variable of this name.
#[must_use]
pub fn is_inherited(name: &str) -> bool {
    INHERITED.contains(&name) || name.starts_with("LC_")
}
