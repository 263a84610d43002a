//! The one thread that always waits: for what the code prints to stdout, and for the end of the host's life line. It does so
//! however busy the runtime is.

use std::{io, os::fd::AsFd, thread, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read},
};

/// Bytes read at a time.
const READ: usize = 4 * 1024;

/// How long the system has to get over what kept it from watching: there was no memory for it.
const RETRY: Duration = Duration::from_millis(100);

/// What is watched, each until its end.
#[derive(Default)]
pub(super) struct Watch(Vec<Watched>);

struct Watched {
    source: Box<dyn AsFd + Send>,
    hear: Box<Hear>,
}

/// Is told what comes, and with `None` that nothing will.
type Hear = dyn FnMut(Option<&[u8]>) + Send;

impl Watch {
    /// `hear` must not wait: it is told what comes from `source`, and with `None` that nothing will.
    pub(super) fn add(&mut self, source: impl AsFd + Send + 'static, hear: impl FnMut(Option<&[u8]>) + Send + 'static) {
        self.0.push(Watched { source: Box::new(source), hear: Box::new(hear) });
    }

    /// Starts the thread, if there is anything to watch.
    pub(super) fn start(self) -> io::Result<()> {
        if !self.0.is_empty() {
            thread::Builder::new().name("watch".into()).spawn(move || self.run())?;
        }
        Ok(())
    }

    fn run(mut self) {
        while !self.0.is_empty() {
            let mut polled: Vec<PollFd<'_>> =
                self.0.iter().map(|watched| PollFd::new(&watched.source, PollFlags::IN)).collect();
            match poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::debug!("stdout and the host cannot be watched: {error}");
                    thread::sleep(RETRY);
                    continue;
                }
            }
            let ready: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
            let mut ready = ready.into_iter();
            self.0.retain_mut(|watched| ready.next() != Some(true) || watched.read());
        }
    }
}

impl Watched {
    /// Reads once, of what is there: nobody else reads it. Returns whether more may come.
    fn read(&mut self) -> bool {
        let mut buffer = [0; READ];
        match read(&self.source, &mut buffer) {
            Err(Errno::INTR | Errno::AGAIN) => return true,
            Ok(0) | Err(_) => (self.hear)(None),
            Ok(length) => {
                (self.hear)(Some(&buffer[..length]));
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::mpsc};

    use super::*;

    #[test]
    fn each_is_told_what_comes_from_its_own_until_its_end() {
        let (told, heard) = mpsc::channel();
        let mut watch = Watch::default();
        let mut writers = Vec::new();
        for name in ["a", "b"] {
            let (reader, writer) = io::pipe().unwrap();
            let told = told.clone();
            watch.add(reader, move |bytes| told.send((name, bytes.map(<[u8]>::to_vec))).unwrap());
            writers.push(writer);
        }
        drop(told);
        watch.start().unwrap();
        writers[1].write_all(b"one").unwrap();
        assert_eq!(heard.recv().unwrap(), ("b", Some(b"one".to_vec())));
        drop(writers.remove(0));
        assert_eq!(heard.recv().unwrap(), ("a", None));
        writers[0].write_all(b"two").unwrap();
        assert_eq!(heard.recv().unwrap(), ("b", Some(b"two".to_vec())));
        drop(writers);
        assert_eq!(heard.recv().unwrap(), ("b", None));
        assert!(heard.recv().is_err(), "the thread is gone");
    }
}
