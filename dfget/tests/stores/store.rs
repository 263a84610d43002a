//! A server, started once, and what a test may ask of it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock},
};

use faultplug::Content;
use serde_json::{Value, json};

use crate::harness::{Dfget, Digest, TestEnv, skip};

/// `NAME: PROGRAM...` is a function that gives the server of this name, unless this test is to be skipped. The programs
/// are those of `install`.
macro_rules! stores {
    ($($name:ident: $($program:literal)*;)*) => { $(
        pub(crate) fn $name() -> Option<&'static Store> {
            static STORE: OnceLock<Result<Store, String>> = OnceLock::new();
            offered(STORE.get_or_init(|| Store::start(stringify!($name), &["python" $(, $program)*])))
        }
    )* };
}

stores! {
    versitygw: "versitygw";
    moto: ;
    oss: ;
    cos: ;
    obs: ;
    azurite: "azurite";
    gcs: "fake-gcs-server";
    webhdfs: "hdfs";
}

/// A server that ends with this process, and with its stdin.
pub(crate) struct Store {
    calls: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    /// What one must know to use it.
    pub(crate) facts: Value,
    _process: Child,
}

impl Store {
    fn start(name: &str, programs: &[&str]) -> Result<Self, String> {
        let directory = installed(programs)?;
        let mut command = Command::new(directory.join("venv/bin/python"));
        command.arg("-B").arg(folder().join("servers/serve.py")).arg(name).arg(&directory);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is installed");
        let stdin = process.stdin.take().expect("it is piped");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        // What is installed and does not start is no lack of this machine's.
        let facts = answer(&mut stdout);
        Ok(Self { calls: Mutex::new((stdin, stdout)), facts, _process: process })
    }

    /// Calls what the server's Python offers.
    pub(crate) fn call(&self, call: &Value) -> Value {
        let mut calls = self.calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (stdin, stdout) = &mut *calls;
        writeln!(stdin, "{call}").expect("the server runs");
        answer(stdout)
    }

    /// Makes a bucket for this test alone.
    pub(crate) fn bucket(&'static self, name: &str) -> Bucket {
        self.bucket_with(name, &json!({}))
    }

    /// A bucket that anybody may read.
    pub(crate) fn public_bucket(&'static self, name: &str) -> Bucket {
        self.bucket_with(name, &json!({"public": true}))
    }

    pub(crate) fn bucket_with(&'static self, name: &str, more: &Value) -> Bucket {
        let mut call = json!({"do": "bucket", "bucket": name});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call(&call);
        Bucket { store: self, name: name.to_owned() }
    }

    /// An option with which dfget reaches it.
    pub(crate) fn option(&self, name: &str) -> &str {
        self.facts["options"][name].as_str().unwrap_or_else(|| panic!("there is no option {name}"))
    }

    /// dfget with what it takes to reach this store, but for what is `without`.
    pub(crate) fn with<'a>(&self, mut dfget: Dfget<'a>, without: &[&str]) -> Dfget<'a> {
        for (name, value) in self.facts["options"].as_object().unwrap() {
            if !without.contains(&name.as_str()) {
                dfget = dfget.arg("--opt").arg(format!("{name}={}", value.as_str().unwrap()));
            }
        }
        for (name, value) in self.facts["variables"].as_object().unwrap() {
            dfget = dfget.env(name, value.as_str().unwrap());
        }
        dfget
    }

    /// What must never be shown.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let names = ["access-key-secret", "account-key", "token"];
        names.iter().filter_map(|name| self.facts["options"][name].as_str().map(str::to_owned)).collect()
    }
}

/// A bucket of one test.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) store: &'static Store,
    pub(crate) name: String,
}

