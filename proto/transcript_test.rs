//! Keeps PROTOCOL.md true: its session byte for byte, its limits, and that it names every call.

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::{
    APP_VERSIONS, FILE_DESCRIPTOR_SET, HEALTH_SERVICE, environment,
    goplugin::Empty,
    handshake::{Address, Handshake},
    limits,
    resource::{
        Chunk, DownloadRequest, DownloadResponse, End, InitRequest, InitResponse, Metadata, Opened, Range, Resource,
        Validator, download_response::Event,
    },
};

const TEXT: &str = include_str!("PROTOCOL.md");

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`, whose status 1 is SERVING.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// One call, its messages as they are framed on the wire.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    path: String,
    host: Vec<String>,
    plugin: Vec<String>,
    status: String,
}

/// The fenced block, line by line.
#[derive(Debug, Default)]
struct Transcript {
    exec: String,
    environment: Vec<(String, String)>,
    stdout: String,
    calls: Vec<Call>,
}

impl Transcript {
    fn read() -> Self {
        let (_, block) = TEXT.split_once("```transcript\n").expect("the fence opens");
        let (block, _) = block.split_once("\n```").expect("the fence closes");
        let mut transcript = Self::default();
        let mut keyword = "";
        for line in block.lines().filter(|line| !line.is_empty()) {
            let (first, rest) = line.split_once(char::is_whitespace).expect("a keyword or an indentation");
            keyword = if first.is_empty() { keyword } else { first };
            transcript.take(keyword, rest.trim(), !first.is_empty());
        }
        transcript
    }

    /// `begins`: this line has the keyword, and does not go on with the message of the line before it.
    fn take(&mut self, keyword: &str, rest: &str, begins: bool) {
        match keyword {
            "exec" => self.exec = rest.to_owned(),
            "env" => {
                let (name, value) = rest.split_once('=').expect("NAME=value");
                self.environment.push((name.to_owned(), value.to_owned()));
            }
            "stdout" => self.stdout = rest.to_owned(),
            "call" => self.calls.push(Call { path: rest.to_owned(), ..Call::default() }),
            _ => self.calls.last_mut().expect("a call comes first").take(keyword, rest, begins),
        }
    }

    fn variable(&self, name: &str) -> &str {
        let found = self.environment.iter().find(|(set, _)| set == name);
        found.map(|(_, value)| value.as_str()).expect(name)
    }
}

impl Call {
    fn take(&mut self, keyword: &str, rest: &str, begins: bool) {
        let messages = match keyword {
            "host" => &mut self.host,
            "plugin" => &mut self.plugin,
            "status" => {
                self.status = rest.to_owned();
                return;
            }
            other => panic!("`{other}` is no keyword"),
        };
        if begins {
            messages.push(String::new());
        }
        let hex = rest.split('#').next().unwrap_or_default();
        let message = messages.last_mut().expect("a message begins with its keyword");
        message.extend(hex.chars().filter(|character| !character.is_whitespace()));
    }
}

/// A length-prefixed gRPC message in hexadecimal.
fn framed(message: &impl Message) -> String {
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [0].iter().chain(&length).chain(&body).map(|byte| format!("{byte:02x}")).collect()
}

fn call(path: &str, host: &impl Message, plugin: Vec<String>) -> Call {
    Call { path: path.into(), host: vec![framed(host)], plugin, status: "0".into() }
}

fn health() -> Call {
    let request = HealthCheckRequest { service: HEALTH_SERVICE.into() };
    call("/grpc.health.v1.Health/Check", &request, vec![framed(&HealthCheckResponse { status: 1 })])
}

fn stdio() -> Call {
    call("/plugin.GRPCStdio/StreamStdio", &(), Vec::new())
}

fn init() -> Call {
    let features = vec![crate::DATA_SOCKET.to_owned(), crate::SHARED_MEMORY.to_owned()];
    let request = InitRequest {
        scheme: "d7yfs".into(),
        host: "dfget/0.1.0".into(),
        features: features.clone(),
        ..Default::default()
    };
    let attributes = [
        ("buildCommit", "bb65f13"),
        ("buildTime", "2021-12-13T08:53:04Z"),
        ("name", "d7yfs"),
        ("scheme", "d7yfs"),
        ("type", "resource"),
        ("vendor", "d7y"),
    ];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let response = InitResponse { attributes, features };
    call("/dragonfly.plugin.resource.v1.ResourceClient/Init", &request, vec![framed(&response)])
}

