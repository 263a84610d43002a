"""github:// against a stand-in for GitHub's API on the loopback interface. No test here has seen GitHub itself."""
import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from harness.plugin import body, events, listing, metadata, refused

TOKEN = "ghp_0123456789"
FILES = {"README.md": b"# read me\n", "src/deep/large.bin": bytes(range(256)) * 20_000, "src/empty": b""}
COMMIT = "c0ffee" + "0" * 34


def name(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def tree(directory):
    """Names and entries directly beneath, as GitHub lists them."""
    found = {}
    for path, content in FILES.items():
        if not path.startswith(directory):
            continue
        first, slash, _ = path[len(directory):].partition("/")
        kind = {"type": "tree", "sha": tree_name(directory + first + "/"), "mode": "040000"}
        blob = {"type": "blob", "sha": name(content), "size": len(content), "mode": "100644"}
        found[first] = {"path": first} | (kind if slash else blob)
    return [*found.values(), {"path": "module", "type": "commit", "sha": "0" * 40, "mode": "160000"}]


def tree_name(directory):
    return hashlib.sha1(directory.encode()).hexdigest() if directory else COMMIT


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.refusal:
            status, header = self.server.refusal
            return self.answer(b"{}", status, header)
        if self.server.private and self.headers.get("Authorization") != "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode():
            return self.answer(b"{}", 401)
        self.answer(*self.found(self.path.removeprefix("/api/repos/octo/hello/")))

    def found(self, path):
        trees = {tree_name(directory): tree(directory) for directory in ("", "src/", "src/deep/")}
        blobs = {name(content): content for content in FILES.values()}
        kind, _, sha = path.partition("/")
        if kind == "commits":
            return (COMMIT.encode(), 200) if sha in ("HEAD", "v1", "feature%2Fx") else (b"{}", 422)
        sha = sha.partition("/")[2]
        if path.startswith("git/trees/") and sha in trees:
            return json.dumps({"tree": trees[sha]}).encode(), 200
        if path.startswith("git/blobs/") and sha in blobs:
            return blobs[sha], 200
        return b"{}", 404

    def answer(self, content, status=200, header=()):
        self.send_response(status)
        for pair in dict(header).items():
            self.send_header(*pair)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.cut])
        if self.server.cut is not None:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    # By default five connections wait to be accepted, and those of a burst are dropped for seconds.
    request_queue_size = 128


@pytest.fixture
def api():
    server = Server(("127.0.0.1", 0), Api)
    server.asked, server.refusal, server.private, server.cut = [], None, False, None
    server.options = {"api_url": f"http://127.0.0.1:{server.server_port}/api"}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("url", ["github://octo/hello/src/deep/large.bin", "github://octo/hello@v1/src/deep/large.bin",
                                 "github://octo:hello@v1/src/deep/large.bin"])
def test_a_file_arrives_as_it_is(api, host, tmp_path, url):
    outcome = host.run(url, "-O", tmp_path / "copy", options=api.options)
    assert outcome.status == 0, outcome.stderr
    assert (tmp_path / "copy").read_bytes() == FILES["src/deep/large.bin"]


def test_a_tree_arrives_as_it_is_without_submodules(api, host, tmp_path):
    outcome = host.run("-r", "github://octo/hello", "-O", tmp_path / "copy", options=api.options | {"sha": "feature/x"})
    assert outcome.status == 0, outcome.stderr
    assert {str(path.relative_to(tmp_path / "copy")): path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()} == FILES


def test_the_plugin_keeps_the_rules_of_the_protocol(api, host):
    url = "github://octo/hello@v1"
    outcome = host.validate("github", f"{url}/src/deep/large.bin", missing=f"{url}/none", empty=f"{url}/src/empty",
                            directory=f"{url}/src", options=api.options)
    assert outcome.status == 0, outcome.stdout + outcome.stderr


def test_the_name_of_the_blob_is_its_version(api, plugin_of):
    plugin = plugin_of("github", api.options)
    found = metadata(plugin, "github://octo/hello/README.md")
    assert (found.validator.etag, found.content_length, found.support_range) == (f'"{name(FILES["README.md"])}"', 10, False)
    assert listing(plugin, "github://octo/hello/")["README.md"].metadata == found


def test_a_range_is_answered_from_the_beginning(api, plugin_of):
    url, asked = "github://octo/hello/README.md", messages.Range(start=2, length=4)
    opened, *chunks, end = events(plugin_of("github", api.options), url, range=asked)
    assert (opened.opened.range.start, opened.opened.range.length, end.end.total) == (0, 10, 10)
    assert b"".join(event.chunk.data for event in chunks) == FILES["README.md"]


def test_the_ref_is_asked_for_once(api, plugin_of):
    plugin = plugin_of("github", api.options)
    for path in ("README.md", "src/empty", "src/deep/large.bin"):
        body(plugin, f"github://octo/hello/{path}")
    assert sum("/commits/" in path for path in api.asked) == 1


@pytest.mark.parametrize("url", ["github://octo/hello/none", "github://octo/hello/README.md/none", "github://octo/none/README.md",
                                 "github://octo/hello@none/README.md"])
def test_what_does_not_exist_is_not_found(api, plugin_of, url):
    assert refused(lambda: metadata(plugin_of("github", api.options), url))[0] == "NOT_FOUND"


def test_a_private_repository_needs_the_token(api, plugin_of):
    api.private = True
    url = "github://octo/hello/README.md"
    assert refused(lambda: metadata(plugin_of("github", api.options), url))[0] == "UNAUTHENTICATED"
    code, text = refused(lambda: metadata(plugin_of("github", api.options | {"token": "ghp_wrong_one"}), url))
    assert (code, "ghp_" in text) == ("UNAUTHENTICATED", False)
    assert body(plugin_of("github", api.options | {"token": TOKEN}), url) == FILES["README.md"]


@pytest.mark.parametrize("status, header, code", [
    (403, {}, "PERMISSION_DENIED"), (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, "UNAVAILABLE"),
    (429, {"Retry-After": "7"}, "UNAVAILABLE"), (503, {}, "UNAVAILABLE"), (418, {}, "INTERNAL"),
])
def test_a_refusal_of_github_has_its_code(api, plugin_of, status, header, code):
    api.refusal = status, header
    assert refused(lambda: metadata(plugin_of("github", api.options), "github://octo/hello/README.md"))[0] == code


def test_github_says_when_to_come_back(api, host, tmp_path):
    api.refusal = 429, {"Retry-After": "1"}
    outcome = host.run("github://octo/hello/README.md", "-O", tmp_path / "copy", "--tries", 2, "--json", options=api.options)
    assert outcome.status == 22, outcome.stderr
    assert '"in":1.0' in outcome.stdout, outcome.stdout


def test_a_body_that_is_cut_off_is_never_a_whole_one(api, plugin_of):
    plugin = plugin_of("github", api.options)
    metadata(plugin, "github://octo/hello/src/deep/large.bin")
    api.cut = 100_000
    assert refused(lambda: body(plugin, "github://octo/hello/src/deep/large.bin"))[0] in ("UNAVAILABLE", "DATA_LOSS")
