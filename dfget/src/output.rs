//! Where the bytes go: a `.part` file beside the output that takes its name when it is whole, or a stream.

mod checkpoint;
mod commit;
mod part;
mod place;
mod root;
mod sink;
mod writer;

use std::{
    fs::{self, File, FileType},
    io,
    os::{fd::AsFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use self::root::{Existing, Root, existing};
pub(crate) use self::{
    commit::{Whole, commit_all},
    place::Place,
    sink::{Begin, Written},
};
use self::{part::Part, writer::Writer};
use crate::{
    download::state::State,
    error::{Error, SpaceNeeded},
    url::ResourceUrl,
};

/// Descriptors that are enough for all that can run at the same time.
const OPEN_FILES: u64 = 4096;

/// Below that the runtime cannot be started, which it tells with a panic.
const FEWEST_FILES: u64 = 16;

/// What `-O` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `-`: bytes only, as they come.
    Stdout,
    /// A file, which appears when it is whole; or a device such as `/dev/null`, which is a stream.
    File(PathBuf),
}

/// How an output is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutputOptions {
    /// Replace a file of the same name.
    pub overwrite: bool,
    /// Do not wait for the disk before the file takes its name.
    pub no_fsync: bool,
    /// Neither check that there is room nor reserve it.
    pub no_preallocate: bool,
    /// Give the file the time at which the resource changed last.
    pub remote_time: bool,
}

/// An output that is open for writing.
pub struct Output {
    writer: Writer,
    options: OutputOptions,
    /// `None` for a stream.
    part: Option<Part>,
}

impl Output {
    /// Opens the output, so that whatever is wrong with it is known before anything is started.
    ///
    /// # Errors
    ///
    /// * [`Error::OutputExists`]: there is one, and it is not to be replaced
    /// * [`Error::OutputLocked`]: another dfget writes it
    /// * [`Error::LocalIo`]: it cannot be created
    pub fn open(target: &Target, options: OutputOptions) -> Result<Self, Error> {
        let path = match target {
            Target::Stdout => return stdout(),
            Target::File(path) => path,
        };
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.map_err(io_error("look at", path))?.file_type()),
        };
        // A link such as /dev/stdout is what it leads to; one to a file is a name that is taken.
        let found = found.map(|kind| match fs::metadata(path) {
            Ok(target) if kind.is_symlink() && is_stream(target.file_type()) => target.file_type(),
            _ => kind,
        });
        match found {
            Some(kind) if kind.is_char_device() => return stream(path),
            Some(kind) if kind.is_fifo() && path.is_symlink() => return stream(path),
            Some(kind) => check_existing(path, kind, options)?,
            None => {}
        }
        let place = Place::of(path).map_err(io_error("create", path))?;
        Self::at(place, options)
    }

    /// Opens an output whose name is known to be a file's or nobody's.
    ///
    /// # Errors
    ///
    /// * as [`open`](Self::open)
    pub(crate) fn at(place: Place, options: OutputOptions) -> Result<Self, Error> {
        let (part, file) = Part::create(place, options)?;
        let place = part.place().clone();
        let mut writer = Writer::new(file, place.path().to_owned(), Some(place), options.no_fsync);
        if part.is_new {
            writer.begins_empty();
        }
        Ok(Self { writer, options, part: Some(part) })
    }

    /// Whether bytes can only be written in order, and none be taken back.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.part.is_none()
    }

    /// What an earlier run has left, if it is of `url` and to be believed.
    pub(crate) fn resume(&self, url: &ResourceUrl) -> Option<State> {
        let place = self.part.as_ref().filter(|part| !part.is_new)?.place();
        State::load(place, url).unwrap_or_else(|reason| {
            tracing::warn!("the state of {} is ignored: {reason}", place.path().display());
            None
        })
    }

    /// Makes room for `length` bytes from `first` on, so that a full disk is known before anything is fetched.
    ///
    /// # Errors
    ///
    /// * [`Error::DiskFull`]: there is no room for it
    pub(crate) fn reserve(&self, first: u64, length: u64) -> Result<(), Error> {
        match &self.part {
            Some(part) if !self.options.no_preallocate => part.reserve(first, length).map_err(|(source, free)| {
                let needed = SpaceNeeded { needed: length, free };
                Error::DiskFull { path: part.place().path().to_owned(), space: needed, source }
            }),
            _ => Ok(()),
        }
    }

    /// Sets the output up; what it holds beside [`Begin::ranges`] is forgotten.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: it cannot be cut, or read for the digest
    pub(crate) async fn begin(&self, begin: Begin) -> Result<(), Error> {
        self.writer.begin(begin).await
    }

    /// Writes bytes of the resource at `offset`. Returns when they are on their way, and waits only while the disk is
    /// behind.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: some bytes written so far could not be written
    pub(crate) async fn write(&self, offset: u64, chunk: Bytes) -> Result<(), Error> {
        self.writer.write(offset, chunk).await
    }

    /// No more bytes will come. Returns the file, and its digest.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: some bytes could not be written
    pub(crate) async fn written(&self) -> Result<Written, Error> {
        let written = self.writer.commit().await?;
        if let Some(part) = &self.part {
            part.has_state.store(written.has_state, Ordering::Relaxed);
        }
        Ok(written)
    }

    /// Everything is as it should be: what has yet to get its name, and `modified` as its time if that is wanted.
    /// `None` for a stream.
    pub(crate) fn whole(self, modified: Option<SystemTime>) -> Option<Whole> {
        self.part.map(|part| Whole::new(part, modified))
    }

    /// The download failed: keeps what came, unless it is known to be wrong.
    pub(crate) async fn fail(self, error: &Error) {
        // A failure to write is the error that is being reported.
        let _ = self.writer.keep().await;
        match self.part {
            Some(part) if matches!(error, Error::Integrity { .. }) => part.remove(),
            _ => {}
        }
    }
}

