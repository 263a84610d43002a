//! One file to fetch: from where, to where, and what came of it.

use std::{path::PathBuf, sync::Arc};

use crate::{
    download::Fetched,
    error::Error,
    output::{self, Existing, Output, OutputOptions, Root, Target},
    report::Tracker,
    tree::SafeRelativePath,
    url::ResourceUrl,
};

/// One file to fetch.
pub(super) struct Item {
    pub(super) url: ResourceUrl,
    pub(super) place: Where,
    /// What a listing says of it.
    pub(super) listed: Option<plugin_sdk::Metadata>,
    /// All of its bytes, if the listing had them.
    pub(super) content: Option<plugin_sdk::Bytes>,
}

/// Where its bytes go.
pub(super) enum Where {
    Target(Target),
    Beneath(Arc<Root>, SafeRelativePath),
}

/// The only download, complete, which has yet to get its name. It needs no source any more.
#[must_use = "it has no name yet"]
pub struct Unnamed {
    pub(super) fetched: Fetched,
    pub(super) tracker: Tracker,
}

impl Unnamed {
    /// Gives it its name.
    ///
    /// # Errors
    ///
    /// * those of [`Fetched::commit`]
    pub async fn commit(self) -> Result<(), Error> {
        match self.fetched.commit().await {
            Ok(summary) => self.tracker.finished(&summary),
            Err(error) => {
                self.tracker.failed(&error);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What came of a download.
pub(super) enum Outcome {
    Fetched(Box<Fetched>),
    UpToDate,
    Planned,
}

impl Where {
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Target(Target::Stdout) => None,
            Self::Target(Target::File(path)) => Some(path.clone()),
            Self::Beneath(root, path) => Some(root.path_of(path)),
        }
    }

    pub(super) fn existing(&self) -> Result<Option<Existing>, Error> {
        match self {
            Self::Target(Target::Stdout) => Ok(None),
            Self::Target(Target::File(path)) => output::existing(path),
            Self::Beneath(root, path) => root.existing(path),
        }
    }

    pub(super) fn open(&self, options: OutputOptions) -> Result<Output, Error> {
        match self {
            Self::Target(target) => Output::open(target, options),
            Self::Beneath(root, path) => {
                // That it is no symlink was seen before; one that appears now is replaced, not followed.
                Output::at(root.place(path)?, options)
            }
        }
    }
}
