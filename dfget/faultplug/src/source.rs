//! A source by the book, made with the SDK, until its URL says otherwise.
//!
//! | in the query | what it does |
//! |---|---|
//! | `size`, `seed` | which bytes |
//! | `chunk` | bytes handed over at a time; 65536 |
//! | `no-length` | the length is unknown |
//! | `serve-all=1` | serves all, and says so, whatever was asked for |
//! | `tell-all` | refuses, and tells all that it was asked |
//! | `panic-handler` | panics where the download is opened |
//! | `panic-like-hclog` | the same, with a text that looks like a line of hclog |
//! | `log-like-hclog` | logs fields that are named as hclog's own, and are something else |
//! | `print-lines`, `log-lines`, `log-line` | lines on stdout, lines on stderr, one line of so many bytes on stderr, first |
//! | `die-at=K`, with `signal=N` or `exit=N` | after K bytes, ends the process |
//! | `die-after=N` | the same, after N bytes of each stream |
//! | `no-validator` | versions cannot be told apart |
//! | `changes-after-death` | with `deaths`: after the first one it is another version |
//! | `deaths=FILE`, with `times=N` | of `die-*` and `hold-at`, only so often; each leaves a byte in the file |
//! | `hold-at=K` | after K bytes, nothing more comes |
//! | `trickle-at=K` | then a byte every 50 ms |
//! | `stop-at=K` | then stops itself with SIGSTOP |
//! | `spin-at=K` | then spins |
//! | `panic-at=K` | then the task that produces the body panics |
//! | `fail-at=K` | then the body fails, with text for a terminal to trip over |
//! | `lie` | see [`lie`] |
//! | `wait-at=K`, with `millis=N` | then sends `Waiting` every 50 ms for so long, and goes on |

use std::{
    fs::{self, File},
    future,
    io::Write,
    process::ExitCode,
    time::Duration,
};

use faultplug::{Content, query};
use futures_util::stream::BoxStream;
use nix::sys::signal::{Signal, raise};
use plugin_sdk::{
    Attributes, Body, BodySender, Cancelled, Download, DownloadRequest, Entry, Error, Metadata, Opened, Options, Range,
    Request, ResourceClient, Validator, async_trait,
};
use tokio::time::{Instant, sleep};

use crate::{
    attempt,
    lie::{self, Running},
    linger, tree,
};

/// The one option that it has, without effect.
const OPTION: &str = "key";

/// Between two messages of a source that takes its time.
const PAUSE: Duration = Duration::from_millis(50);

/// Before the process does nothing more: so that what was sent has left it.
const LAST_BREATH: Duration = Duration::from_millis(50);

/// Serves as the plugin of the scheme `name`, which may be a fault of its attributes or of `Init`.
pub(crate) fn serve(name: &str) -> ExitCode {
    let attributes = Attributes::of_scheme(name).with("vendor", "d7y");
    let attributes = attributes.with("buildCommit", "bb65f13").with("buildTime", "2021-12-13T08:53:04Z");
    let attributes = match name {
        "wrong-type" => attributes.with("type", "searcher"),
        "wrong-name" => attributes.with("name", "other"),
        "wrong-scheme" => attributes.with("scheme", "other"),
        "networkless" => attributes.with("network", "none"),
        "escaped-attributes" => attributes.with("vendor", "\x1b[2Jevil\u{202e}"),
        _ => attributes,
    };
    let name = name.to_owned();
    match name.as_str() {
        "held-at-init" => plugin_sdk::serve_on_one_thread(attributes, |_| -> Result<Source, _> {
            eprintln!("held");
            linger()
        }),
        _ => plugin_sdk::serve(attributes, move |options| open(&name, &options)),
    }
}

fn open(name: &str, options: &Options) -> Result<Source, Error> {
    match name {
        "init-refuses" => Err(Error::InvalidRequest("option `root` is missing".into())),
        "init-tells" => Err(Error::InvalidRequest(format!("these options make no sense: {options:?}"))),
        "init-panics" => panic!("no tape in the drive"),
        "init-exits" => {
            eprintln!("the licence has expired");
            std::process::exit(4)
        }
        _ => match options.keys().find(|key| *key != OPTION) {
            Some(key) => Err(Error::InvalidRequest(format!("there is no option `{key}`"))),
            None => Ok(Source),
        },
    }
}

