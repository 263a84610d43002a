//! The source as a host sees it, in a directory of its own.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    path::Path,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use plugin_sdk::{
    Body, BodyEvent, Download, DownloadRequest, Entry, Error, Options, Range, Request, ResourceClient, Validator, wire,
};
use tempfile::TempDir;

use crate::Share;

/// `outside/secret` beside `root/`, which is served.
struct Tree {
    directory: TempDir,
    share: Share,
}

impl Tree {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("root")).unwrap();
        fs::create_dir_all(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/secret"), "secret").unwrap();
        let share = share(directory.path().join("root").to_str().unwrap()).unwrap();
        Self { directory, share }
    }

    fn path(&self, path: impl AsRef<Path>) -> std::path::PathBuf {
        self.directory.path().join("root").join(path)
    }

    fn file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(&path).parent().unwrap()).unwrap();
        fs::write(self.path(path), content).unwrap();
    }

    async fn open(&self, url: &str, range: Range, validator: Validator) -> Result<Download, Error> {
        self.share.download(&DownloadRequest { request: Request::new(url), range, validator }).await
    }

    async fn text(&self, url: &str) -> Result<String, Error> {
        let download = self.open(url, Range::default(), Validator::default()).await?;
        collect(download.body).await
    }

    async fn validator(&self, url: &str) -> Validator {
        self.share.metadata(&Request::new(url)).await.unwrap().validator
    }

    async fn list(&self, url: &str) -> Result<BTreeMap<String, Entry>, Error> {
        let entries: Vec<_> = self.share.list(&Request::new(url)).await?.collect().await;
        entries.into_iter().map(|entry| entry.map(|entry| (entry.name.clone(), entry))).collect()
    }
}

fn share(root: &str) -> Result<Share, Error> {
    Share::open(Options::from([("root".to_owned(), root.to_owned())]))
}

async fn collect(mut body: Body) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(event) = body.next().await {
        if let BodyEvent::Chunk(chunk) = event? {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok(String::from_utf8(bytes).unwrap())
}

fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::InvalidRequest(message)) => message,
        Err(error) => panic!("InvalidRequest was expected: {error:?}"),
        Ok(_) => panic!("InvalidRequest was expected"),
    }
}

#[test]
fn the_root_is_an_absolute_directory_and_the_only_option() {
    assert_eq!(refusal(Share::open(Options::new())), "which directory to serve? name it with --opt root=/path");
    assert!(refusal(share("data")).contains("data cannot be served: the path is not absolute"));
    assert!(refusal(share("/no/such/directory")).contains("No such file or directory"));
    assert!(refusal(share("/dev/null")).contains("Not a directory"));
    let options = Options::from([("root".to_owned(), "/".to_owned()), ("rot".to_owned(), "/".to_owned())]);
    assert!(refusal(Share::open(options)).contains("no option `rot`"));
}

#[tokio::test]
async fn files_are_read_whole_and_in_ranges() {
    let tree = Tree::new();
    tree.file("a/b c", "0123456789");
    for (start, length, expected) in
        [(0, None, "0123456789"), (0, Some(4), "0123"), (3, Some(4), "3456"), (7, None, "789"), (7, Some(99), "789")]
    {
        let range = Range { start, length };
        let download = tree.open("share:///a/b%20c", range, Validator::default()).await.unwrap();
        assert_eq!(download.opened.range, Range { start, length: Some(expected.len() as u64) });
        assert_eq!(download.opened.metadata.content_length, Some(10));
        assert_eq!(download.opened.status, if expected.len() == 10 { 200 } else { 206 });
        assert_eq!(collect(download.body).await.unwrap(), expected);
    }
    let behind = tree.open("share:///a/b%20c", Range { start: 10, length: None }, Validator::default()).await;
    assert!(matches!(behind, Err(Error::OutOfRange(_))));
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let tree = Tree::new();
    tree.file("empty", "");
    let download = tree.open("share:///empty", Range::default(), Validator::default()).await.unwrap();
    assert_eq!((download.opened.status, download.opened.range), (200, Range { start: 0, length: Some(0) }));
    assert_eq!(collect(download.body).await.unwrap(), "");
}

