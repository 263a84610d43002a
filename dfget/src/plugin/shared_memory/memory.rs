//! Memory that is made, sealed and handed to a plugin.

use std::{
    fs::File,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::AsFd,
    sync::atomic::{AtomicUsize, Ordering},
};

use memmap2::Mmap;
use plugin_proto::extent::MEMORY_COMES;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::net::UnixStream;

/// Bytes of one, where it is the only one.
const MOST: usize = 4 * 1024 * 1024;

/// Bytes of one, however many there are.
const LEAST: usize = 512 * 1024;

/// Those that are in use.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// Memory that nobody can make shorter.
pub(in crate::plugin) struct Memory(Mmap);

impl Memory {
    /// Makes some, and hands it to the plugin at the other end of `stream`. The more there are, the smaller each is.
    pub(in crate::plugin) fn share(stream: &UnixStream) -> io::Result<Self> {
        let others = IN_USE.load(Ordering::Relaxed);
        let file = sealed((MOST / (others + 1)).next_power_of_two().clamp(LEAST, MOST))?;
        // SAFETY: its length cannot change. Its bytes can, which is what the plugin is to do; nobody here relies on their
        // being the same twice.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }?;
        let descriptors = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(stream, &[IoSlice::new(&[MEMORY_COMES])], &mut control, SendFlags::empty())?;
        IN_USE.fetch_add(1, Ordering::Relaxed);
        Ok(Self(map))
    }

    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
fn sealed(size: usize) -> io::Result<File> {
    use rustix::{
        fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
        io::Errno,
    };

    let make = |flags| memfd_create("dfget-download", MemfdFlags::CLOEXEC | flags);
    let file = make(MemfdFlags::NOEXEC_SEAL | MemfdFlags::ALLOW_SEALING).or_else(|error| match error {
        // Before Linux 6.3, nobody could say that it is not to be executed.
        Errno::INVAL => make(MemfdFlags::ALLOW_SEALING),
        error => Err(error),
    });
    let file = File::from(file?);
    file.set_len(size as u64)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn sealed(_: usize) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
