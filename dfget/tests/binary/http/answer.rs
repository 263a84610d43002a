//! Answers: by the book, and all that can be wrong with one.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use faultplug::Content;
use rustix::net::sockopt::set_socket_linger;

use super::server::Asked;

/// What dfget downloads where a test says nothing else: so the harness expects it.
pub(super) const CONTENT: Content = Content { seed: 1, size: 100_000 };

/// What is served by the book, as far as the fields allow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource {
    pub(super) content: Content,
    pub(super) etag: Option<&'static str>,
    pub(super) modified: Option<&'static str>,
    /// Whether parts are served.
    pub(super) ranges: bool,
    /// Whether `If-Match` and `If-Unmodified-Since` are heeded.
    pub(super) preconditions: bool,
}

impl Default for Resource {
    fn default() -> Self {
        Self { content: CONTENT, etag: Some("\"1\""), modified: None, ranges: true, preconditions: true }
    }
}

impl Resource {
    pub(super) fn answer(&self, asked: &Asked) -> Answer {
        let size = self.content.size;
        let differs = |header: &str, own: Option<&str>| asked.header(header).is_some_and(|value| Some(&*value) != own);
        if self.preconditions && (differs("if-match", self.etag) || differs("if-unmodified-since", self.modified)) {
            return Answer::status(412);
        }
        let part = asked.bytes(size).filter(|_| self.ranges);
        let answer = match part {
            None => Answer::status(200).body(self.content.bytes(0..size)),
            Some((first, _)) if first >= size => Answer::status(416).header("Content-Range", format!("bytes */{size}")),
            Some((first, last)) => {
                let answer = Answer::status(206).header("Content-Range", format!("bytes {first}-{last}/{size}"));
                answer.body(self.content.bytes(first..last + 1))
            }
        };
        let answer = if self.ranges { answer.header("Accept-Ranges", "bytes") } else { answer };
        let answer = self.etag.into_iter().fold(answer, |answer, etag| answer.header("ETag", etag));
        self.modified.into_iter().fold(answer, |answer, time| answer.header("Last-Modified", time))
    }
}

/// What happens to an answer on its way.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The connection is closed as if all were there.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing follows until the other side gives up.
    Silence,
    /// A byte follows, then another one, each after this time.
    Trickle(Duration),
    /// A line of the head follows, then another one, each after this time.
    SlowHead(Duration),
    /// It follows once more, for ever.
    Again,
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    status_line: String,
    header: Vec<(String, String)>,
    body: Vec<u8>,
    /// Where in the body; before the answer where there is no place.
    fault: Option<(Option<usize>, Fault)>,
}

impl Answer {
    /// With an empty body.
    pub(super) fn status(code: u16) -> Self {
        Self::line(&format!("HTTP/1.1 {code} whatever")).body(Vec::new())
    }

    /// An answer that begins so, which may be no HTTP at all.
    pub(super) fn line(status_line: &str) -> Self {
        Self { status_line: status_line.to_owned(), header: Vec::new(), body: Vec::new(), fault: None }
    }

    pub(super) fn with_status(self, code: u16) -> Self {
        Self { status_line: Self::status(code).status_line, ..self }
    }

    pub(super) fn with_line(self, status_line: &str) -> Self {
        Self { status_line: status_line.to_owned(), ..self }
    }

    pub(super) fn redirect(code: u16, location: &str) -> Self {
        Self::status(code).header("Location", location)
    }

    /// Another body, and its length.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", length)
    }

    /// Bytes that nobody was told of.
    pub(super) fn longer_by(mut self, bytes: &[u8]) -> Self {
        self.body.extend_from_slice(bytes);
        self
    }

    /// In place of one of that name.
    pub(super) fn header(self, name: &str, value: impl Into<String>) -> Self {
        let mut answer = self.without(name);
        answer.header.push((name.to_owned(), value.into()));
        answer
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.header.retain(|(own, _)| own != name);
        self
    }

    /// The body in chunks, so that nothing says how long it is.
    pub(super) fn chunked(self) -> Self {
        let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let body = self.body.chunks(10_000).map(chunk).chain([b"0\r\n\r\n".to_vec()]).collect::<Vec<_>>().concat();
        Self { body, ..self.without("Content-Length").header("Transfer-Encoding", "chunked") }
    }

    pub(super) fn closed_at(self, at: usize) -> Self {
        Self { fault: Some((Some(at), Fault::Close)), ..self }
    }

    pub(super) fn reset_at(self, at: usize) -> Self {
        Self { fault: Some((Some(at), Fault::Reset)), ..self }
    }

    pub(super) fn silent_at(self, at: usize) -> Self {
        Self { fault: Some((Some(at), Fault::Silence)), ..self }
    }

    /// Not even a head follows, and the connection stays.
    pub(super) fn none() -> Self {
        Self { fault: Some((None, Fault::Silence)), ..Self::line("") }
    }

    /// Not even a head follows, and the connection is closed.
    pub(super) fn gone() -> Self {
        Self { fault: Some((None, Fault::Close)), ..Self::line("") }
    }

    pub(super) fn trickling_at(self, at: usize, pause: Duration) -> Self {
        Self { fault: Some((Some(at), Fault::Trickle(pause))), ..self }
    }

    /// A head that does not end.
    pub(super) fn slow_head(self, pause: Duration) -> Self {
        Self { fault: Some((None, Fault::SlowHead(pause))), ..self }
    }

    /// This head for ever.
    pub(super) fn again_and_again(self) -> Self {
        Self { fault: Some((Some(0), Fault::Again)), ..self }
    }

    /// Whether the connection can be used again.
    pub(super) fn send(&self, stream: &mut TcpStream, with_body: bool) -> std::io::Result<bool> {
        let lines = self.header.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = lines.fold(format!("{}\r\n", self.status_line), |head, line| head + &line) + "\r\n";
        let body = if with_body { &self.body[..] } else { &[] };
        let Some((place, fault)) = self.fault else {
            stream.write_all(&[head.as_bytes(), body].concat())?;
            return Ok(true);
        };
        let (before, after) = body.split_at(place.unwrap_or_default().min(body.len()));
        if place.is_some() {
            stream.write_all(&[head.as_bytes(), before].concat())?;
        }
        match fault {
            Fault::Close => {}
            Fault::Reset => set_socket_linger(&*stream, Some(Duration::ZERO))?,
            Fault::Silence => {
                let _ = stream.read(&mut [0])?;
            }
            Fault::Trickle(pause) => {
                for byte in after {
                    thread::sleep(pause);
                    stream.write_all(&[*byte])?;
                }
            }
            Fault::SlowHead(pause) => {
                stream.write_all(format!("{}\r\n", self.status_line).as_bytes())?;
                loop {
                    thread::sleep(pause);
                    stream.write_all(b"X: y\r\n")?;
                }
            }
            Fault::Again => loop {
                stream.write_all(head.as_bytes())?;
            },
        }
        Ok(false)
    }
}
