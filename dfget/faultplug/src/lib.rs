//! What the plugin that does everything wrong and the tests that start it must agree on: the bytes of a resource, and
//! the query of a URL, which says what shall go wrong.

pub mod content;
pub mod query;

pub use content::Content;
