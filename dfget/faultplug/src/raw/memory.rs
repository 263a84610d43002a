//! Downloads whose bytes lie in shared memory, in the plugin `shared-memory`; in `data-sockets`, where nobody has asked for
//! that. All of them fit into it: nothing is taken back, or heard of what the host needs no more.
//!
//! | `memory` in the query | what comes |
//! |---|---|
//! | `good` | all by the book |
//! | `outside` | after `at` bytes, an extent that ends a byte behind the memory |
//! | `empty` | after `at` bytes, an extent of no bytes |
//! | `half` | after `at` bytes, half an extent, and an `End` as if all had come |
//! | `short` | `at` bytes, and an `End` as if all had come |
//! | `long` | an extent more than announced |
//! | `no-socket` | no data socket |
//! | `truncates` | after `at` bytes it tries to make the memory shorter, and goes on |
//! | `rewrites` | the last bytes change while they are read |
//! | `silent` | after `at` bytes nothing more, and the socket stays open |
//! | `die` | after `at` bytes the plugin dies, once, as `deaths` has it |

use std::{
    fs::File,
    io::{self, IoSliceMut, Write},
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::{
            fs::FileExt,
            net::{UnixListener, UnixStream},
        },
    },
    thread,
    time::Duration,
};

use faultplug::{Content, query};
use futures_util::{StreamExt, stream};
use plugin_proto::{
    extent::Extent,
    resource::{DownloadResponse, download_response::Event},
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::{
    calls::Answers,
    data::{self, is_first, wait_for_reader},
    stream::{end, message},
};

/// Bytes in an extent.
const EXTENT: u64 = 65_536;

/// `start` is that of the range that was asked for.
pub(super) fn messages(url: &str, start: u64) -> Answers<DownloadResponse> {
    let content = Content::of_url(url);
    let (listener, name) = data::listen();
    let has_socket = kind(url) != "no-socket";
    let mut opened = data::opened(start, if has_socket { name } else { String::new() }, Some(content.size));
    opened.shared_memory = true;
    let (url, total) = (url.to_owned(), content.size - start);
    let sender = tokio::task::spawn_blocking(move || send(&listener, content, start, &url));
    let sent = stream::once(async move {
        let _ = sender.await;
        end(total)
    });
    Box::new(stream::iter([message(Event::Opened(opened))]).chain(sent).boxed())
}

fn kind(url: &str) -> &str {
    query::value(url, "memory").unwrap_or_default()
}

fn send(listener: &UnixListener, content: Content, start: u64, url: &str) {
    let Ok((stream, _)) = listener.accept() else { return };
    let Ok(memory) = receive(&stream) else { return };
    // The host may be gone.
    let _ = fill(&stream, &File::from(memory), content, start, url);
}

/// The descriptor that the host sends when it has connected.
fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptors.next().ok_or_else(|| io::Error::other("no memory came"))
}

fn fill(mut stream: &UnixStream, memory: &File, content: Content, start: u64, url: &str) -> io::Result<()> {
    let at = query::number(url, "at").unwrap_or(content.size).max(start);
    let mut next = start;
    while next < content.size {
        if next >= at {
            match kind(url) {
                "outside" => return tell(stream, Extent { offset: 1, length: size(memory)? }),
                "empty" => return tell(stream, Extent { offset: 0, length: 0 }),
                "half" => return stream.write_all(&[0; Extent::SIZE / 2]),
                "short" => break,
                "truncates" => assert!(memory.set_len(0).is_err(), "the memory is sealed"),
                "silent" => loop {
                    thread::sleep(Duration::from_secs(60));
                },
                "die" if is_first(url) => std::process::exit(3),
                _ => {}
            }
        }
        let until = (next + EXTENT).min(content.size).min(if next < at { at } else { u64::MAX });
        let bytes = content.bytes(next..until);
        memory.write_all_at(&bytes, next - start)?;
        tell(stream, extent(next - start, until - next))?;
        if kind(url) == "rewrites" && until == content.size {
            rewrite(memory, next - start, bytes[0])?;
        }
        next = until;
    }
    if kind(url) == "long" {
        tell(stream, extent(0, 1))?;
    }
    wait_for_reader(stream);
    Ok(())
}

fn tell(mut stream: &UnixStream, extent: Extent) -> io::Result<()> {
    stream.write_all(&extent.to_bytes())
}

fn size(memory: &File) -> io::Result<u32> {
    u32::try_from(memory.metadata()?.len()).map_err(io::Error::other)
}

fn extent(offset: u64, length: u64) -> Extent {
    let fit = |number| u32::try_from(number).expect("the file is small");
    Extent { offset: fit(offset), length: fit(length) }
}

/// Changes a byte and changes it back, for a while.
fn rewrite(memory: &File, at: u64, byte: u8) -> io::Result<()> {
    (0..20_000).try_for_each(|turn| memory.write_all_at(&[byte ^ (turn % 2) as u8], at))
}
