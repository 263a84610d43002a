//! Reads a plugin's stdout up to its handshake line, in bounded time and space.

use plugin_proto::{
    handshake::{Handshake, HandshakeError},
    limits,
};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::exec;
use crate::{
    error::StartFault,
    escape::{printable, printable_bytes},
};

/// What a plugin has written so far.
#[derive(Default)]
pub(super) struct Greeting {
    /// Not yet a line.
    partial: Vec<u8>,
    banner_lines: usize,
    bytes: usize,
    /// The first line of the banner.
    begins: String,
}

/// Why there is no handshake line.
#[derive(Debug)]
pub(super) enum NoGreeting {
    /// The plugin was never executed.
    NotExecuted(std::io::Error),
    /// stdout is closed: the plugin ended, or will not say any more.
    Closed,
    /// It wrote something else.
    Fault(StartFault),
}

impl From<StartFault> for NoGreeting {
    fn from(fault: StartFault) -> Self {
        Self::Fault(fault)
    }
}

impl Greeting {
    /// Reads up to the handshake line. Lines before it are skipped and told to `warn`. Cancel safe.
    pub(super) async fn read(
        &mut self,
        mut stdout: impl AsyncRead + Unpin,
        warn: impl Fn(&str),
    ) -> Result<Handshake, NoGreeting> {
        let mut buffer = [0; 4096];
        loop {
            let read = stdout.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                return Err(NoGreeting::Closed);
            }
            self.bytes += read;
            self.partial.extend_from_slice(&buffer[..read]);
            while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                if let Some(handshake) = self.line(&line[..end], &warn)? {
                    return Ok(handshake);
                }
            }
            self.check_partial()?;
        }
    }

    /// What there is of the line that never ended, printable.
    pub(super) fn so_far(&self) -> String {
        printable_bytes(&self.partial)
    }

    fn check_partial(&self) -> Result<(), NoGreeting> {
        if self.partial.len() > limits::HANDSHAKE_LINE {
            return Err(StartFault::BadLine(self.so_far()).into());
        }
        if self.bytes > limits::BANNER_BYTES {
            return Err(StartFault::Babbled(self.begins.clone()).into());
        }
        Ok(())
    }

    /// Judges a whole line: the handshake, or `None` for a banner.
    fn line(&mut self, line: &[u8], warn: &impl Fn(&str)) -> Result<Option<Handshake>, NoGreeting> {
        if let Some(error) = exec::failure(line) {
            return Err(NoGreeting::NotExecuted(error));
        }
        let text = std::str::from_utf8(line).ok().filter(|text| !text.contains('\0'));
        let text = text.filter(|text| text.len() <= limits::HANDSHAKE_LINE);
        let text = text.ok_or_else(|| StartFault::BadLine(printable_bytes(line)))?;
        if Handshake::is_meant_by(text) {
            let bad = |error: HandshakeError| StartFault::BadField(shown(error), printable(text));
            return Ok(Some(text.parse().map_err(bad)?));
        }
        self.banner_lines += 1;
        if self.banner_lines == 1 {
            self.begins = printable(text);
        }
        if self.banner_lines > limits::BANNER_LINES {
            return Err(StartFault::Babbled(self.begins.clone()).into());
        }
        warn(&printable(text));
        Ok(None)
    }
}

/// The error with the plugin's text in it made printable.
fn shown(error: HandshakeError) -> HandshakeError {
    use HandshakeError::{Address, AppVersion, CoreVersion, FieldCount, Multiplex, Network, Protocol};
    match error {
        FieldCount(count) => FieldCount(count),
        CoreVersion(field) => CoreVersion(printable(&field)),
        AppVersion(field) => AppVersion(printable(&field)),
        Network(field) => Network(printable(&field)),
        Address(field) => Address(printable(&field)),
        Protocol(field) => Protocol(printable(&field)),
        Multiplex(field) => Multiplex(printable(&field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(stdout: &[u8]) -> (Result<Handshake, NoGreeting>, Vec<String>) {
        let warnings = std::sync::Mutex::new(Vec::new());
        let result = Greeting::default().read(stdout, |line| warnings.lock().unwrap().push(line.to_owned())).await;
        (result, warnings.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_banner_is_skipped_with_a_warning() {
        let (result, warnings) = read(b"hello\n\x1b[1mworld\n1|1|unix|/a|grpc|\nlater").await;
        assert_eq!(result.unwrap().to_string(), "1|1|unix|/a|grpc|");
        assert_eq!(warnings, ["hello", r"\u{1b}[1mworld"]);
    }

    #[tokio::test]
    async fn endless_output_is_cut_off() {
        let (result, _) = read(&b"hi\n".repeat(limits::BANNER_LINES + 1)).await;
        assert!(matches!(result, Err(NoGreeting::Fault(StartFault::Babbled(begins))) if begins == "hi"));
        let (result, _) = read(&vec![b'x'; limits::HANDSHAKE_LINE + 5000]).await;
        assert!(matches!(result, Err(NoGreeting::Fault(StartFault::BadLine(_)))));
        let banner = [vec![b'x'; limits::HANDSHAKE_LINE - 1], b"\n".to_vec()].concat().repeat(9);
        let (result, _) = read(&banner).await;
        assert!(matches!(result, Err(NoGreeting::Fault(StartFault::Babbled(_)))));
    }

    #[tokio::test]
    async fn a_line_that_is_no_text_is_shown_escaped() {
        for (line, shown) in [(&b"1|1|\xff\n"[..], r"1|1|\xff"), (b"1|\0\n", r"1|\u{0}")] {
            let (result, _) = read(line).await;
            assert!(matches!(result, Err(NoGreeting::Fault(StartFault::BadLine(text))) if text == shown));
        }
    }
}
