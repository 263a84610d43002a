//! A regular file beneath the root, open for reading. All it says is about that very file, whatever its path leads
//! to by now.

#[cfg(target_os = "linux")]
use std::io::IoSliceMut;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use plugin_sdk::{Body, Download, Error, Metadata, Opened, Range, Validator};

use crate::version::Version;

/// To read so many bytes takes less time than to wake a thread for them.
const SHORT: u64 = 64 * 1024;

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

    /// As [`download`](Self::download) of a short range, if its bytes are in memory: then there is nothing to wait for.
    /// The file is on a disk of this machine.
    #[cfg(target_os = "linux")]
    pub(crate) fn download_cached(&self, range: Range, wanted: &Validator) -> Option<Download> {
        use rustix::{
            fs::fstat,
            io::{ReadWriteFlags, preadv2},
        };

        let metadata = self.metadata();
        let range = range.within(self.version.length()).ok()?;
        let length = range.length.filter(|length| *length <= SHORT)?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let read = preadv2(&self.file, &mut [IoSliceMut::new(&mut bytes)], range.start, ReadWriteFlags::NOWAIT);
        let whole = read.is_ok_and(|read| read == bytes.len());
        let same = fstat(&self.file).is_ok_and(|stat| Version::of(&stat) == self.version);
        // Whatever is not as it should be is for the other way to tell.
        let good = whole && same && (wanted.is_empty() || wanted.matches(&metadata.validator));
        good.then(|| Download { opened: Opened::ranged(metadata, range), body: Body::from_bytes(bytes) })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn download_cached(&self, _: Range, _: &Validator) -> Option<Download> {
        None
    }

    /// The next `length` bytes; fails at their end if the file was written meanwhile, for they may be of two versions.
    ///
    /// A few are read here and now: whoever calls this may block.
    fn read(self, length: u64) -> Result<Body, Error> {
        if length <= SHORT {
            // As much as there is, or reading to the end would guess it in steps.
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            (&self.file).take(length).read_to_end(&mut bytes)?;
            self.check()?;
            return Ok(Body::from_bytes(bytes));
        }
        let file = self.file.try_clone()?;
        Ok(Body::from_file_checked(file, length, move || self.check()))
    }

    fn check(&self) -> Result<(), Error> {
        if Version::now(&self.file)? == self.version { Ok(()) } else { Err(changed("while it was read")) }
    }
}

fn changed(when: &str) -> Error {
    Error::Changed(format!("the file was changed {when}; download it from its start"))
}
