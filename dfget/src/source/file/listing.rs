//! The entries of one directory, read on a thread of their own and only as fast as they are taken.
//!
//! Listed are files, directories, and symlinks to files. Left out are symlinks to directories, which could lead in
//! circles, and what cannot be downloaded anyway.

use std::{
    fs::{self, DirEntry, ReadDir},
    io, mem,
    path::{Path, PathBuf},
};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use plugin_sdk::{Entry, Error, Metadata};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{failed, metadata_of};

/// Entries that the reading thread hands over at a time.
const PAGE: usize = 256;

/// Pages that it may be ahead.
const PAGES_AHEAD: usize = 2;

/// The entries of the directory at `path`, which is opened before this returns.
///
/// # Errors
///
/// * [`Error::NotFound`], [`Error::PermissionDenied`]
/// * [`Error::InvalidRequest`]: it is a file
pub(super) async fn entries(path: PathBuf) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
    let opened = spawn_blocking(move || opened(&path).map(|directory| (path, directory)));
    let (path, directory) = opened.await.map_err(Error::internal)??;
    let (sender, mut receiver) = mpsc::channel(PAGES_AHEAD);
    let task = spawn_blocking(move || send(&path, directory, &sender));
    let entries = stream::poll_fn(move |context| receiver.poll_recv(context)).flat_map(stream::iter).map(Ok);
    // The channel closes as well when the thread fails: only its result tells a whole listing from a cut one.
    let failure = stream::once(task)
        .filter_map(|ended| future::ready(ended.map_err(Error::internal).and_then(|result| result).err().map(Err)));
    Ok(entries.chain(failure).boxed())
}

fn opened(path: &Path) -> Result<ReadDir, Error> {
    let is_file = || path.metadata().is_ok_and(|found| !found.is_dir());
    fs::read_dir(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory if is_file() => {
            Error::InvalidRequest(format!("{} is a file, not a directory", path.display()))
        }
        _ => failed(path, &error),
    })
}

/// Ends early if nobody wants the rest.
fn send(path: &Path, directory: ReadDir, sender: &mpsc::Sender<Vec<Entry>>) -> Result<(), Error> {
    let mut page = Vec::new();
    for found in directory {
        let found = found.map_err(|error| failed(path, &error))?;
        page.extend(entry(&found).map_err(|error| failed(&found.path(), &error))?);
        if page.len() == PAGE && sender.blocking_send(mem::take(&mut page)).is_err() {
            return Ok(());
        }
    }
    // Nobody wants it: then there is nothing left to do either.
    sender.blocking_send(page).ok();
    Ok(())
}

/// `None` for a name that is left out.
fn entry(found: &DirEntry) -> io::Result<Option<Entry>> {
    // A name that is no UTF-8 is handed on with the character that stands for such bytes.
    let name = found.file_name().to_string_lossy().into_owned();
    let kind = found.file_type()?;
    if kind.is_dir() {
        return Ok(Some(Entry { name, directory: true, ..Entry::default() }));
    }
    let target = match found.path().metadata() {
        Ok(target) if target.is_file() => metadata_of(&target),
        // Listed like any file that may not be read: its download says why.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Metadata::default(),
        // It was removed meanwhile, leads nowhere or to a directory, or is no file.
        _ => return Ok(None),
    };
    Ok((kind.is_file() || kind.is_symlink()).then(|| Entry { name, metadata: target, ..Entry::default() }))
}
