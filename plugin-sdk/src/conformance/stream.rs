//! The stream of a download, read as strictly as PROTOCOL.md has it.

use std::{ops::Range, time::Duration};

use plugin_proto::{
    limits,
    resource::{
        self as proto, Chunk, Digest, DownloadRequest, DownloadResponse, End, Metadata, Opened,
        download_response::Event,
    },
};
use tokio::time::Instant;
use tonic::Streaming;

use super::{
    digest::{Announced, Digester},
    session::{Failed, Session, is_too_large},
};

/// Bytes that count as progress.
const PROGRESS: u64 = 1024;

/// A body that came to its end by the book.
pub(super) struct Body {
    pub(super) opened: Opened,
    /// Bytes that came.
    pub(super) total: u64,
    pub(super) sha256: String,
    pub(super) longest_chunk: usize,
    /// What the bytes were at the places that were to be kept.
    pub(super) kept: Vec<Kept>,
    pub(super) digests: Result<(), String>,
}

/// Bytes of a resource, and where they begin.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl Kept {
    fn new(range: Range<u64>) -> Self {
        Self { range, bytes: Vec::new() }
    }

    fn take(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        let (from, to) = (self.range.start.max(offset), self.range.end.min(end));
        if from < to {
            self.bytes.extend_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
        }
    }

    /// Where these bytes are.
    pub(super) fn place(&self) -> Range<u64> {
        self.range.start..self.range.start + self.bytes.len() as u64
    }

    pub(super) fn slice(&self, range: &Range<u64>) -> Option<&[u8]> {
        let place = self.place();
        let within = place.start <= range.start && range.end <= place.end;
        within.then(|| &self.bytes[(range.start - place.start) as usize..(range.end - place.start) as usize])
    }
}

/// Why a body did not come to its end by the book.
#[derive(Debug)]
pub(super) enum Fault {
    /// It broke this rule.
    Rule(&'static str, String),
    /// There was no more of it.
    Failed(Failed, u64),
}

impl Fault {
    pub(super) fn rule(&self) -> &'static str {
        match self {
            Self::Rule(id, _) => id,
            Self::Failed(Failed::Died(_), _) => "life.serves",
            Self::Failed(failed, _) if is_too_large(failed) => "download.message",
            Self::Failed(Failed::Silent(_), _) => "download.progress",
            Self::Failed(..) => "download.answer",
        }
    }

    /// The plugin's own status, where nothing came before it.
    pub(super) fn refusal(&self) -> Option<tonic::Code> {
        match self {
            Self::Failed(failed, 0) => failed.code(),
            _ => None,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(_, found) => f.write_str(found),
            Self::Failed(failed, 0) => write!(f, "{failed}"),
            Self::Failed(failed, received) => write!(f, "after {received} bytes: {failed}"),
        }
    }
}

fn broken<T>(id: &'static str, found: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Rule(id, found.into()))
}

/// Reads a download to its end. `keep` are places whose bytes are of interest, `digests` what was announced before.
pub(super) async fn read(
    session: &Session,
    request: DownloadRequest,
    keep: &[Range<u64>],
    digests: &[Digest],
) -> Result<Body, Fault> {
    let asked = request.range.unwrap_or_default();
    let (first, stream) = session.begin(request).await.map_err(|failed| Fault::Failed(failed, 0))?;
    let Some(DownloadResponse { event: Some(Event::Opened(opened)) }) = first else {
        return broken("download.opened", format!("the first message is {}", what(first.as_ref())));
    };
    check_opened(&opened, &asked)?;
    Reader::new(opened, keep, digests).read(session, stream).await
}

/// Reads on what was begun with `opened`, which asked for the whole.
pub(super) async fn read_on(
    session: &Session,
    first: Option<DownloadResponse>,
    stream: Streaming<DownloadResponse>,
) -> Result<Body, Fault> {
    let Some(DownloadResponse { event: Some(Event::Opened(opened)) }) = first else {
        return broken("download.opened", format!("the first message is {}", what(first.as_ref())));
    };
    Reader::new(opened, &[], &[]).read(session, stream).await
}

fn what(message: Option<&DownloadResponse>) -> &'static str {
    match message.map(|message| &message.event) {
        None => "missing: the stream ended",
        Some(None) => "one without an event",
        Some(Some(Event::Opened(_))) => "Opened",
        Some(Some(Event::Chunk(_))) => "Chunk",
        Some(Some(Event::Waiting(_))) => "Waiting",
        Some(Some(Event::End(_))) => "End",
    }
}

fn check_opened(opened: &Opened, asked: &proto::Range) -> Result<(), Fault> {
    let range = opened.range.unwrap_or_default();
    let whole = opened.metadata.as_ref().and_then(|metadata| metadata.content_length);
    let (from, wanted) = (range.start, format!("{asked:?} was asked for, and {range:?} of {whole:?} bytes answered"));
    if from != asked.start && from != 0 {
        return broken("download.opened", format!("it begins elsewhere: {wanted}"));
    }
    let is_other = from != asked.start;
    if !is_other && asked.length.zip(range.length).is_some_and(|(asked, served)| served > asked) {
        return broken("download.opened", format!("it is longer: {wanted}"));
    }
    let Some((whole, length)) = whole.zip(range.length) else { return Ok(()) };
    let end = from.saturating_add(length);
    if end > whole {
        return broken("download.opened", format!("it ends behind the end: {wanted}"));
    }
    let is_short = is_other || asked.length.is_none_or(|asked| length < asked);
    if is_short && end != whole {
        return broken("download.opened", format!("it ends before the end: {wanted}"));
    }
    Ok(())
}