struct Source;

#[async_trait]
impl ResourceClient for Source {
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        let (url, metadata) = (&request.url, metadata(&request.url));
        Ok(Metadata { content_length: lie::length(url, "length", metadata.content_length), ..metadata })
    }

    async fn content_length(&self, request: &Request) -> Result<Option<u64>, Error> {
        let metadata = self.metadata(request).await?;
        Ok(lie::length(&request.url, "disagree", metadata.content_length))
    }

    async fn expired(&self, request: &Request, validator: &Validator) -> Result<bool, Error> {
        let is_another = !validator.matches(&metadata(&request.url).validator);
        Ok(is_another && !lie::is(&request.url, "expired"))
    }

    async fn download(&self, wanted: &DownloadRequest) -> Result<Download, Error> {
        let url = wanted.request.url.clone();
        if query::value(&url, "panic-handler").is_some() {
            panic!("no tape in the drive");
        }
        if query::value(&url, "panic-like-hclog").is_some() {
            panic!("{{\"@level\":5,\"@message\":[\"no tape in the drive\"]}}");
        }
        if query::value(&url, "log-like-hclog").is_some() {
            tracing::warn!({ "@level" = 5, "@message" = true, "@timestamp" = 0.5, tape = "none" }, "the drive is empty");
        }
        if query::value(&url, "tell-all").is_some() {
            eprintln!("asked for {wanted:?}");
            return Err(Error::PermissionDenied(format!("not for {:?}: {url}", wanted.request.header)));
        }
        tree::check(&url)?;
        attempt::all(&url)?;
        let running = lie::begin(wanted)?;
        let told = metadata(&url);
        if query::value(&url, "changes-after-death").is_none() && !lie::is(&url, "any-version") {
            wanted.validator.require(&told.validator)?;
        }
        let content = Content::of_url(&url);
        let asked = if query::number(&url, "serve-all") == Some(1) { Range::default() } else { wanted.range };
        let range = lie::range(&url, asked, content.size)?;
        eprintln!("serving {} bytes from {}", content.size, range.start);
        let mut opened = Opened::ranged(told, range);
        if query::value(&url, "no-length").is_some() {
            opened.range.length = None;
        }
        let body = Body::produce(async move |sender| {
            produce(&url, range, &sender, &running).await?;
            running.complete();
            Ok(())
        });
        Ok(Download { opened, body })
    }

    async fn list(&self, request: &Request) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        if lie::is(&request.url, "file") {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        tree::list(&request.url, metadata).await
    }
}

fn metadata(url: &str) -> Metadata {
    let Content { seed, size } = Content::of_url(url);
    let version = if query::value(url, "changes-after-death").is_some() { deaths(url) } else { 0 };
    let etag = format!("\"{seed}-{size}-{version}\"");
    let validator = Validator { etag: Some(etag), last_modified: tree::modified(url) };
    let metadata = Metadata {
        content_length: query::value(url, "no-length").is_none().then_some(size),
        support_range: true,
        validator: if query::value(url, "no-validator").is_some() { Validator::default() } else { validator },
        file_name: query::value(url, "name").map(str::to_owned),
        ..Metadata::default()
    };
    lie::told(url, metadata)
}

async fn produce(url: &str, range: Range, sender: &BodySender, running: &Running) -> Result<(), Error> {
    flood(url);
    let content = lie::content(url, range.start);
    let (chunk, fault) = (query::number(url, "chunk").unwrap_or(65_536).max(1), Fault::of_url(url));
    let fault = fault.or_else(|| Fault::after(url, range.start));
    let end = range.length.map_or(content.size, |length| range.start + length).max(range.start);
    let mut at = range.start;
    loop {
        if let Some(fault) = fault.filter(|fault| fault.at == at) {
            fault.happen(url, sender).await?;
        }
        if at == end {
            return Ok(());
        }
        let stops = [Some(end), Some(at + chunk), fault.map(|fault| fault.at).filter(|stop| *stop > at)];
        let stop = stops.into_iter().flatten().min().unwrap_or(end);
        sender.send(content.bytes(at..stop)).await?;
        running.go_on(url)?;
        at = stop;
    }
}

