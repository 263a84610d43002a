"""What PROTOCOL.md asks of every plugin, seen from the socket."""
import json
import os
import re
import shutil
import signal
import stat
import threading
from datetime import datetime

import pytest
from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from grpc_health.v1 import health_pb2
from harness import plugin as plugins
from harness import programs, tree
from harness.plugin import events, refused, resource
from plugin import grpc_controller_pb2


@pytest.fixture
def plugin(directory):
    with plugins.started(directory) as started:
        yield started.connect()


@pytest.fixture
def zip_plugin(plugin):
    plugin.init("fsspec", {"protocol": "zip"})
    return plugin


def test_by_hand_it_says_what_it_is(directory):
    with plugins.started(directory, DRAGONFLY_PLUGIN_MAGIC_COOKIE=None) as plugin:
        status, stdout, stderr = plugin.ended(5)
        assert (status, plugin.line + stdout) == (1, "")
        assert stderr.startswith("This is a source plugin of dfget. It is not meant to be run by hand.")


@pytest.mark.parametrize("offered", ["1", "3,1,2", "2", "", None])
def test_the_handshake_line_has_six_fields_and_the_only_version(directory, offered):
    with plugins.started(directory, PLUGIN_PROTOCOL_VERSIONS=offered) as plugin:
        assert re.fullmatch(rf"1\|1\|unix\|{directory}/plugin\d+\|grpc\|\n", plugin.line)
        assert stat.S_ISSOCK(os.stat(plugin.socket).st_mode)


def test_multiplexing_is_refused_where_it_is_asked_for(directory):
    with plugins.started(directory, PLUGIN_MULTIPLEX_GRPC="true") as plugin:
        assert plugin.line.endswith("|grpc||false\n")


def test_a_socket_path_that_is_too_long_is_told_without_a_handshake(directory):
    with plugins.started(directory, PLUGIN_UNIX_SOCKET_DIR="/" + "x" * 100) as plugin:
        status, _, stderr = plugin.ended(5)
        assert (status, plugin.line) == (1, "")
        assert "too long for a socket" in stderr


def test_what_code_prints_stays_out_of_stdout(directory, tmp_path):
    """A print in some library, before and after the handshake."""
    library = tmp_path / "fsspec-plugin"
    library.mkdir()
    for path in (programs.DIST / "fsspec-plugin").iterdir():
        if path.name != "fsspec_plugin":
            (library / path.name).symlink_to(path)
    shutil.copytree(programs.DIST / "fsspec-plugin/fsspec_plugin", library / "fsspec_plugin", ignore=shutil.ignore_patterns("__pycache__"))
    with open(library / "fsspec_plugin/build.py", "a") as file:
        file.write("print('a banner', flush=True)\n")
    launcher = shutil.copy(programs.PLUGIN, tmp_path)
    with plugins.started(directory, path=launcher) as plugin:
        assert plugin.line.startswith("1|1|unix|")
        plugin.connect().controller.Shutdown(grpc_controller_pb2.Empty(), timeout=1)
        status, stdout, stderr = plugin.ended()
        assert (status, stdout) == (0, "")
        assert "a banner" in stderr


def test_health_knows_plugin_and_nothing_else(plugin):
    answer = plugin.health.Check(health_pb2.HealthCheckRequest(service="plugin"), timeout=plugins.LIMIT)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    code, _ = refused(lambda: plugin.health.Check(health_pb2.HealthCheckRequest(service="other"), timeout=plugins.LIMIT))
    assert code == "NOT_FOUND"


@pytest.mark.parametrize("scheme", ["ftp", "ftps", "github", "sftp", "smb", "tar", "zip"])
def test_each_link_describes_its_scheme(directory, scheme):
    with plugins.started(directory, scheme) as plugin:
        attributes = plugin.connect().init(scheme, describe=True).attributes
        assert (attributes["type"], attributes["name"], attributes["scheme"]) == ("resource", scheme, scheme)
        datetime.fromisoformat(attributes["buildTime"])


def test_a_scheme_that_it_does_not_serve_is_refused(plugin):
    for describe in (True, False):
        code, text = refused(lambda: plugin.init("gopher", describe=describe))
        assert code == "INVALID_ARGUMENT"
        assert "does not serve gopher" in text


