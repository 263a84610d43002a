//! What the plugin that does everything wrong and the tests that start it must agree on: the bytes of a resource, what
//! is in a tree, and the query of a URL, which says what shall go wrong.

pub mod content;
pub mod query;
pub mod shape;

pub use content::Content;
pub use shape::Tree;
