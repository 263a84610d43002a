//! The numbers both ends keep to (PROTOCOL.md, "Limits").

/// Longest handshake line, in bytes without its newline.
pub const HANDSHAKE_LINE: usize = 8 * 1024;

/// Lines on stdout that a host skips before the handshake line.
pub const BANNER_LINES: usize = 32;

/// Bytes on stdout that a host reads before the handshake line.
pub const BANNER_BYTES: usize = 64 * 1024;

/// Longest line on stderr, in bytes; the rest of a longer one is dropped.
pub const STDERR_LINE: usize = 64 * 1024;

/// Longest path of a Unix socket, in bytes: `sun_path` less its NUL.
pub const SOCKET_PATH: usize = 107;

/// Longest gRPC message a host accepts, in bytes.
pub const MESSAGE: usize = 4 * 1024 * 1024;

/// Most bytes of data a plugin puts into one chunk, by the book.
pub const CHUNK: usize = 1024 * 1024;

/// Most characters of a plugin's text that a host shows in an error.
pub const STATUS_TEXT: usize = 512;