def test_every_call_waits_for_init(plugin):
    plugin.init("fsspec", describe=True)
    asked, calls = resource("zip:///a.zip!/b"), plugin.resources
    for call in (
        lambda: calls.GetMetadata(messages.GetMetadataRequest(resource=asked)),
        lambda: calls.GetContentLength(messages.GetContentLengthRequest(resource=asked)),
        lambda: calls.IsSupportRange(messages.IsSupportRangeRequest(resource=asked)),
        lambda: calls.IsExpired(messages.IsExpiredRequest(resource=asked)),
        lambda: calls.GetLastModified(messages.GetLastModifiedRequest(resource=asked)),
        lambda: calls.Download(messages.DownloadRequest(resource=asked)),
        lambda: calls.List(messages.ListRequest(resource=asked)),
    ):
        assert refused(call) == ("INVALID_ARGUMENT", "Init has not succeeded yet")


def test_an_init_that_fails_leaves_the_former_configuration(zip_plugin, zipped):
    assert refused(lambda: zip_plugin.init("fsspec", {"protocol": "ftp", "prot": "1"}))[0] == "INVALID_ARGUMENT"
    metadata = zip_plugin.resources.GetMetadata(messages.GetMetadataRequest(resource=resource(zipped.url(tree.EMPTY)))).metadata
    assert metadata.content_length == 0


def test_a_request_without_a_resource_is_refused(zip_plugin):
    assert refused(lambda: zip_plugin.resources.GetMetadata(messages.GetMetadataRequest()))[0] == "INVALID_ARGUMENT"


def test_the_five_calls_agree_with_the_metadata(zip_plugin, zipped):
    asked, calls = resource(zipped.url(tree.LARGE)), zip_plugin.resources
    metadata = calls.GetMetadata(messages.GetMetadataRequest(resource=asked)).metadata
    assert calls.GetContentLength(messages.GetContentLengthRequest(resource=asked)).content_length == metadata.content_length
    assert calls.IsSupportRange(messages.IsSupportRangeRequest(resource=asked)).support_range == metadata.support_range
    assert calls.GetLastModified(messages.GetLastModifiedRequest(resource=asked)).last_modified == metadata.validator.last_modified

    def expired(validator):
        return calls.IsExpired(messages.IsExpiredRequest(resource=asked, validator=validator)).expired

    assert not expired(metadata.validator)
    assert not expired(messages.Validator(last_modified=metadata.validator.last_modified))
    assert expired(messages.Validator(etag='"other"', last_modified=metadata.validator.last_modified))
    assert expired(None)


def test_a_stream_is_opened_then_chunks_without_a_gap_then_end(zip_plugin, zipped, root):
    opened, *chunks, end = events(zip_plugin, zipped.url(tree.LARGE))
    assert opened.WhichOneof("event") == "opened"
    assert opened.opened.range.length == opened.opened.metadata.content_length
    offset = 0
    for event in chunks:
        assert event.chunk.offset == offset
        assert 0 < len(event.chunk.data) <= 1 << 20
        offset += len(event.chunk.data)
    assert b"".join(event.chunk.data for event in chunks) == (root / tree.LARGE).read_bytes()
    assert end.end.total == offset


def test_an_empty_resource_is_opened_and_ended(zip_plugin, zipped):
    opened, end = events(zip_plugin, zipped.url(tree.EMPTY))
    assert (opened.opened.range.start, opened.opened.range.length) == (0, 0)
    assert (end.WhichOneof("event"), end.end.total) == ("end", 0)


def test_another_version_is_refused_before_any_byte(zip_plugin, zipped):
    for validator in (messages.Validator(etag='"other"'), messages.Validator(last_modified=1)):
        assert refused(lambda: zip_plugin.resources.Download(messages.DownloadRequest(
            resource=resource(zipped.url(tree.LARGE)), validator=validator)))[0] == "FAILED_PRECONDITION"


@pytest.mark.parametrize("url", ["zip:/a.zip!/b", "zip:///a.zip!/b?c", "zip:///a.zip!/b#c", "zip:///a.zip!/%00", "zip:///a.zip!/%FF",
                                 "zip://host/a.zip!/b", "zip:///a.zip", "zip://:99999/a.zip!/b"])
