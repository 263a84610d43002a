//! A regular file beneath the root, open for reading. All it says is about that very file, whatever its path leads
//! to by now.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
};

use futures_util::{StreamExt, future, stream};
use plugin_sdk::{Body, Download, Error, Metadata, Opened, Range, Validator};

use crate::version::Version;

#[derive(Debug)]
pub(crate) struct SharedFile {
    file: File,
    version: Version,
}

impl SharedFile {
    /// `version` is that of `file` when it was opened.
    pub(crate) fn new(file: File, version: Version) -> Self {
        Self { file, version }
    }

    pub(crate) fn metadata(&self) -> Metadata {
        self.version.metadata()
    }

    /// The bytes of `range`, if the file is of the version that `wanted` names.
    ///
    /// # Errors
    ///
    /// * [`Error::Changed`]: it is of another one
    /// * [`Error::OutOfRange`]: `range` begins behind its end
    pub(crate) fn download(mut self, range: Range, wanted: &Validator) -> Result<Download, Error> {
        let metadata = self.metadata();
        if !wanted.is_empty() && !wanted.matches(&metadata.validator) {
            return Err(changed("since the download began"));
        }
        let range = range.within(self.version.length())?;
        self.file.seek(SeekFrom::Start(range.start))?;
        let body = self.read(range.length.unwrap_or_default())?;
        Ok(Download { opened: Opened::ranged(metadata, range), body })
    }

    /// The next `length` bytes; fails at their end if the file was written meanwhile, for they may be of two versions.
    fn read(self, length: u64) -> Result<Body, Error> {
        let bytes = Body::from_file(self.file.try_clone()?, length);
        let check = async move { tokio::task::spawn_blocking(move || self.check()).await.map_err(Error::internal)? };
        let change = stream::once(check).filter_map(|checked| future::ready(checked.err().map(Err)));
        Ok(Body::from_events(bytes.chain(change)))
    }

    fn check(&self) -> Result<(), Error> {
        if Version::now(&self.file)? == self.version { Ok(()) } else { Err(changed("while it was read")) }
    }
}

fn changed(when: &str) -> Error {
    Error::Changed(format!("the file was changed {when}; download it from its start"))
}
