//! What a plugin writes to stdout or stderr: read for as long as it writes, kept up to a limit.

use tokio::{io::AsyncReadExt, net::unix::pipe, sync::watch, task::JoinHandle};

/// Bytes that are kept.
const KEPT: usize = 4 * 1024 * 1024;

/// Lines of stderr that are shown where a plugin fails.
const LAST_WORDS: usize = 3;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// The beginning of it.
    pub(super) bytes: Vec<u8>,
    pub(super) total: usize,
    /// Of the longest line, without its newline.
    pub(super) longest_line: usize,
    line: usize,
    pub(super) closed: bool,
}

impl Captured {
    fn take(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        self.total += bytes.len();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line += part.len() - usize::from(part.ends_with(b"\n"));
            self.longest_line = self.longest_line.max(self.line);
            if part.ends_with(b"\n") {
                self.line = 0;
            }
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A reader that never stops before the end.
pub(super) struct Capture {
    captured: watch::Receiver<Captured>,
    reader: JoinHandle<()>,
}

impl Capture {
    pub(super) fn of(mut pipe: pipe::Receiver) -> Self {
        let (sender, captured) = watch::channel(Captured::default());
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
                sender.send_modify(|captured| captured.take(&buffer[..read]));
            }
            sender.send_modify(|captured| captured.closed = true);
        });
        Self { captured, reader }
    }

    /// Waits until `enough` is there, or all that will ever come. Cancel safe.
    pub(super) async fn until(&self, enough: impl Fn(&Captured) -> bool) {
        let mut captured = self.captured.clone();
        let _ = captured.wait_for(|captured| captured.closed || enough(captured)).await;
    }

    pub(super) async fn closed(&self) {
        self.until(|_| false).await;
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Captured) -> T) -> T {
        read(&self.captured.borrow())
    }

    /// The last lines, if there are any, as the end of a sentence.
    pub(super) fn last_words(&self) -> String {
        let text = self.read(Captured::text);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match &lines[lines.len().saturating_sub(LAST_WORDS)..] {
            [] => String::new(),
            last => format!("; its last words on stderr: {}", last.join(" / ")),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
