//! The rules, as data: PROTOCOL.md names each by its id, and has this table.

use std::fmt;

/// One thing that PROTOCOL.md asks of a plugin, and that can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// By which PROTOCOL.md names it: a group, a dot, a name.
    pub id: &'static str,
    /// How much depends on it.
    pub level: Level,
    /// The heading in PROTOCOL.md under which it stands.
    pub section: &'static str,
    /// What holds of a plugin that keeps it.
    pub title: &'static str,
    /// What the author of one that does not can do about it.
    pub advice: &'static str,
}

/// The meaning of RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A host relies on it.
    Must,
    /// There may be reasons to do otherwise.
    Should,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        })
    }
}

impl Rule {
    /// The rule of this id, if there is one.
    #[must_use]
    pub fn of_id(id: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.id == id)
    }
}

use Level::{Must, Should};

const fn rule(
    id: &'static str,
    level: Level,
    section: &'static str,
    title: &'static str,
    advice: &'static str,
) -> Rule {
    Rule { id, level, section, title, advice }
}

/// All of them, in the order in which they are told.
pub const RULES: &[Rule] = &[
    rule(
        "start.by-hand",
        Should,
        "Set by the host",
        "without the cookie it says on stderr what it is, and exits with 1",
        "compare DRAGONFLY_PLUGIN_MAGIC_COOKIE before anything else; stdout stays empty",
    ),
    rule(
        "handshake.line",
        Must,
        "Handshake line",
        "it writes a handshake line in time, and every field of it is right",
        "listen first, then write `1|1|unix|PATH|grpc|` and a newline to stdout, and flush it",
    ),
    rule(
        "handshake.first",
        Must,
        "Handshake line",
        "nothing comes before the handshake line on stdout",
        "take stdout away from all other code before it runs: put stderr in its place, and keep a duplicate",
    ),
    rule(
        "handshake.version",
        Must,
        "Versions and features",
        "it answers the highest protocol version that both ends speak",
        "parse PLUGIN_PROTOCOL_VERSIONS as integers with `,` between them, in any order; versions you do not know are none",
    ),
    rule(
        "handshake.socket",
        Must,
        "Handshake line",
        "the address is a socket of its own directly in PLUGIN_UNIX_SOCKET_DIR, or a loopback address with TLS",
        "make it there, and print the value of the variable as it is, `/` and one name",
    ),
    rule(
        "handshake.certificate",
        Must,
        "AutoMTLS",
        "field 6 is empty where no host asked for a certificate",
        "look at PLUGIN_CLIENT_CERT: absent and empty are the same",
    ),
    rule(
        "handshake.multiplex",
        Must,
        "Handshake line",
        "field 7 is there where PLUGIN_MULTIPLEX_GRPC is set, and only there",
        "print `|false` at the end of the line where that variable is not empty",
    ),
    rule(
        "stdout.silent",
        Must,
        "stdout and stderr",
        "nothing comes after the handshake line on stdout",
        "point the language's stdout to stderr once the line is written",
    ),
    rule(
        "stderr.hclog",
        Must,
        "stdout and stderr",
        "in JSON lines on stderr `@level`, `@message` and `@timestamp` are strings",
        "turn them into strings: a go-plugin host panics at anything else",
    ),
    rule(
        "stderr.length",
        Should,
        "stdout and stderr",
        "lines on stderr have at most 64 KiB",
        "cut what is logged: hosts drop the rest",
    ),
    rule(
        "log.secrets",
        Must,
        "stdout and stderr",
        "neither header values nor option values are logged",
        "log names only; an error names the option, and not its value",
    ),
    rule(
        "connection.grpc",
        Must,
        "Connection",
        "behind its socket is a gRPC server, over HTTP/2 with prior knowledge",
        "serve h2c without TLS, and listen before the handshake line is written",
    ),
    rule(
        "connection.again",
        Should,
        "Handshake line",
        "it accepts further connections",
        "go on accepting, and leave the socket's file in its place until the end",
    ),
    rule(
        "health.serving",
        Must,
        "Side services",
        "it does not say of itself that it is not serving",
        "set the service `plugin` to SERVING before the handshake line",
    ),
    rule(
        "life.serves",
        Must,
        "Life of a plugin",
        "it keeps serving until it is asked to end",
        "catch what ends the process or its connection; the last lines on stderr may say what it was",
    ),
    rule(
        "init.describe",
        Must,
        "`Init`",
        "`Init` with `describe` and no options is answered with the attributes",
        "do not look for options there",
    ),
    rule(
        "init.first",
        Must,
        "`Init`",
        "before an `Init` without `describe` every other call is INVALID_ARGUMENT",
        "keep a flag that such an `Init` sets, and look at it in each call",
    ),
    rule(
        "init.answer",
        Must,
        "`Init`",
        "`Init` with the given options succeeds",
        "look at the reason; are all options there that it requires?",
    ),
    rule(
        "init.attributes",
        Must,
        "`Init`",
        "the attributes have `type` resource, and as `name` and `scheme` the scheme that was asked for",
        "answer with `scheme` of the request where the plugin serves it",
    ),
    rule(
        "init.options",
        Should,
        "`Init`",
        "an option that it does not know is INVALID_ARGUMENT, and named",
        "compare the keys of the options with those you know",
    ),
    rule(
        "init.again",
        Must,
        "`Init`",
        "a further `Init` is answered, and one that fails leaves the former configuration as it was",
        "make the new configuration first, and put it in the place of the old one when that succeeded",
    ),
    rule(
        "init.features",
        Must,
        "Features",
        "features of the host that it does not know are ignored",
        "look only for those that you know",
    ),
    rule(
        "call.resource",
        Must,
        "Common rules",
        "a call without a `resource` is INVALID_ARGUMENT",
        "an absent message is no empty URL: check for it",
    ),
    rule(
        "metadata.required",
        Must,
        "ResourceClient",
        "it serves GetContentLength, IsSupportRange, IsExpired and GetLastModified",
        "they can be answered from what GetMetadata knows",
    ),
    rule("metadata.get", Should, "ResourceClient", "it serves GetMetadata", "it saves three round trips a download"),
    rule(
        "metadata.agree",
        Must,
        "`GetContentLength`, `IsSupportRange`, `IsExpired`, `GetLastModified`",
        "the short calls and GetMetadata say the same",
        "answer all of them from one function; unknown is -2 as a length and -1 as a time",
    ),
    rule(
        "metadata.served",
        Must,
        "`GetMetadata`",
        "the length that is told is the length of what is served",
        "leave content_length away where it is not known",
    ),
    rule(
        "metadata.digests",
        Must,
        "`GetMetadata`",
        "announced digests are well-formed, and those of what is served",
        "lower-case hexadecimal without a prefix, of the whole resource",
    ),
    rule(
        "validator.stable",
        Must,
        "Common rules",
        "the same version has the same validator in every answer",
        "make it of what the storage says, and of nothing that differs from call to call",
    ),
    rule(
        "validator.expired",
        Must,
        "`GetContentLength`, `IsSupportRange`, `IsExpired`, `GetLastModified`",
        "IsExpired is false for the current validator, and true for another one and for none",
        "compare ETags byte for byte; where not both have one, the times in milliseconds; else it is expired",
    ),
    rule(
        "validator.held",
        Must,
        "`Download`",
        "a download with the current validator is served, and one with another is FAILED_PRECONDITION",
        "compare before the first byte is sent",
    ),
    rule(
        "validator.restart",
        Must,
        "Restart",
        "a new process gives the same validator, and serves the one that the old process gave",
        "do not make it of anything that is random in a process, such as the hash of a string",
    ),
    rule(
        "download.answer",
        Must,
        "`Download`",
        "a download of the whole resource is served",
        "look at the status: does the resource exist, and may it be read?",
    ),
    rule(
        "download.opened",
        Must,
        "`Download`",
        "`Opened` comes first, once, and names a range within the resource",
        "send it as soon as it is known what is served",
    ),
    rule(
        "download.chunks",
        Must,
        "`Download`",
        "chunks follow each other without gap or overlap, none is empty, and none reaches behind the range",
        "`offset` is the position in the resource, not in the range",
    ),
    rule(
        "download.end",
        Must,
        "`Download`",
        "`End` comes last, has the number of bytes that came, and is followed by OK",
        "send `End` only when the body is complete, and an error where it is not",
    ),
    rule(
        "download.message",
        Must,
        "Connection",
        "no message is longer than 4 MiB",
        "cut the body into chunks of 64 KiB to 1 MiB",
    ),
    rule(
        "download.chunk-size",
        Should,
        "Connection",
        "no chunk is longer than 1 MiB",
        "cut the body into chunks of 64 KiB to 1 MiB",
    ),
    rule(
        "download.progress",
        Must,
        "Limits",
        "a download never pauses without `Waiting` for longer than a host waits",
        "give up on a storage that hangs: UNAVAILABLE or DEADLINE_EXCEEDED",
    ),
    rule(
        "download.empty",
        Must,
        "`Download`",
        "an empty resource is `Opened`, `End` with total 0, and OK",
        "a range with start 0 is within an empty resource",
    ),
    rule(
        "download.parallel",
        Must,
        "Life of a plugin",
        "eight downloads at the same time are served, each complete and the same",
        "are there enough threads, and is nothing shared that one download moves for another?",
    ),
    rule(
        "cancel.frees",
        Should,
        "`Download`",
        "cancelled downloads are over within 1 s: threads, files and connections are free for others",
        "stop the producer when its stream is gone; a producer that waits for a full stream has to notice that, too; a \
         pool may keep connections, and has to stop growing",
    ),
    rule(
        "cancel.others",
        Must,
        "`Download`",
        "while other downloads are cancelled, one goes on",
        "cancel what belongs to the call alone",
    ),
    rule(
        "range.support",
        Must,
        "`GetMetadata`",
        "ranges are served if and only if `support_range` says so",
        "a resource whose ranges are not honoured has `support_range` false",
    ),
    rule(
        "range.answer",
        Must,
        "`Download`",
        "`Opened.range` is what was asked for, or all from 0",
        "give its start and its length as they are going to be served",
    ),
    rule(
        "range.bytes",
        Must,
        "`Download`",
        "the bytes of a range are those that the whole has there",
        "the range counts from the beginning of the resource, and `length` is no end",
    ),
    rule(
        "range.past-end",
        Must,
        "`Download`",
        "a range that ends behind the end is served up to the end",
        "shorten it, and say so in `Opened.range.length`",
    ),
    rule(
        "range.beyond",
        Must,
        "`Download`",
        "a range that begins at or behind the end is OUT_OF_RANGE",
        "check that before Opened",
    ),
    rule(
        "error.not-found",
        Must,
        "Common rules",
        "a resource that does not exist is NOT_FOUND, in every call",
        "map what the storage says; INTERNAL and UNKNOWN are for bugs",
    ),
    rule(
        "error.directory",
        Must,
        "`Download`",
        "a download of a directory is INVALID_ARGUMENT",
        "look at what it is before Opened",
    ),
    rule(
        "list.answer",
        Must,
        "`List`",
        "a directory is listed, to the end and in time",
        "a broken listing ends with an error, and a whole one with OK",
    ),
    rule(
        "list.names",
        Must,
        "`List`",
        "names are of one level, without separators and control characters, and of at most 255 bytes",
        "the last segment of the path alone, not percent-encoded",
    ),
    rule(
        "list.once",
        Must,
        "`List`",
        "each name comes once",
        "storages with prefixes have a file and a directory of one name: list one of them",
    ),
    rule(
        "list.entries",
        Must,
        "`List`",
        "what is listed is there: the same plugin knows it, with the metadata that the listing tells",
        "without `url` it is beneath the listed URL under its percent-encoded name",
    ),
    rule(
        "list.file",
        Must,
        "`List`",
        "a listing of what is no directory is INVALID_ARGUMENT",
        "an empty listing would be an empty directory",
    ),
    rule(
        "end.shutdown",
        Must,
        "`plugin.GRPCController/Shutdown`",
        "it ends within 1 s of Shutdown, also with open streams",
        "end the streams yourself: a graceful stop of a server waits for them",
    ),
    rule(
        "end.sigterm",
        Must,
        "Life of a plugin",
        "it ends within 1 s of SIGTERM",
        "a launcher script has to `exec` the program",
    ),
    rule(
        "end.life-line",
        Should,
        "Life line",
        "it ends within 1 s of the end of stdin where DRAGONFLY_PLUGIN_LIFE_LINE is `stdin`",
        "read stdin in the background; a launcher script has to hand it on",
    ),
    rule(
        "end.stdin",
        Must,
        "Life line",
        "it goes on without stdin where that variable is absent, or stdin is no pipe",
        "watch stdin only where the variable is `stdin`, and fstat says that it is a pipe or a socket",
    ),
    rule("end.sigint", Should, "Life of a plugin", "SIGINT does not end it", "ignore it: the host decides on the end"),
    rule(
        "end.socket",
        Should,
        "Handshake line",
        "after Shutdown its socket's file is gone",
        "remove it, and do not mind if the host has done so before",
    ),
    rule(
        "end.nothing-left",
        Must,
        "Life of a plugin",
        "no process that it started outlives it",
        "wait for those you start, and start no daemons",
    ),
    rule(
        "tls.mutual",
        Must,
        "AutoMTLS",
        "asked for a certificate it speaks TLS with it, or refuses to start and says why",
        "do not ignore PLUGIN_CLIENT_CERT; exit with another status than 0, without a handshake line",
    ),
    rule(
        "tls.stranger",
        Must,
        "AutoMTLS",
        "who has another certificate than the host's is not served",
        "require a client certificate, and compare its bytes",
    ),
    rule(
        "tls.nonsense",
        Must,
        "AutoMTLS",
        "a PLUGIN_CLIENT_CERT that is no certificate ends it with another status than 0, without a handshake line",
        "do not go on without TLS",
    ),
    rule(
        "sandbox.default",
        Must,
        "Sandbox",
        "it serves in dfget's default sandbox what it serves outside of it",
        "write beneath TMPDIR alone, and rely on no other variables than those of the table",
    ),
];
