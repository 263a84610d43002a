//! The situations, and what curl and dfget do in each.

use faultplug::Content;

use super::{Answer, Asked, At, CONTENT, How, NEW, Resource, Row, SHORTER, Side, by_the_book, new_version, side};

const NOTHING: &str = "nothing";
const ALL: &str = "all";

/// For a status that fails.
const NO_PAGE: &str = "";

const NO_PARTIAL: &str = "under its name a file is whole or not there; the next run goes on with the `.part`";

const fn row(situation: &'static str, answer: fn(&Asked) -> Answer) -> Row {
    let (curl, dfget) = (side("", 0, ALL), side("", 0, ALL));
    Row { situation, at: At::Server(answer), how: How::Once, curl, dfget, why: "" }
}

const fn of_nginx(situation: &'static str, path: &'static str) -> Row {
    Row { at: At::Nginx(path), ..row(situation, by_the_book) }
}

impl Row {
    const fn how(self, how: How) -> Self {
        Self { how, ..self }
    }

    const fn told(self, curl: &'static str, dfget: &'static str) -> Self {
        let curl = Side { arguments: curl, ..self.curl };
        Self { curl, dfget: Side { arguments: dfget, ..self.dfget }, ..self }
    }

    const fn curl(self, exit: i32, left: &'static str) -> Self {
        Self { curl: Side { exit, left, ..self.curl }, ..self }
    }

    const fn dfget(self, exit: i32, left: &'static str) -> Self {
        Self { dfget: Side { exit, left, ..self.dfget }, ..self }
    }

    /// Both leave this, or fail and leave nothing.
    const fn both(self, left: &'static str) -> Self {
        self.curl(0, left).dfget(0, left)
    }

    const fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
    }
}

fn elsewhere(asked: &Asked) -> Answer {
    let host = asked.header("host").unwrap().replace("127.0.0.1", "localhost");
    Answer::redirect(302, &format!("http://{host}/other"))
}

/// A status without anything else.
macro_rules! status {
    ($code:literal) => {
        |_| Answer::status($code).body(NO_PAGE)
    };
}

