//! The entries of one directory, read on a thread of their own and only as fast as they are taken.
//!
//! Listed are files, directories, and symlinks to files beneath the root. Left out are symlinks to directories, which
//! could lead in circles, and what cannot be downloaded anyway.

use std::{ffi::CStr, mem, sync::Arc};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use plugin_sdk::{Entry, Error, Metadata};
use rustix::{
    fs::{AtFlags, Dir, FileType, Stat, statat},
    io::Errno,
};
use tokio::sync::mpsc;

use crate::{
    path::{self, TreePath},
    root::Root,
    version::Version,
};

/// Entries that the reading thread hands over at a time: to wake the other end for each one costs more than to read it.
const PAGE: usize = 256;

/// Pages that the reading thread may be ahead.
const PAGES_AHEAD: usize = 2;

/// The entries of the directory at `path`, which is opened before this returns.
///
/// # Errors
///
/// * those of [`Root::open_directory`]
pub(crate) fn entries(root: &Arc<Root>, path: TreePath) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
    let directory = root.open_directory(&path)?;
    let listing = Listing { root: Arc::clone(root), path };
    let (sender, mut receiver) = mpsc::channel(PAGES_AHEAD);
    let task = tokio::task::spawn_blocking(move || listing.send(directory, &sender));
    let entries = stream::poll_fn(move |context| receiver.poll_recv(context)).flat_map(stream::iter).map(Ok);
    // The channel closes as well when the thread fails: only its result tells a whole listing from a cut one.
    let failure = stream::once(task)
        .filter_map(|ended| future::ready(ended.map_err(Error::internal).and_then(|result| result).err().map(Err)));
    Ok(entries.chain(failure).boxed())
}

struct Listing {
    root: Arc<Root>,
    path: TreePath,
}

impl Listing {
    /// Ends early if nobody wants the rest.
    fn send(&self, mut directory: Dir, sender: &mpsc::Sender<Vec<Entry>>) -> Result<(), Error> {
        let mut page = Vec::new();
        let mut left_out: u64 = 0;
        while let Some(found) = directory.read() {
            let found = found.map_err(|errno| self.root.failed(&self.path, errno))?;
            let name = found.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            match self.entry(&directory, name)? {
                Some(entry) => page.push(entry),
                None => left_out += 1,
            }
            if page.len() == PAGE && sender.blocking_send(mem::take(&mut page)).is_err() {
                return Ok(());
            }
        }
        self.warn_of(left_out);
        // Nobody wants it: then there is nothing left to do either.
        sender.blocking_send(page).ok();
        Ok(())
    }

    fn warn_of(&self, left_out: u64) {
        if left_out > 0 {
            let reason = "neither files, directories nor symlinks to files beneath the root";
            tracing::warn!("{}: {left_out} names were left out: {reason}", self.path.url());
        }
    }

    /// `None` for a name that is left out.
    fn entry(&self, directory: &Dir, name: &CStr) -> Result<Option<Entry>, Error> {
        let stat = directory.fd().and_then(|fd| statat(fd, name, AtFlags::SYMLINK_NOFOLLOW));
        let stat: Stat = match stat {
            // It was removed after its name had been read.
            Err(Errno::NOENT) => return Ok(None),
            stat => stat.map_err(|errno| self.root.failed(&self.path.entry(name.to_bytes()), errno))?,
        };
        let name = name.to_bytes();
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Some(Entry { directory: true, ..self.named(name, Metadata::default()) }),
            FileType::RegularFile => Some(self.named(name, Version::of(&stat).metadata())),
            FileType::Symlink => self.linked(name)?.map(|metadata| self.named(name, metadata)),
            _ => None,
        })
    }

    /// What is known about the file a symlink leads to; `None` if it leads to no file beneath the root.
    fn linked(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        match self.root.open_file(&self.path.entry(name)) {
            Ok(file) => Ok(Some(file.metadata())),
            // Listed like any file that may not be read: its download says why.
            Err(Error::PermissionDenied(_)) => Ok(Some(Metadata::default())),
            Err(Error::InvalidRequest(_) | Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn named(&self, name: &[u8], metadata: Metadata) -> Entry {
        // The protocol carries names as text, from which a host could not make the URL of one that is none.
        let url = str::from_utf8(name).is_err().then(|| self.path.entry(name).url().to_owned());
        Entry { name: path::as_text(name), metadata, url, ..Entry::default() }
    }
}