fn download() -> Call {
    let data = "hello world";
    let length = data.len() as u64;
    let resource = Resource { url: "d7yfs://host:56001/path/to/resource".into(), header: Vec::new() };
    let request = DownloadRequest { resource: Some(resource), range: None, validator: None };
    let etag = "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"".into();
    let metadata = Metadata {
        content_length: Some(length),
        support_range: true,
        validator: Some(Validator { etag, last_modified: None }),
        ..Metadata::default()
    };
    let opened = Opened {
        status: 200,
        header: Vec::new(),
        range: Some(Range { start: 0, length: Some(length) }),
        metadata: Some(metadata),
        data_socket: String::new(),
        shared_memory: false,
    };
    let events = [
        Event::Opened(opened),
        Event::Chunk(Chunk { offset: 0, data: data.into() }),
        Event::End(End { total: length }),
    ];
    let answers = events.map(|event| framed(&DownloadResponse { event: Some(event) }));
    call("/dragonfly.plugin.resource.v1.ResourceClient/Download", &request, answers.into())
}

fn shutdown() -> Call {
    call("/plugin.GRPCController/Shutdown", &Empty {}, vec![framed(&Empty {})])
}

#[test]
fn every_message_of_the_transcript_is_what_the_types_encode() {
    let calls = Transcript::read().calls;
    let expected = [health(), stdio(), init(), download(), shutdown()];
    for (call, expected) in calls.iter().zip(&expected) {
        assert_eq!(call, expected);
    }
    assert_eq!(calls.len(), expected.len());
}

#[test]
fn the_handshake_of_the_transcript_is_one_and_in_the_socket_directory() {
    let transcript = Transcript::read();
    let line = transcript.stdout.strip_suffix("\\n").expect("the newline is shown");
    let handshake: Handshake = line.parse().expect(line);
    assert_eq!(handshake.to_string(), line);
    assert!(APP_VERSIONS.contains(&handshake.app_version));
    let Address::Unix(path) = handshake.address else { panic!("{line} has no Unix socket") };
    let name = path.strip_prefix(transcript.variable(environment::SOCKET_DIR)).expect(&path);
    let digits = name.strip_prefix("/plugin").expect(name);
    assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
}

#[test]
fn the_environment_of_the_transcript_is_that_of_the_code() {
    let transcript = Transcript::read();
    assert!(transcript.exec.ends_with(&format!("/{}d7yfs", crate::FILE_NAME_PREFIX)));
    assert_eq!(transcript.variable(environment::COOKIE_NAME), environment::COOKIE_VALUE);
    assert_eq!(transcript.variable(environment::LIFE_LINE), environment::LIFE_LINE_STDIN);
    let versions = APP_VERSIONS.map(|version| version.to_string()).join(",");
    assert_eq!(transcript.variable(environment::PROTOCOL_VERSIONS), versions);
}

#[test]
fn the_table_of_variables_is_that_of_the_code() {
    let cookie = format!("| `{}` | every host | `{}` |", environment::COOKIE_NAME, environment::COOKIE_VALUE);
    assert!(TEXT.contains(&cookie), "{cookie}");
    let names = [environment::SOCKET_DIR, environment::SOCKET_GROUP, environment::CLIENT_CERT];
    for name in names.iter().chain(&[environment::MULTIPLEX_GRPC, environment::LIFE_LINE]) {
        assert!(TEXT.contains(&format!("\n| `{name}` |")), "{name}");
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let rows = [
        ("handshake line, without its newline", limits::HANDSHAKE_LINE, "bytes"),
        ("lines before the handshake line", limits::BANNER_LINES, "lines"),
        ("bytes before the handshake line", limits::BANNER_BYTES, "bytes"),
        ("path of the socket", limits::SOCKET_PATH, "bytes"),
        ("a line on stderr", limits::STDERR_LINE, "bytes"),
        ("a gRPC message", limits::MESSAGE, "bytes"),
        ("data of a chunk, as a plugin should send it", limits::CHUNK, "bytes"),
        ("text of a status, as shown", limits::STATUS_TEXT, "characters"),
    ];
    for (what, limit, unit) in rows {
        let row = format!("\n| {what} | {limit} {unit} ");
        assert!(TEXT.contains(&row), "{row}");
    }
}

#[test]
fn every_call_and_message_field_is_named() {
    let descriptors = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("made by this build");
    for file in descriptors.file.iter().filter(|file| !file.package().starts_with("google")) {
        let calls = file.service.iter().flat_map(|service| &service.method).map(|method| method.name());
        let fields = file.message_type.iter().flat_map(|message| &message.field).map(|field| field.name());
        for name in calls.chain(fields) {
            let quoted = [format!("`{name}`"), format!("`{name}:"), format!(".{name}`"), format!("/{name}`")];
            assert!(quoted.iter().any(|quoted| TEXT.contains(quoted)), "{name} is not described");
        }
    }
}