#[tokio::test]
async fn a_name_that_is_no_utf8_is_served() {
    let tree = Tree::new();
    tree.file(OsStr::from_bytes(b"\xe4\xff"), "latin");
    assert_eq!(tree.text("share:///%e4%FF").await.unwrap(), "latin");
}

#[tokio::test]
async fn a_validator_survives_the_wire_and_notices_another_version() {
    let tree = Tree::new();
    tree.file("file", "one");
    let validator = tree.validator("share:///file").await;
    let only_time = Validator { etag: None, last_modified: validator.last_modified };
    for validator in [validator.clone(), only_time.clone()] {
        let wired =
            Validator { last_modified: validator.last_modified.map(wire::millis).and_then(wire::time), ..validator };
        assert!(tree.open("share:///file", Range::default(), wired).await.is_ok());
    }

    // Of the same length and time: it is the inode that differs.
    let modified = fs::metadata(tree.path("file")).unwrap().modified().unwrap();
    tree.file("new", "two");
    fs::File::options().write(true).open(tree.path("new")).unwrap().set_modified(modified).unwrap();
    fs::rename(tree.path("new"), tree.path("file")).unwrap();
    let changed = tree.open("share:///file", Range::default(), validator).await;
    assert!(matches!(changed, Err(Error::Changed(_))), "{changed:?}");
    let unchanged = tree.open("share:///file", Range::default(), only_time).await;
    assert!(unchanged.is_ok(), "a time is all that this validator has");
}

/// More than is read ahead, so that the file can change while it is read.
const LARGE: usize = 4 << 20;

async fn read_while(change: impl FnOnce(&Path)) -> Result<String, Error> {
    let tree = Tree::new();
    tree.file("file", "x".repeat(LARGE));
    let mut body = tree.open("share:///file", Range::default(), Validator::default()).await?.body;
    body.next().await.unwrap()?;
    change(&tree.path("file"));
    collect(body).await
}

#[tokio::test]
async fn a_file_that_is_written_or_shrinks_while_it_is_read_is_no_whole_body() {
    let written = read_while(|path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    });
    assert!(matches!(written.await, Err(Error::Changed(_))));
    let shrunk = read_while(|path| fs::File::options().write(true).open(path).unwrap().set_len(1 << 20).unwrap());
    assert!(matches!(shrunk.await, Err(Error::Changed(_))));
}

#[tokio::test]
async fn a_file_that_is_replaced_while_it_is_read_is_read_to_its_end() {
    let replaced = read_while(|path| {
        fs::write(path.with_extension("new"), "y").unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    });
    assert_eq!(replaced.await.unwrap().len(), LARGE - plugin_sdk::CHUNK);
}