def test_a_url_that_makes_no_sense_is_refused(zip_plugin, url):
    assert refused(lambda: zip_plugin.resources.GetMetadata(messages.GetMetadataRequest(resource=resource(url))))[0] == "INVALID_ARGUMENT"


def test_a_hundred_streams_and_health_beside_them(zip_plugin, zipped):
    request = messages.DownloadRequest(resource=resource(zipped.url(tree.LARGE)))
    streams = [zip_plugin.resources.Download(request) for _ in range(100)]
    for stream in streams:
        assert next(stream).WhichOneof("event") == "opened"
    answer = zip_plugin.health.Check(health_pb2.HealthCheckRequest(service="plugin"), timeout=plugins.LIMIT)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    for stream in streams:
        stream.cancel()


def memory(process):
    [kilobytes] = re.findall(r"VmRSS:\s+(\d+) kB", open(f"/proc/{process.pid}/status").read())
    return int(kilobytes) * 1024


def test_a_host_that_does_not_read_is_not_read_ahead_for(zip_plugin, zipped):
    before = memory(zip_plugin.process)
    stream = zip_plugin.resources.Download(messages.DownloadRequest(resource=resource(zipped.url(tree.LARGE))))
    next(stream)
    # Others get through meanwhile, so that it had its time.
    for _ in range(3):
        events(zip_plugin, zipped.url("sub/deep/leaf"))
    assert memory(zip_plugin.process) - before < 12 << 20
    stream.cancel()


@pytest.mark.parametrize("how", ["Shutdown", "SIGTERM", "life line"])
@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_within_a_second(zip_plugin, zipped, how, busy):
    if busy:
        stream = zip_plugin.resources.Download(messages.DownloadRequest(resource=resource(zipped.url(tree.LARGE))))
        next(stream)
    socket = zip_plugin.socket
    if how == "Shutdown":
        zip_plugin.controller.Shutdown(grpc_controller_pb2.Empty(), timeout=1)
    elif how == "SIGTERM":
        zip_plugin.process.terminate()
    else:
        zip_plugin.process.stdin.close()
    status, stdout, _ = zip_plugin.ended()
    assert (status, stdout) == (0, "")
    assert how == "life line" or not os.path.exists(socket)


def test_it_ignores_sigint(plugin):
    os.kill(plugin.process.pid, signal.SIGINT)
    plugin.health.Check(health_pb2.HealthCheckRequest(service="plugin"), timeout=plugins.LIMIT)


def test_stdin_is_no_life_line_unless_the_host_says_so(directory):
    with plugins.started(directory, DRAGONFLY_PLUGIN_LIFE_LINE=None) as plugin:
        plugin.connect()
        plugin.process.stdin.close()
        plugin.health.Check(health_pb2.HealthCheckRequest(service="plugin"), timeout=plugins.LIMIT)
        plugin.process.terminate()
        plugin.process.stdin = open(os.devnull)
        assert plugin.ended()[0] == 0


def test_stderr_is_json_and_stdout_nothing_more(zip_plugin):
    zip_plugin.controller.Shutdown(grpc_controller_pb2.Empty(), timeout=1)
    status, stdout, stderr = zip_plugin.ended()
    assert (status, stdout) == (0, "")
    lines = [json.loads(line) for line in stderr.splitlines()]
    assert lines
    for line in lines:
        assert line["@level"] in ("debug", "info", "warn", "error")
        assert isinstance(line["@message"], str)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", line["@timestamp"])


def test_a_socket_file_that_is_gone_disturbs_nobody(zip_plugin, zipped):
    os.unlink(zip_plugin.socket)
    assert len(events(zip_plugin, zipped.url(tree.EMPTY))) == 2
    zip_plugin.process.terminate()
    assert zip_plugin.ended()[0] == 0


def test_a_cancelled_download_ends_its_thread(zip_plugin, zipped):
    """128 threads serve the calls: were they lost, the 129th download would wait for ever."""
    done = threading.Event()

    def many():
        for _ in range(150):
            stream = zip_plugin.resources.Download(messages.DownloadRequest(resource=resource(zipped.url(tree.LARGE))))
            next(stream)
            stream.cancel()
        done.set()

    threading.Thread(target=many, daemon=True).start()
    assert done.wait(plugins.LIMIT)
    assert len(events(zip_plugin, zipped.url(tree.EMPTY))) == 2
