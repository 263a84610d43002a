//! Bodies: one as a whole, several at a time, some that are cancelled, and what has none.

use std::{ops::Range, time::Duration};

use futures_util::future;
use plugin_proto::resource::DownloadRequest;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{
    Suite,
    metadata::Told,
    report::Findings,
    session::{Session, expect, resource},
    stream::{self, Body, Fault, read, read_on},
};

/// Downloads at the same time.
const PARALLEL: usize = 8;

/// Downloads that are cancelled.
const CANCELLED: usize = 16;

/// Not all that a process opens meanwhile belongs to them.
const FEW: usize = CANCELLED / 2;

/// So often others have to make it more for what is left open to be a leak.
const AGAIN: usize = 4;

/// What is shorter may be through before it is cancelled.
const LONG_ENOUGH: u64 = 512 * 1024;

/// Of each window that is kept to be compared with ranges.
const WINDOW: u64 = 64 * 1024;

/// Between two looks at open files.
const TICK: Duration = Duration::from_millis(20);

fn whole(url: &str) -> DownloadRequest {
    DownloadRequest { resource: resource(url), range: None, validator: None }
}

/// The resource from its first byte to its last.
pub(super) async fn judge_whole(
    session: &Session,
    url: &str,
    told: Option<&Told>,
    findings: &mut Findings,
) -> Option<Body> {
    let digests = told.map(|told| told.metadata.digests.clone()).unwrap_or_default();
    let keep = windows(told.and_then(Told::length));
    match read(session, whole(url), &keep, &digests).await {
        Ok(body) => {
            for id in ["answer", "opened", "chunks", "end", "message", "progress"] {
                findings.pass(rule(id));
            }
            findings.judge("download.chunk-size", stream::check_chunk_size(&body));
            Some(body)
        }
        Err(fault) => {
            findings.fail(fault.rule(), fault.to_string());
            findings.stop("the download of the whole resource broke");
            None
        }
    }
}

fn rule(name: &str) -> &'static str {
    match name {
        "answer" => "download.answer",
        "opened" => "download.opened",
        "chunks" => "download.chunks",
        "end" => "download.end",
        "message" => "download.message",
        _ => "download.progress",
    }
}

/// At the start, in the middle, at the end.
fn windows(length: Option<u64>) -> Vec<Range<u64>> {
    let window = |start: u64, length: u64| start..(start + WINDOW).min(length);
    let one = |end: u64| std::iter::once(0..end).collect();
    match length {
        None => one(WINDOW),
        Some(length) if length <= 3 * WINDOW => one(length),
        // Odd, as no part of a storage begins there.
        Some(length) => vec![window(0, length), window((length / 2) | 1, length), window(length - WINDOW, length)],
    }
}

/// Eight of it at the same time.
pub(super) async fn judge_parallel(session: &Session, url: &str, body: &Body, findings: &mut Findings) {
    let downloads = (0..PARALLEL).map(|_| read(session, whole(url), &[], &[]));
    let broken = future::join_all(downloads).await.into_iter().find_map(|other| is_same(other, body).err());
    findings.judge("download.parallel", broken.map_or(Ok(()), |found| Err(format!("one of them: {found}"))));
}

fn is_same(other: Result<Body, Fault>, body: &Body) -> Result<(), String> {
    let other = other.map_err(|fault| fault.to_string())?;
    if other.total == body.total && other.sha256 == body.sha256 {
        return Ok(());
    }
    Err(format!(
        "{} bytes with the sha256 {}, where {} with {} came before",
        other.total, other.sha256, body.total, body.sha256
    ))
}