#[tokio::test]
async fn nothing_outside_the_root_is_opened() {
    let tree = Tree::new();
    let secret = tree.directory.path().join("outside/secret");
    symlink(&secret, tree.path("absolute")).unwrap();
    symlink("../outside/secret", tree.path("relative")).unwrap();
    symlink("relative", tree.path("chain")).unwrap();
    symlink("../outside", tree.path("directory")).unwrap();
    symlink("/proc/self/root", tree.path("magic")).unwrap();
    let secret_url = format!("share://{}", secret.display());
    for url in ["share:///../outside/secret", "share:///%2e%2e/outside/secret", "share:///..%2foutside%2fsecret"] {
        refusal(tree.text(url).await);
    }
    for name in ["absolute", "relative", "chain", "directory/secret", "magic/etc/passwd"] {
        let message = refusal(tree.text(&format!("share:///{name}")).await);
        assert!(message.contains("symlink"), "{message}");
    }
    refusal(tree.list("share:///directory").await);
    assert!(matches!(tree.text(&secret_url).await, Err(Error::NotFound(_))));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn symlinks_beneath_the_root_are_followed() {
    let tree = Tree::new();
    tree.file("a/file", "text");
    fs::create_dir(tree.path("b")).unwrap();
    symlink("../a/file", tree.path("b/link")).unwrap();
    symlink("b/link", tree.path("chain")).unwrap();
    symlink("loop", tree.path("loop")).unwrap();
    for url in ["share:///b/link", "share:///chain"] {
        assert_eq!(tree.text(url).await.unwrap(), "text");
    }
    assert!(refusal(tree.text("share:///loop").await).contains("symlink"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_no_file_is_refused_without_waiting() {
    let tree = Tree::new();
    let _socket = UnixListener::bind(tree.path("socket")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, tree.path("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for url in ["share:///socket", "share:///fifo"] {
        let refused = tokio::time::timeout(Duration::from_secs(10), tree.text(url));
        assert!(refusal(refused.await.expect(url)).contains("neither a file nor a directory"));
    }
    let device = Tree { share: share("/dev").unwrap(), ..tree };
    assert!(refusal(device.text("share:///null").await).contains("neither a file nor a directory"));
}

#[tokio::test]
async fn a_missing_file_a_directory_and_a_file_as_directory_are_told_apart() {
    let tree = Tree::new();
    tree.file("a/file", "text");
    for url in ["share:///nothing", "share:///a/file/deeper"] {
        assert!(matches!(tree.text(url).await, Err(Error::NotFound(_))), "{url}");
    }
    for url in ["share:///a", "share:///"] {
        assert!(refusal(tree.text(url).await).contains("this is a directory; name a file in it"));
    }
    assert!(refusal(tree.list("share:///a/file").await).contains("this is a file"));
}

#[tokio::test]
async fn a_listing_has_what_can_be_downloaded_with_its_metadata() {
    let tree = Tree::new();
    tree.file("a/plain.txt", "text");
    tree.file("a/b c?", "");
    tree.file(Path::new("a").join(OsStr::from_bytes(b"\xff")), "latin");
    tree.file("a/directory/deeper", "");
    symlink("directory", tree.path("a/link-to-directory")).unwrap();
    symlink("../../outside/secret", tree.path("a/link-to-outside")).unwrap();
    symlink("nothing", tree.path("a/link-to-nothing")).unwrap();
    let _socket = UnixListener::bind(tree.path("a/socket")).unwrap();

    let entries = tree.list("share:///a").await.unwrap();
    assert_eq!(entries.keys().collect::<Vec<_>>(), ["%FF", "b c?", "directory", "plain.txt"]);
    assert!(entries["directory"].directory && !entries["plain.txt"].directory);
    assert_eq!(
        entries["plain.txt"].metadata,
        tree.share.metadata(&Request::new("share:///a/plain.txt")).await.unwrap()
    );
    assert_eq!((&entries["plain.txt"].url, &entries["b c?"].url), (&None, &None));
    assert_eq!(entries["%FF"].url.as_deref(), Some("share:///a/%FF"));
    assert_eq!(tree.text(entries["%FF"].url.as_deref().unwrap()).await.unwrap(), "latin");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_symlink_to_a_file_is_listed_as_that_file() {
    let tree = Tree::new();
    tree.file("file", "text");
    fs::create_dir(tree.path("a")).unwrap();
    symlink("../file", tree.path("a/link")).unwrap();
    let entries = tree.list("share:///a").await.unwrap();
    assert_eq!(entries["link"].metadata, tree.share.metadata(&Request::new("share:///file")).await.unwrap());
}

#[tokio::test]
async fn a_long_listing_is_complete_and_may_be_dropped() {
    let tree = Tree::new();
    for number in 0..3000 {
        tree.file(format!("many/{number}"), "");
    }
    assert_eq!(tree.list("share:///many").await.unwrap().len(), 3000);

    let mut entries = tree.share.list(&Request::new("share:///many")).await.unwrap();
    assert!(entries.next().await.unwrap().is_ok());
    let root = std::sync::Arc::downgrade(&tree.share.root);
    drop((entries, tree.share));
    let ended = async {
        while root.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the thread that reads the directory ends");
}