pub(super) const ROWS: &[Row] = &[
    row("a length", by_the_book),
    row("chunks", |asked| by_the_book(asked).chunked()),
    row("neither: the end of the connection is that of the body, as in HTTP/1.0", |asked| {
        by_the_book(asked).without("Content-Length").closed_at(CONTENT.size as usize)
    }),
    row("an empty body", |_| Answer::status(200)).both("an empty file"),
    row("`103 Early Hints` before the answer", |asked| {
        let answer = by_the_book(asked);
        answer.with_line("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK")
    }),
    row("an unknown success, 299", |asked| by_the_book(asked).with_status(299)),
    row("more bytes than the length says", |asked| by_the_book(asked).longer_by(b"and more")),
    row("a length, and chunks", |asked| by_the_book(asked).chunked().header("Content-Length", "10")),
    row("the body is cut", |asked| by_the_book(asked).closed_at(50_000))
        .curl(18, "bytes 0 to 49999")
        .dfget(22, "bytes 0 to 49999 in `file.part`")
        .because(NO_PARTIAL),
    row("chunks are cut", |asked| by_the_book(asked).chunked().closed_at(50_000))
        .curl(18, "bytes 0 to 49961")
        .dfget(22, "bytes 0 to 49961 in `file.part`")
        .because(NO_PARTIAL),
    row("a part of the answer, and a reset", |asked| by_the_book(asked).reset_at(50_000))
        .curl(56, "bytes 0 to 49999")
        .dfget(22, "bytes 0 to 49999 in `file.part`")
        .because(NO_PARTIAL),
    row("two lengths that differ", |asked| by_the_book(asked).header("content-length", "99"))
        .curl(0, "bytes 0 to 98")
        .dfget(22, NOTHING)
        .because("nobody can say which of them is right"),
    row("a length of -1", |asked| by_the_book(asked).header("Content-Length", "-1"))
        .curl(8, NOTHING)
        .dfget(22, NOTHING),
    row("a head of 1 MiB", |asked| by_the_book(asked).header("X", "x".repeat(1 << 20)))
        .curl(27, NOTHING)
        .dfget(22, NOTHING),
    row("a header on two lines", |asked| by_the_book(asked).header("X", "a\r\n b")),
    row("what is no HTTP", |_| Answer::line("SSH-2.0-OpenSSH_9.2")).curl(1, NOTHING).dfget(22, NOTHING),
    row("the connection is closed without an answer", |_| Answer::gone()).curl(52, NOTHING).dfget(22, NOTHING),
    Row { at: At::Nobody, ..row("nobody listens", by_the_book) }.curl(7, NOTHING).dfget(22, NOTHING),
    row("silence in the middle", |asked| by_the_book(asked).silent_at(50_000))
        .told("-y 1 -Y 1000", "--speed-time 1s")
        .curl(28, "bytes 0 to 49999")
        .dfget(16, "bytes 0 to 49999 in `file.part`")
        .because(NO_PARTIAL),
    row("202 Accepted", status!(202))
        .curl(0, "an empty file")
        .dfget(22, NOTHING)
        .because("what comes is not the resource; it may be there later"),
    row("204 No Content", status!(204))
        .curl(0, "an empty file")
        .dfget(24, NOTHING)
        .because("there is nothing to download"),
    row("304 Not Modified, unasked", status!(304))
        .curl(0, NOTHING)
        .dfget(24, NOTHING)
        .because("with 0 there is a file, and here none came"),
    row("401 Unauthorized", status!(401)).curl(22, NOTHING).dfget(21, NOTHING),
    row("403 Forbidden", status!(403)).curl(22, NOTHING).dfget(21, NOTHING),
    row("404 Not Found", status!(404)).curl(22, NOTHING).dfget(20, NOTHING),
    row("410 Gone", status!(410)).curl(22, NOTHING).dfget(20, NOTHING),
    row("429 Too Many Requests", status!(429)).curl(22, NOTHING).dfget(22, NOTHING),
    row("500 Internal Server Error", status!(500)).curl(22, NOTHING).dfget(22, NOTHING),
    row("501 Not Implemented", status!(501)).curl(22, NOTHING).dfget(24, NOTHING),
    row("an unknown failure, 599", status!(599)).curl(22, NOTHING).dfget(22, NOTHING),
    row("a redirect", |asked| match &*asked.target {
        "/file" => Answer::redirect(302, "there?x=1"),
        _ => by_the_book(asked),
    }),
    row("30 redirects", |asked| match asked.number {
        0..30 => Answer::redirect(302, "/file"),
        _ => by_the_book(asked),
    })
    .dfget(24, NOTHING)
    .because("20 are followed, as browsers do"),
    row("redirects in a circle", |_| Answer::redirect(302, "/file")).curl(47, NOTHING).dfget(24, NOTHING),
    row("a redirect to `file:`", |_| Answer::redirect(302, "file:///etc/passwd")).curl(1, NOTHING).dfget(24, NOTHING),
    row("a redirect without a place", status!(302))
        .curl(0, "an empty file")
        .dfget(24, NOTHING)
        .because("what comes is not the resource"),
    row("user and password in the URL, and a redirect to another host that wants none", |asked| match &*asked.target {
        "/file" => elsewhere(asked),
        _ if asked.header("authorization").is_some() => Answer::status(403),
        _ => by_the_book(asked),
    })
    .told("-u me:pw", "-H Authorization:x"),
    row("a header of the user's, and a redirect to another host that wants none", |asked| match &*asked.target {
        "/file" => elsewhere(asked),
        _ if asked.header("x-token").is_some() => Answer::status(403),
        _ => by_the_book(asked),
    })
    .told("-H X-Token:x", "-H X-Token:x")
    .curl(22, NOTHING)
    .because("no header of the user's goes to another host: each may be a secret"),
    row("gzip, although nobody asked", |asked| by_the_book(asked).header("Content-Encoding", "gzip")),
    row("a `Repr-Digest` that is not that of the bytes", |asked| {
        by_the_book(asked).header("Repr-Digest", "md5=:AAAAAAAAAAAAAAAAAAAAAA==:")
    })
    .dfget(30, NOTHING)
    .because("an announced digest is checked"),
    row("a `Content-MD5` that is not that of the bytes", |asked| {
        by_the_book(asked).header("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")
    })
    .dfget(30, NOTHING)
    .because("an announced digest is checked"),
    row("a part that is the whole, unasked", |asked| {
        by_the_book(asked).with_status(206).header("Content-Range", "bytes 0-99999/100000")
    }),
    row("the first half as a part, unasked", |asked| match asked.range() {
        None => by_the_book(asked)
            .with_status(206)
            .header("Content-Range", "bytes 0-49999/100000")
            .body(CONTENT.bytes(0..50_000)),
        Some(_) => by_the_book(asked),
    })
    .curl(0, "bytes 0 to 49999")
    .because("the rest is asked for"),
    row("a part", by_the_book).told("-r 10-19", "--range 10-19").both("bytes 10 to 19"),
    row("a part of a server that has none", |asked| Resource { ranges: false, ..Resource::default() }.answer(asked))
        .told("-r 10-19", "--range 10-19")
        .dfget(24, NOTHING)
        .because("what comes is not what was asked for"),
    row("a part behind the end", by_the_book)
        .told("-r 100000-", "--range 100000-")
        .curl(22, NOTHING)
        .dfget(24, NOTHING),
    row("another part than the one that was asked for", |asked| {
        by_the_book(asked).with_status(206).header("Content-Range", "bytes 20-29/100000").body(CONTENT.bytes(20..30))
    })
    .told("-r 10-19", "--range 10-19")
    .curl(0, "bytes 20 to 29")
    .dfget(24, NOTHING)
    .because("what comes is not what was asked for"),
    row("a part, encoded as gzip", |asked| by_the_book(asked).header("Content-Encoding", "gzip"))
        .told("-r 10-19", "--range 10-19")
        .curl(0, "bytes 10 to 19")
        .dfget(24, NOTHING)
        .because("a part of what is encoded is of no use"),
    row("the body is cut at first, and gone on with", |asked| match asked.number {
        0 => by_the_book(asked).closed_at(50_000),
        _ => by_the_book(asked),
    })
    .how(How::Twice)
    .told("-C -", ""),
    row("the same, of a server without parts", |asked| {
        let answer = Resource { ranges: false, ..Resource::default() }.answer(asked);
        if asked.number == 0 { answer.closed_at(50_000) } else { answer }
    })
    .how(How::Twice)
    .told("-C -", "")
    .curl(33, "bytes 0 to 49999")
    .because("it begins from 0"),
    row("the same, and it is another version by then", |asked| match asked.number {
        0 => by_the_book(asked).closed_at(50_000),
        _ => new_version(asked),
    })
    .how(How::Twice)
    .told("-C -", "")
    .curl(0, "a mixture of both versions")
    .dfget(0, "all of the new version")
    .because("it goes on with one version only, or begins from 0"),
    row("the same, and it is shorter by then", |asked| match asked.number {
        0 => by_the_book(asked).closed_at(50_000),
        _ => Resource { content: Content { size: SHORTER, ..NEW }, ..Resource::default() }.answer(asked),
    })
    .how(How::Twice)
    .told("-C -", "")
    .curl(22, "bytes 0 to 49999")
    .dfget(0, "all of the shorter version")
    .because("it begins from 0"),
    row("there is a file already", by_the_book)
        .how(How::Existing)
        .dfget(42, "the old file")
        .because("`--overwrite` replaces it"),
    row("there is a file already, and the body is cut", |asked| by_the_book(asked).closed_at(50_000))
        .how(How::Existing)
        .told("", "--overwrite")
        .curl(18, "bytes 0 to 49999")
        .dfget(22, "the old file, bytes 0 to 49999 in `file.part`")
        .because(NO_PARTIAL),
    row("the time of the resource", by_the_book).told("-R", "-R").both("all, with its time"),
    row("the name of the URL", by_the_book).how(How::Unnamed),
    row("the name that the server says", |asked| {
        by_the_book(asked).header("Content-Disposition", "attachment; filename=file")
    })
    .how(How::Unnamed)
    .told("-J", "-J"),
    row("the same, `../file`", |asked| {
        by_the_book(asked).header("Content-Disposition", "attachment; filename=\"../file\"")
    })
    .how(How::Unnamed)
    .told("-J", "-J")
    .dfget(44, NOTHING)
    .because("a name that leads elsewhere is refused, not mended"),
    row("the same, `file`, which is there already", |asked| {
        by_the_book(asked).header("Content-Disposition", "attachment; filename=file")
    })
    .how(How::UnnamedExisting)
    .told("-J", "-J")
    .curl(23, "the old file")
    .dfget(42, "the old file"),
    of_nginx("nginx: a file", "/file"),
    of_nginx("nginx: a part", "/file").told("-r 10-19", "--range 10-19").both("bytes 10 to 19"),
    of_nginx("nginx: the last bytes", "/file").told("-r -10", "--range -10").both("bytes 99990 to 99999"),
    of_nginx("nginx: no such file", "/nosuch").curl(22, NOTHING).dfget(20, NOTHING),
    of_nginx("nginx: only if it has changed", "/file").how(How::Twice).told("-R -z file", "-N"),
];
