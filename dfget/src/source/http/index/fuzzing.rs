//! What must hold of whatever a server calls an index.

use std::collections::HashSet;

use reqwest::Url;
use tokio::sync::mpsc;

use super::{Kind, Outlet, Place};
use crate::tree::SafeRelativePath;

/// An index of a directory in each form: its entries are directly beneath the directory, each once.
pub fn http_index(bytes: &[u8]) {
    for kind in [Kind::Html, Kind::Json] {
        let (sender, mut entries) = mpsc::channel(bytes.len() + 1);
        let found = Url::parse("http://host/d/").expect("it is one");
        let place = Place::of("http://me@host/d?token=1", &found).expect("it is a directory");
        // What came before it failed came.
        let _ = kind.read(bytes, place, Outlet::new(sender));
        let mut names = HashSet::new();
        while let Ok(entry) = entries.try_recv() {
            let url = Url::parse(&entry.url.expect("it has one")).expect("it is one");
            if SafeRelativePath::default().join(&entry.name).is_ok() {
                let name = url.path().strip_prefix("/d/").expect("it is beneath");
                let name = if entry.directory { name.strip_suffix('/').expect("it is one") } else { name };
                assert!(!name.is_empty() && !name.contains('/'), "{url}");
                assert_eq!((url.username(), url.host_str(), url.query()), ("me", Some("host"), Some("token=1")));
            }
            assert!(names.insert(entry.name));
        }
    }
}