/// Many are begun and cancelled, while one goes on.
pub(super) async fn judge_cancel(session: &Session, url: &str, body: &Body, findings: &mut Findings) {
    if body.total < LONG_ENOUGH {
        for id in ["cancel.frees", "cancel.others"] {
            findings.skip(
                id,
                format!(
                    "the resource is so short that nothing can be cancelled: name one of {LONG_ENOUGH} bytes or more"
                ),
            );
        }
        return;
    }
    let (first, stream) = match session.begin(whole(url)).await {
        Ok(begun) => begun,
        Err(failed) => {
            findings.fail("cancel.others", format!("one that is to go on: {failed}"));
            return;
        }
    };
    let frees = cancel_many(session, url).await;
    findings.judge("cancel.frees", frees);
    let held = is_same(read_on(session, first, stream).await, body);
    findings.judge("cancel.others", held.map_err(|found| format!("the one that went on: {found}")));
}

async fn cancel_many(session: &Session, url: &str) -> Result<(), String> {
    let before = session.process.open_files();
    let begin = |what: &'static str| {
        let begun = (0..CANCELLED).map(|_| session.begin(whole(url)));
        async move { future::try_join_all(begun).await.map_err(|failed| format!("one that is begun {what}: {failed}")) }
    };
    // Their streams are full by the time the last of them has begun.
    drop(begin("to be cancelled").await?);
    let mut kept = still_open(session, before).await;
    loop {
        // A plugin whose threads are held answers no more.
        let others = begin("after others were cancelled").await?;
        let Some(open) = &mut kept else { return Ok(()) };
        if !open.has_grown(session).await {
            return Ok(());
        }
        if open.files.len() > AGAIN {
            return Err(open.told(session));
        }
        drop(others);
    }
}

/// Files that the cancelled left open. Connections of a pool are: they are free for others, and at some point enough.
struct Kept {
    before: usize,
    /// After the first were cancelled, and while those were there that came each time after.
    files: Vec<usize>,
}

impl Kept {
    async fn has_grown(&mut self, session: &Session) -> bool {
        let last = *self.files.last().expect("it begins with one");
        let now = open_files(session, last).await;
        self.files.push(now);
        now >= last + FEW
    }

    fn told(&self, session: &Session) -> String {
        let Self { before, files } = self;
        let (first, others) = files.split_first().expect("it begins with one");
        let others: Vec<String> = others.iter().map(usize::to_string).collect();
        format!(
            "{:?} after {CANCELLED} were cancelled {first} files are open, and {before} were before; while {CANCELLED} \
             others run, and those before them are cancelled: {}",
            session.limits.end,
            others.join(", ")
        )
    }
}

/// What the cancelled have open when the time for it is over.
async fn still_open(session: &Session, before: Option<usize>) -> Option<Kept> {
    let before = before?;
    let files = open_files(session, before).await;
    (files >= before + FEW).then(|| Kept { before, files: vec![files] })
}

/// How many there are, as soon as they are hardly more than `before`, or when the time for that is over.
async fn open_files(session: &Session, before: usize) -> usize {
    let deadline = Instant::now() + session.limits.end;
    loop {
        let files = session.process.open_files().unwrap_or_default();
        if files < before + FEW || Instant::now() > deadline {
            return files;
        }
        sleep(TICK).await;
    }
}

/// A resource of no bytes.
pub(super) async fn judge_empty(suite: &Suite, session: &Session, findings: &mut Findings) {
    let Some(url) = &suite.empty else {
        return findings.skip("download.empty", "name a resource that is empty");
    };
    let held = match read(session, whole(url), &[], &[]).await {
        Ok(body) if body.total == 0 => Ok(()),
        Ok(body) => Err(format!("{} bytes are served", body.total)),
        Err(fault) => Err(fault.to_string()),
    };
    findings.judge("download.empty", held);
}

/// What is listed and not downloaded.
pub(super) async fn judge_directory(suite: &Suite, session: &Session, findings: &mut Findings) {
    let Some(url) = &suite.directory else {
        return findings.skip("error.directory", "name a resource that is a directory");
    };
    let held = expect("Download", session.begin(whole(url)).await, Code::InvalidArgument, false);
    findings.judge("error.directory", held);
}
