//! The rules of what a plugin writes and sends.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt;
use plugin_proto::{
    handshake::{Address, Handshake},
    limits,
    resource::{
        Chunk, DownloadResponse, End, Metadata, Opened as WireOpened, Range as WireRange, Waiting,
        download_response::Event,
    },
};
use plugin_sdk::{BodyEvent, Opened, Range};
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    assembly::{Assembly, Step},
    greeting::{Greeting, NoGreeting},
    logs::{Line, drain},
};
use crate::fuzzing::{Draw, assert_harmless};

/// Longest chunk that is drawn.
const CHUNK: usize = 300;

/// A pipe that gives so many bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl AsyncRead for Trickle<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.0.len().min(self.1).min(to.remaining());
        let (given, rest) = self.0.split_at(length);
        to.put_slice(given);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

/// The stdout of a plugin: a handshake is well-formed, all that is told of it is harmless and bounded, and it does not
/// matter how the pipe divides it.
pub fn handshake(bytes: &[u8]) {
    let at_once = greet(bytes, usize::MAX);
    // Beyond that the limit of a whole banner counts what was read, and not what was looked at.
    if bytes.len() <= limits::BANNER_BYTES {
        assert_eq!(greet(bytes, 7), at_once);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(handshake) = text.parse::<Handshake>() {
        assert!(Handshake::is_meant_by(text));
        let (Address::Unix(address) | Address::Tcp(address)) = &handshake.address;
        assert!(!address.is_empty() && !address.contains(|c: char| c.is_control() || c == ' '), "{address:?}");
        assert_eq!(handshake.to_string().parse(), Ok(handshake));
    }
}

/// What comes of it, and the lines before it.
fn greet(bytes: &[u8], at_a_time: usize) -> (Result<String, String>, Vec<String>) {
    let (mut greeting, banner) = (Greeting::default(), RefCell::new(Vec::new()));
    let warn = |line: &str| banner.borrow_mut().push(line.to_owned());
    let mut pipe = Trickle(bytes, at_a_time);
    let read = greeting.read(&mut pipe, warn).now_or_never().expect("the pipe is always ready");
    let taken = bytes.len() - pipe.0.len();
    assert!(taken <= limits::BANNER_BYTES + limits::HANDSHAKE_LINE, "{taken} bytes were read");
    let told = read.map(|handshake| handshake.to_string()).map_err(|none| match none {
        NoGreeting::NotExecuted(error) => error.to_string(),
        NoGreeting::Closed => greeting.so_far(),
        NoGreeting::Fault(fault) => fault.to_string(),
    });
    let banner = banner.into_inner();
    assert!(banner.len() <= limits::BANNER_LINES);
    banner.iter().chain(told.as_ref().err()).for_each(|text| assert_harmless(text));
    (told, banner)
}

/// The stderr of a plugin: every line is logged, harmless and bounded, however the pipe divides it.
pub fn stderr_line(bytes: &[u8]) {
    let read = |at_a_time| {
        let lines = RefCell::new(Vec::new());
        let drained = drain(Trickle(bytes, at_a_time), |line| lines.borrow_mut().push(line.to_vec()));
        drained.now_or_never().expect("the pipe is always ready");
        lines.into_inner()
    };
    let lines = read(usize::MAX);
    assert_eq!(lines, read(7));
    let ends = bytes.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines.len(), ends + usize::from(bytes.last().is_some_and(|&last| last != b'\n')));
    for line in lines {
        assert!(line.len() <= limits::STDERR_LINE);
        let parsed = Line::parse(&line);
        assert_harmless(&parsed.message);
        assert_harmless(&parsed.fields);
        assert!(parsed.message.chars().count() <= limits::STATUS_TEXT + 1);
    }
}

