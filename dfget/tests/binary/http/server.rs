//! A server on a loopback port, every answer of which a test writes: it knows what HTTP demands and need not do it.
//!
//! A closure gets each request and returns the [`Answer`]: what a [`Resource`] gives by the book, or that bent. All
//! requests are recorded.

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::answer::{Answer, Resource};

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Counted over all connections, from 0.
    pub(super) number: usize,
    pub(super) method: String,
    pub(super) target: String,
    /// Names in lower case.
    header: Vec<(String, String)>,
}

impl Asked {
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut lines = stream.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let first = lines.next()?;
        let (method, rest) = first.split_once(' ')?;
        let header = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        let target = rest.split(' ').next()?.to_owned();
        Some(Self { number: 0, method: method.to_owned(), target, header: header.collect() })
    }

    /// All values of a header, one after the other.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.header.iter().filter(|(own, _)| own == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(super) fn range(&self) -> Option<String> {
        self.header("range")
    }

    /// First and last byte, of a range of a resource of `size` bytes.
    pub(super) fn bytes(&self, size: u64) -> Option<(u64, u64)> {
        let range = self.range()?;
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().unwrap_or(u64::MAX).min(size.saturating_sub(1))))
    }
}

/// Runs until it is dropped, a thread a connection.
pub(super) struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
        let port = listener.local_addr().expect("it is bound").port();
        let (asked, ended) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let server = Self { port, asked: Arc::clone(&asked), ended: Arc::clone(&ended) };
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok).take_while(|_| !ended.load(Ordering::Relaxed)) {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                // A client that goes away is none of our business.
                thread::spawn(move || drop(serve(stream, &asked, &*answer)));
            }
        });
        server
    }

    /// Serves `resource` by the book, but for the answer that `bend` makes of its answer.
    pub(super) fn of(resource: Resource, bend: impl Fn(&Asked, Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(move |asked| bend(asked, resource.answer(asked)))
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    /// All requests so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The ranges of all requests so far.
    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        self.asked().iter().map(Asked::range).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    mut stream: TcpStream,
    all: &Mutex<Vec<Asked>>,
    answer: &(impl Fn(&Asked) -> Answer + ?Sized),
) -> std::io::Result<()> {
    let mut requests = BufReader::new(stream.try_clone()?);
    while let Some(mut asked) = Asked::read(&mut requests) {
        let mut recorded = all.lock().unwrap();
        asked.number = recorded.len();
        recorded.push(asked.clone());
        drop(recorded);
        if !answer(&asked).send(&mut stream, asked.method != "HEAD")? {
            break;
        }
    }
    Ok(())
}
