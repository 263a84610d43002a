//! `file:///PATH`: files of this machine, with what holds of every source: parts, versions, listings.

mod listing;

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::{
        ffi::OsStringExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use futures_util::stream::BoxStream;
use percent_encoding::percent_decode_str;
use plugin_sdk::{
    Body, Download, DownloadRequest, Entry, Error, Metadata, Opened, Options, Request, ResourceClient, Validator,
    async_trait,
};
use tokio::task::spawn_blocking;

struct Files;

pub(super) fn open(_: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    Ok(Arc::new(Files))
}

#[async_trait]
impl ResourceClient for Files {
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        let path = path_of(request)?;
        let opened = spawn_blocking(move || open_regular(&path)).await.map_err(Error::internal)??;
        Ok(metadata_of(&opened.1))
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let path = path_of(&request.request)?;
        let (mut file, found) = spawn_blocking(move || open_regular(&path)).await.map_err(Error::internal)??;
        let metadata = metadata_of(&found);
        request.validator.require(&metadata.validator)?;
        let range = request.range.within(found.len())?;
        file.seek(SeekFrom::Start(range.start))?;
        let (bytes, validator) = (file.try_clone()?, metadata.validator.clone());
        // What was written meanwhile may be of two versions.
        let check = move || unchanged(&file, &validator);
        let body = Body::from_file_checked(bytes, range.length.unwrap_or_default(), check);
        Ok(Download { opened: Opened::ranged(metadata, range), body })
    }

    async fn list(&self, request: &Request) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        listing::entries(path_of(request)?).await
    }
}

/// The path of a URL whose host is this one.
fn path_of(request: &Request) -> Result<PathBuf, Error> {
    let rest = request.after_scheme();
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (host, _) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !matches!(host, "" | "localhost") {
                return Err(Error::InvalidRequest(format!("`{host}` is another host: the URL is file:///PATH")));
            }
            &rest[host.len()..]
        }
    };
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if !bytes.starts_with(b"/") || bytes.contains(&0) {
        return Err(Error::InvalidRequest("there is no absolute path in the URL: it is file:///PATH".into()));
    }
    Ok(OsString::from_vec(bytes).into())
}

/// Without waiting for the other end of a FIFO.
fn open_regular(path: &Path) -> Result<(File, std::fs::Metadata), Error> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| failed(path, &error))?;
    let found = file.metadata()?;
    match found.file_type() {
        kind if kind.is_file() => Ok((file, found)),
        kind if kind.is_dir() => {
            let fact = format!("{} is a directory: -r downloads all that is in it", path.display());
            Err(Error::InvalidRequest(fact))
        }
        _ => Err(Error::InvalidRequest(format!("{} is neither a file nor a directory", path.display()))),
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let fact = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound(fact),
        io::ErrorKind::PermissionDenied => Error::PermissionDenied(fact),
        _ => Error::internal(fact),
    }
}

/// When it was written, its length and its inode tell one version from another.
fn metadata_of(found: &std::fs::Metadata) -> Metadata {
    let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
    let etag = format!("\"{seconds:x}.{nanoseconds:x}-{:x}-{:x}\"", found.len(), found.ino());
    let since = u64::try_from(seconds).ok().map(Duration::from_secs);
    // In whole milliseconds: a validator has to come back equal.
    let millis = u64::try_from(nanoseconds / 1_000_000).map(Duration::from_millis).unwrap_or_default();
    let last_modified = since.and_then(|since| UNIX_EPOCH.checked_add(since + millis));
    let validator = Validator { etag: Some(etag), last_modified };
    Metadata { content_length: Some(found.len()), support_range: true, validator, ..Metadata::default() }
}

fn unchanged(file: &File, validator: &Validator) -> Result<(), Error> {
    match validator.matches(&metadata_of(&file.metadata()?).validator) {
        true => Ok(()),
        false => Err(Error::Changed("the file was written while it was read".into())),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use plugin_sdk::{BodyEvent, Range};

    use super::*;

    fn path(url: &str) -> Result<String, String> {
        let path = path_of(&Request::new(url)).map_err(|error| error.to_string())?;
        Ok(path.display().to_string())
    }

    #[test]
    fn a_url_names_a_path_of_this_host() {
        assert_eq!(path("file:///a/b%20c%2525"), Ok("/a/b c%25".into()));
        assert_eq!(path("file://localhost/a"), Ok("/a".into()));
        assert_eq!(path("file:/a"), Ok("/a".into()));
        assert_eq!(path("file://h/a"), Err("`h` is another host: the URL is file:///PATH".into()));
        for wrong in ["file:a", "file://", "file:///a%00"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    fn url_of(path: &Path) -> Request {
        Request::new(format!("file://{}", path.display()))
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_served_of_the_version_that_is_wanted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello world").unwrap();
        let request = url_of(file.path());
        let validator = Files.metadata(&request).await.unwrap().validator;
        let range = Range { start: 6, length: Some(3) };
        let part = DownloadRequest { request: request.clone(), range, validator };
        let events: Vec<_> = Files.download(&part).await.unwrap().body.collect().await;
        assert!(matches!(&events[..], [Ok(BodyEvent::Chunk(chunk))] if chunk == "wor"));
        std::fs::write(file.path(), "hello, world").unwrap();
        assert!(matches!(Files.download(&part).await, Err(Error::Changed(_))));
    }

    #[tokio::test]
    async fn a_directory_is_listed_and_no_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        std::fs::write(directory.path().join("file"), "abc").unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("away")).unwrap();
        let request = url_of(directory.path());
        let mut listed: Vec<_> = Files
            .list(&request)
            .await
            .unwrap()
            .map(|entry| entry.map(|entry| (entry.name, entry.directory, entry.metadata.content_length)).unwrap())
            .collect()
            .await;
        listed.sort();
        assert_eq!(listed, [("file".into(), false, Some(3)), ("sub".into(), true, None)]);
        assert!(matches!(Files.metadata(&request).await, Err(Error::InvalidRequest(_))));
        let file = url_of(&directory.path().join("file"));
        assert!(matches!(Files.list(&file).await.err(), Some(Error::InvalidRequest(_))));
        let nothing = url_of(&directory.path().join("nothing"));
        assert!(matches!(Files.list(&nothing).await.err(), Some(Error::NotFound(_))));
    }

    #[tokio::test]
    async fn a_fifo_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(Files.metadata(&url_of(&fifo)).await, Err(Error::InvalidRequest(_))));
    }
}