fn is_stream(kind: FileType) -> bool {
    kind.is_char_device() || kind.is_fifo()
}

fn check_existing(path: &Path, kind: FileType, options: OutputOptions) -> Result<(), Error> {
    let unfit = |what: &str| io_error("write", path)(io::Error::other(format!("it is a {what}")));
    match kind {
        _ if kind.is_dir() => Err(unfit("directory; -O names a file")),
        _ if kind.is_fifo() => Err(unfit("fifo; `-O - > FIFO` writes to it")),
        _ if kind.is_block_device() || kind.is_socket() => Err(unfit("device or socket")),
        _ if options.overwrite => Ok(()),
        _ => Err(Error::OutputExists { path: path.to_owned() }),
    }
}

fn stdout() -> Result<Output, Error> {
    let path = PathBuf::from("stdout");
    // Not std's own handle, which buffers by lines.
    let file = io::stdout().as_fd().try_clone_to_owned().map_err(io_error("write", &path))?;
    Ok(stream_to(File::from(file), path))
}

fn stream(path: &Path) -> Result<Output, Error> {
    let file = File::options().write(true).open(path).map_err(io_error("write", path))?;
    Ok(stream_to(file, path.to_owned()))
}

fn stream_to(file: File, path: PathBuf) -> Output {
    Output { writer: Writer::new(Arc::new(file), path, None, true), options: OutputOptions::default(), part: None }
}

/// Makes room for as many files as `--jobs` and `--connections` can have open: the usual soft limits, 1024 on Linux and
/// 256 on macOS, are for programs that use `select`. Not more than that, as plugins inherit it.
///
/// # Errors
///
/// * [`Error::LocalIo`]: there is not even room for those without which nothing works
pub fn allow_many_files() -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        // With less, what cannot be opened says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
    if limit.maximum.is_some_and(|most| most < FEWEST_FILES) {
        let path = format!("{FEWEST_FILES} files at the same time").into();
        return Err(Error::LocalIo { action: "open", path, source: rustix::io::Errno::MFILE.into() });
    }
    Ok(())
}

/// Names what was done to which path.
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::LocalIo { action, path: path.to_owned(), source }
}