struct Reader {
    opened: Opened,
    start: u64,
    length: Option<u64>,
    received: u64,
    longest_chunk: usize,
    sha256: Digester,
    announced: Announced,
    kept: Vec<Kept>,
    /// When the next KiB must have come.
    due: Instant,
    /// Of it.
    fresh: u64,
}

impl Reader {
    fn new(opened: Opened, keep: &[Range<u64>], digests: &[Digest]) -> Self {
        let range = opened.range.unwrap_or_default();
        let told: Vec<Digest> = opened.metadata.as_ref().map(|metadata| metadata.digests.clone()).unwrap_or_default();
        Self {
            start: range.start,
            length: range.length,
            received: 0,
            longest_chunk: 0,
            sha256: Digester::new("sha256").expect("it is known"),
            announced: Announced::new(digests.iter().cloned().chain(told)),
            kept: keep.iter().cloned().map(Kept::new).collect(),
            due: Instant::now(),
            fresh: 0,
            opened,
        }
    }

    async fn read(mut self, session: &Session, mut stream: Streaming<DownloadResponse>) -> Result<Body, Fault> {
        let limit = session.limits.answer;
        let last = Instant::now() + session.limits.whole;
        self.due = Instant::now() + limit;
        loop {
            let message = self.next(session, &mut stream, last).await?;
            match message.map(|message| message.event) {
                Some(Some(Event::Chunk(chunk))) => self.take(&chunk, limit)?,
                Some(Some(Event::Waiting(_))) => self.is_alive(limit),
                Some(Some(Event::End(end))) => {
                    self.check_end(&end)?;
                    see_out(session, &mut stream).await?;
                    return Ok(self.into_body());
                }
                Some(Some(Event::Opened(_))) => return broken("download.opened", "there is a second one"),
                Some(None) => return broken("download.chunks", "a message has no event that this version knows"),
                None => {
                    let received = self.received;
                    return broken("download.end", format!("the status is OK after {received} bytes, without End"));
                }
            }
        }
    }

    async fn next(
        &self,
        session: &Session,
        stream: &mut Streaming<DownloadResponse>,
        last: Instant,
    ) -> Result<Option<DownloadResponse>, Fault> {
        // A flood that is always ready would keep deadlines waiting.
        tokio::task::consume_budget().await;
        let now = Instant::now();
        if now >= last {
            let limit = session.limits.whole;
            return broken("download.progress", format!("{} bytes came in {limit:?}, and no End", self.received));
        }
        let patience = self.due.min(last).saturating_duration_since(now);
        match session.next(patience, stream).await {
            Err(Failed::Silent(_)) => {
                let (fresh, limit) = (self.fresh, session.limits.answer);
                let received = self.received;
                broken("download.progress", format!("after {received} bytes, {fresh} of them in the last {limit:?}"))
            }
            heard => heard.map_err(|failed| Fault::Failed(failed, self.received)),
        }
    }

    fn is_alive(&mut self, limit: Duration) {
        (self.due, self.fresh) = (Instant::now() + limit, 0);
    }

    fn take(&mut self, chunk: &Chunk, limit: Duration) -> Result<(), Fault> {
        let Chunk { offset, data } = chunk;
        let expected = self.start + self.received;
        if data.is_empty() {
            return broken("download.chunks", format!("the one at {offset} has no data"));
        }
        if *offset != expected {
            return broken("download.chunks", format!("one is at {offset}, where {expected} is the next"));
        }
        let received = self.received + data.len() as u64;
        if self.length.is_some_and(|length| received > length) {
            return broken("download.chunks", format!("the one at {offset} reaches behind Opened.range"));
        }
        self.sha256.update(data);
        self.announced.update(data);
        self.kept.iter_mut().for_each(|kept| kept.take(*offset, data));
        self.longest_chunk = self.longest_chunk.max(data.len());
        self.received = received;
        self.fresh += data.len() as u64;
        if self.fresh >= PROGRESS {
            self.is_alive(limit);
        }
        Ok(())
    }

    fn check_end(&self, end: &End) -> Result<(), Fault> {
        let (total, received) = (end.total, self.received);
        if total != received {
            return broken("download.end", format!("its total is {total}, and {received} bytes came"));
        }
        match self.length {
            Some(length) if length != received => {
                broken("download.end", format!("it comes after {received} of the {length} bytes of Opened.range"))
            }
            _ => Ok(()),
        }
    }

    fn into_body(self) -> Body {
        let Self { opened, received, longest_chunk, sha256, announced, kept, length, start, .. } = self;
        let whole = start == 0 && opened.metadata.as_ref().and_then(|metadata| metadata.content_length) == length;
        let digests = if whole { announced.check() } else { Ok(()) };
        Body { opened, total: received, sha256: sha256.hex(), longest_chunk, kept, digests }
    }
}

/// Nothing but OK may follow `End`.
async fn see_out(session: &Session, stream: &mut Streaming<DownloadResponse>) -> Result<(), Fault> {
    match session.next(session.limits.answer, stream).await {
        Ok(None) => Ok(()),
        Ok(message) => broken("download.end", format!("behind it is {}", what(message.as_ref()))),
        Err(failed) => broken("download.end", format!("behind it: {failed}")),
    }
}

/// Of a chunk that should be shorter.
pub(super) fn check_chunk_size(body: &Body) -> Result<(), String> {
    let longest = body.longest_chunk;
    if longest > limits::CHUNK { Err(format!("the longest has {longest} bytes")) } else { Ok(()) }
}

/// The metadata in `Opened`; an absent one has nothing to say.
pub(super) fn metadata(opened: &Opened) -> Metadata {
    opened.metadata.clone().unwrap_or_default()
}