fn flood(url: &str) {
    let number = |key| query::number(url, key).unwrap_or_default();
    let words = "the quick brown fox jumps over the lazy dog, again and again";
    (0..number("print-lines")).for_each(|line| println!("{line}: {words}"));
    (0..number("log-lines")).for_each(|line| eprintln!("{line}: {words}"));
    if number("log-line") > 0 {
        let block = "x".repeat(65_536);
        (0..number("log-line") / 65_536).for_each(|_| eprint!("{block}"));
        eprintln!();
    }
}

/// Something that goes wrong after `at` bytes.
#[derive(Clone, Copy)]
struct Fault {
    at: u64,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Die,
    Hold,
    Trickle,
    Stop,
    Spin,
    Panic,
    Fail,
    Wait,
}

const KINDS: [(&str, Kind); 8] = [
    ("die-at", Kind::Die),
    ("hold-at", Kind::Hold),
    ("trickle-at", Kind::Trickle),
    ("stop-at", Kind::Stop),
    ("spin-at", Kind::Spin),
    ("panic-at", Kind::Panic),
    ("fail-at", Kind::Fail),
    ("wait-at", Kind::Wait),
];

impl Fault {
    fn of_url(url: &str) -> Option<Self> {
        KINDS.iter().find_map(|(key, kind)| Some(Self { at: query::number(url, key)?, kind: *kind }))
    }

    /// So many bytes after `start`.
    fn after(url: &str, start: u64) -> Option<Self> {
        Some(Self { at: start + query::number(url, "die-after")?, kind: Kind::Die })
    }

    async fn happen(self, url: &str, sender: &BodySender) -> Result<(), Error> {
        match self.kind {
            Kind::Die | Kind::Hold if !is_left(url) => {}
            Kind::Die => die(url).await,
            Kind::Hold => future::pending().await,
            Kind::Trickle => {
                trickle(url, self.at, sender).await?;
                future::pending::<()>().await;
            }
            Kind::Stop => {
                sleep(LAST_BREATH).await;
                let _ = raise(Signal::SIGSTOP);
            }
            Kind::Spin => {
                sleep(LAST_BREATH).await;
                loop {
                    std::hint::spin_loop();
                }
            }
            Kind::Panic => panic!("no tape in the drive"),
            Kind::Fail => return Err(Error::NotFound("gone \x1b[2J\x1b]0;owned\x07 \u{202e}away".into())),
            Kind::Wait => wait(url, sender).await?,
        }
        Ok(())
    }
}

/// How often this has died.
fn deaths(url: &str) -> u64 {
    query::value(url, "deaths").and_then(|path| fs::metadata(path).ok()).map_or(0, |file| file.len())
}

/// Whether there is such a fault left; one less then.
fn is_left(url: &str) -> bool {
    let Some(path) = query::value(url, "deaths") else { return true };
    let left = query::number(url, "times").is_none_or(|times| deaths(url) < times);
    let file = File::options().create(true).append(true).open(path);
    let mut file = file.expect("the test has a place for it");
    if left {
        file.write_all(b"+").expect("there is room for it");
    }
    left
}

async fn die(url: &str) {
    eprintln!("about to die");
    sleep(LAST_BREATH).await;
    if let Some(status) = query::number(url, "exit") {
        std::process::exit(i32::try_from(status).unwrap_or(1));
    }
    let number = query::number(url, "signal").and_then(|number| i32::try_from(number).ok());
    let signal = number.and_then(|number| Signal::try_from(number).ok()).unwrap_or(Signal::SIGKILL);
    // More than once: Rust's own handler takes the first SIGSEGV for one of a stack that is well.
    loop {
        let _ = raise(signal);
        sleep(Duration::from_millis(1)).await;
    }
}

/// The rest, a byte at a time.
async fn trickle(url: &str, at: u64, sender: &BodySender) -> Result<(), Cancelled> {
    let content = Content::of_url(url);
    for offset in at..content.size {
        sender.send(content.bytes(offset..offset + 1)).await?;
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn wait(url: &str, sender: &BodySender) -> Result<(), Cancelled> {
    let end = Instant::now() + Duration::from_millis(query::number(url, "millis").unwrap_or_default());
    while Instant::now() < end {
        sender.waiting("restoring from tape \x1b[2J").await?;
        sleep(PAUSE).await;
    }
    Ok(())
}