/// A stream of any messages: what is accepted is in its place, was announced and asked for, and is counted right.
pub fn assembly(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let asked = Range { start: draw.number(), length: draw.maybe() };
    let Ok((mut assembly, opened)) = Assembly::open(asked, draw_message(&mut draw, asked.start)) else { return };
    assert_fits(asked, &opened);
    let asked_for = asked.length.filter(|_| opened.range.start == asked.start);
    let most = opened.range.length.into_iter().chain(asked_for).min();
    let mut accepted = Accepted { range: opened.range, most, got: 0, ended: false };
    while !draw.is_empty() {
        let next = opened.range.start.saturating_add(assembly.received());
        let message = draw_message(&mut draw, next);
        let Ok(step) = assembly.accept(message.clone()) else { return };
        accepted.take(step, message.event);
        assert_eq!(u128::from(assembly.received()), accepted.got);
    }
}

/// What was accepted so far, counted without a bound.
struct Accepted {
    range: Range,
    most: Option<u64>,
    got: u128,
    ended: bool,
}

impl Accepted {
    fn take(&mut self, step: Step, event: Option<Event>) {
        assert!(!self.ended, "{event:?} came after End");
        match (step, event) {
            (Step::Body(BodyEvent::Chunk(data)), Some(Event::Chunk(chunk))) => {
                assert_eq!(u128::from(chunk.offset), u128::from(self.range.start) + self.got);
                self.got += data.len() as u128;
                assert!(self.most.is_none_or(|most| self.got <= most.into()), "{} bytes were accepted", self.got);
            }
            (Step::Body(BodyEvent::Waiting(reason)), Some(Event::Waiting(_))) => assert_harmless(&reason),
            (Step::End, Some(Event::End(end))) => {
                assert_eq!(u128::from(end.total), self.got);
                assert!(self.range.length.is_none_or(|announced| u128::from(announced) == self.got));
                self.ended = true;
            }
            (Step::Empty, Some(Event::Chunk(Chunk { data, .. }))) => assert!(data.is_empty()),
            (Step::Empty, None) => {}
            (step, event) => panic!("{event:?} was taken for {step:?}"),
        }
    }
}

/// From where it was asked for or from 0, and not behind its own end.
fn assert_fits(asked: Range, opened: &Opened) {
    let Range { start, length } = opened.range;
    assert!(start == asked.start || start == 0);
    let length = u128::from(length.unwrap_or_default());
    let total = opened.metadata.content_length;
    assert!(length == 0 || total.is_none_or(|total| u128::from(start) + length <= total.into()), "{opened:?}");
    let asked_for = asked.length.filter(|_| start == asked.start);
    assert!(asked_for.is_none_or(|asked_for| length <= asked_for.into()), "{opened:?}");
    opened.metadata.content_type.iter().for_each(|text| assert_harmless(text));
}

/// Mostly of byte `next`, which keeps the stream going.
fn draw_message(draw: &mut Draw<'_>, next: u64) -> DownloadResponse {
    let event = match draw.byte() % 8 {
        0 | 1 => Event::Opened(draw_opened(draw, next)),
        2..=4 => {
            static DATA: [u8; CHUNK] = [0; CHUNK];
            let length = (draw.number() as usize).min(CHUNK);
            Event::Chunk(Chunk { offset: draw.near(next), data: Bytes::from_static(&DATA[..length]) })
        }
        5 => Event::Waiting(Waiting { reason: draw.text() }),
        6 => Event::End(End { total: draw.number() }),
        _ => return DownloadResponse { event: None },
    };
    DownloadResponse { event: Some(event) }
}

fn draw_opened(draw: &mut Draw<'_>, next: u64) -> WireOpened {
    let range = draw.maybe().map(|_| WireRange { start: draw.near(next), length: draw.maybe() });
    let metadata = draw.maybe().map(|_| Metadata {
        content_length: draw.maybe(),
        content_type: draw.text(),
        ..Metadata::default()
    });
    WireOpened { range, metadata, ..WireOpened::default() }
}
