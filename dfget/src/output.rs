//! Where the bytes go: a `.part` file beside the output that takes its name when it is whole, or a stream.

mod part;
mod writer;

use std::{
    fs::{self, File, FileType},
    io,
    os::{fd::AsFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use self::{part::Part, writer::Writer};
use crate::error::Error;

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
}

/// An output that is open for writing.
pub struct Output {
    writer: Writer,
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
        match found {
            Some(kind) if kind.is_char_device() => return stream(path),
            Some(kind) => check_existing(path, kind, options)?,
            None => {}
        }
        let (part, file) = Part::create(path, options)?;
        Ok(Self { writer: Writer::start(file, part.path().to_owned()), part: Some(part) })
    }

    /// Writes the next bytes. Returns when they are on their way, and waits only while the disk is behind.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: some bytes written so far could not be written
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.writer.write(chunk).await
    }

    /// Everything is written: gives the file its name.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: some bytes could not be written, or the file not renamed
    /// * [`Error::OutputExists`]: one has appeared in the meantime
    pub async fn commit(self) -> Result<(), Error> {
        let file = self.writer.finish().await?;
        match self.part {
            Some(part) => part.commit(file).await,
            None => Ok(()),
        }
    }

    /// The download failed: keeps what came, unless it is known to be wrong.
    pub async fn fail(self, error: &Error) {
        // A failure to write is the error that is being reported.
        let _ = self.writer.finish().await;
        if let (Some(part), Error::Integrity { .. }) = (self.part, error) {
            part.remove();
        }
    }
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
    Ok(Output { writer: Writer::start(File::from(file), path), part: None })
}

fn stream(path: &Path) -> Result<Output, Error> {
    let file = File::options().write(true).open(path).map_err(io_error("write", path))?;
    Ok(Output { writer: Writer::start(file, path.to_owned()), part: None })
}

/// Names what was done to which path.
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::LocalIo { action, path: path.to_owned(), source }
}