impl Bucket {
    /// `key` stands in the URL as it is.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("{}{}/{key}", self.store.facts["base"].as_str().unwrap(), self.name)
    }

    /// Puts `content` there; returns its version, if it has one.
    pub(crate) fn put(&self, test: &TestEnv, key: &str, content: Content) -> Option<String> {
        let file = write(test, content);
        let call = json!({"do": "put", "bucket": self.name, "key": key, "file": file});
        self.store.call(&call).as_str().map(str::to_owned)
    }

    /// In parts; returns its ETag.
    pub(crate) fn put_in_parts(&self, test: &TestEnv, key: &str, content: Content) -> String {
        let file = write(test, content);
        let call = json!({"do": "multipart", "bucket": self.name, "key": key, "file": file});
        self.store.call(&call).as_str().expect("every object has an ETag").to_owned()
    }

    /// Puts a tree of files of some bytes there.
    pub(crate) fn put_tree(&self, test: &TestEnv, prefix: &str, files: &BTreeMap<String, Content>) {
        let directory = test.path("tree-to-put");
        for (name, content) in files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.bytes(0..content.size)).unwrap();
        }
        let put =
            self.store.call(&json!({"do": "tree", "bucket": self.name, "prefix": prefix, "directory": directory}));
        assert_eq!(put, files.len());
    }

    /// dfget that downloads this object to `work/file`.
    pub(crate) fn get<'a>(&self, test: &'a TestEnv, key: &str, content: Content) -> Dfget<'a> {
        self.get_without(test, key, content, &[])
    }

    /// As [`get`](Self::get), without some of the options that it takes.
    pub(crate) fn get_without<'a>(&self, test: &'a TestEnv, key: &str, content: Content, not: &[&str]) -> Dfget<'a> {
        let dfget = test.get_as_is(&self.url(key)).output("file").expect(Digest::of_content(content)).last();
        self.store.with(dfget, not)
    }

    /// dfget with these arguments, before the URL of what is beneath `prefix`.
    pub(crate) fn dfget<'a>(&self, test: &'a TestEnv, arguments: &[&str], prefix: &str) -> Dfget<'a> {
        self.store.with(test.dfget(arguments).arg(self.url(prefix)), &[])
    }

    /// All requests that came for it.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let call = json!({"do": "requests", "of": self.name});
        self.store.call(&call).as_array().unwrap().iter().cloned().map(Request).collect()
    }
}

/// One that came.
#[derive(Debug)]
pub(crate) struct Request(Value);

impl Request {
    pub(crate) fn target(&self) -> &str {
        self.0["target"].as_str().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"][name].as_str()
    }

    /// The bytes that it asks for, where it does not ask for all; HDFS and Azure have ways of their own.
    pub(crate) fn range(&self) -> Option<Range<u64>> {
        if let Some(range) = self.header("range").or(self.header("x-ms-range")) {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            return Some(first.parse().ok()?..last.parse::<u64>().map_or(u64::MAX, |last| last + 1));
        }
        let number =
            |name: &str| self.target().split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.parse().ok());
        let offset = number("offset=")?;
        Some(offset..number("length=").map_or(u64::MAX, |length: u64| offset + length))
    }
}

/// What the server's Python says.
fn answer(stdout: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it is a pipe");
    let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(answer["error"].is_null(), "{}", answer["error"].as_str().unwrap_or_default());
    answer["ok"].clone()
}

fn write(test: &TestEnv, content: Content) -> PathBuf {
    let path = test.path("to-put");
    fs::write(&path, content.bytes(0..content.size)).unwrap();
    path
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores")
}

/// Where the programs are; another run of the tests may be busy with installing them.
fn installed(programs: &[&str]) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_BIN_EXE_dfget")).ancestors().nth(2).expect("cargo builds into target/profile");
    let directory = target.join("stores");
    fs::create_dir_all(&directory).expect("cargo writes there, too");
    for program in programs {
        let lock = File::create(directory.join(format!("{program}.lock"))).expect("the directory is there");
        lock.lock().expect("nobody holds it for ever");
        let mut install = Command::new(folder().join("install"));
        let output = install.arg(&directory).arg(program).output().map_err(|error| format!("no bash: {error}"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{program} cannot be installed: {}", text.lines().last().unwrap_or_default()));
        }
    }
    Ok(directory)
}

fn offered(store: &'static Result<Store, String>) -> Option<&'static Store> {
    let why = match store {
        Ok(store) => return Some(store),
        Err(why) => why,
    };
    // The test harness calls a thread by the test that it runs.
    let thread = std::thread::current();
    let test = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or("a test");
    skip(test, why);
    None
}
