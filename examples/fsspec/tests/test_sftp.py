"""What only SFTP has: host keys, ways to log in, links, channels that share a connection."""
import os
import socket

import pytest
from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from harness import plugin as plugins
from harness import servers, tree
from harness.plugin import body, listing, metadata, refused, resource, until


@pytest.fixture
def own_root(shared, request):
    """A directory of this test alone, by sftp."""
    path = shared / request.node.name
    path.mkdir()
    return path


@pytest.fixture
def own_url(sshd, own_root):
    return f"sftp://127.0.0.1:{sshd.port}{own_root}/"


def asked(plugin, url):
    return lambda: metadata(plugin, url)


def test_a_host_key_that_nobody_knows_is_refused_unless_it_is_to_be_trusted(plugin_of, sftp, tmp_path):
    (tmp_path / "known").touch()
    options = sftp.options | {"known_hosts": tmp_path / "known"}
    code, text = refused(asked(plugin_of("sftp", options), sftp.url(tree.EMPTY)))
    assert (code, "host key is not known" in text) == ("UNAUTHENTICATED", True)
    trusting = plugin_of("sftp", options | {"host_key_policy": "auto_add"})
    assert metadata(trusting, sftp.url(tree.EMPTY)).content_length == 0


def test_another_host_key_than_the_known_one_is_refused_whatever_the_policy(plugin_of, sftp, sshd, ssh_directory, tmp_path):
    kind, key, *_ = (ssh_directory / "stranger.pub").read_text().split()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    options = sftp.options | {"known_hosts": tmp_path / "known"}
    for policy in ("reject", "auto_add"):
        code, text = refused(asked(plugin_of("sftp", options | {"host_key_policy": policy}), sftp.url(tree.EMPTY)))
        assert (code, "is another one" in text) == ("UNAUTHENTICATED", True), policy


def test_a_key_that_the_server_does_not_know_is_refused(plugin_of, sftp, ssh_directory):
    plugin = plugin_of("sftp", sftp.options | {"key_filename": ssh_directory / "stranger"})
    assert refused(asked(plugin, sftp.url(tree.EMPTY)))[0] == "UNAUTHENTICATED"


def test_a_key_behind_a_passphrase_is_opened_with_it(plugin_of, sftp, ssh_directory):
    options = sftp.options | {"key_filename": ssh_directory / "locked"}
    assert refused(asked(plugin_of("sftp", options), sftp.url(tree.EMPTY)))[0] == "UNAUTHENTICATED"
    assert refused(asked(plugin_of("sftp", options | {"passphrase": "wrong one"}), sftp.url(tree.EMPTY)))[0] == "UNAUTHENTICATED"
    assert metadata(plugin_of("sftp", options | {"passphrase": "open sesame"}), sftp.url(tree.EMPTY)).content_length == 0


def test_no_credentials_at_all_are_told_as_that(plugin_of, sftp):
    plugin = plugin_of("sftp", {name: value for name, value in sftp.options.items() if name != "key_filename"})
    assert refused(asked(plugin, sftp.url(tree.EMPTY)))[0] == "UNAUTHENTICATED"


def test_a_server_that_is_not_there_is_unavailable(plugin_of, sftp):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"sftp://127.0.0.1:{bound.getsockname()[1]}/file"
        assert refused(asked(plugin_of("sftp", sftp.options), url))[0] == "UNAVAILABLE"


def test_a_name_that_does_not_resolve_is_unavailable(plugin_of, sftp):
    code, text = refused(asked(plugin_of("sftp", sftp.options), "sftp://nowhere.invalid/file"))
    assert code == "UNAVAILABLE", text


def test_a_path_behind_a_tilde_is_beneath_the_home_directory(plugin_of, sftp, sshd):
    home = os.path.expanduser("~")
    plugin = plugin_of("sftp", sftp.options)
    there = f"sftp://127.0.0.1:{sshd.port}"
    assert listing(plugin, f"{there}/~/").keys() == listing(plugin, f"{there}{home}").keys()


def test_links_to_files_are_files_and_others_are_left_out(plugin_of, sftp, own_root, own_url):
    (own_root / "file").write_bytes(b"content")
    (own_root / "to-file").symlink_to("file")
    (own_root / "to-directory").symlink_to(".")
    (own_root / "to-nothing").symlink_to("nothing")
    os.mkfifo(own_root / "fifo")
    plugin = plugin_of("sftp", sftp.options)
    entries = listing(plugin, own_url)
    assert sorted(entries) == ["file", "to-file"]
    assert entries["to-file"].metadata == entries["file"].metadata == metadata(plugin, own_url + "to-file")
    assert body(plugin, own_url + "to-file") == b"content"
    assert refused(asked(plugin, own_url + "fifo"))[0] == "INVALID_ARGUMENT"


def test_a_question_mark_is_a_part_of_a_name_where_it_is_written_so(plugin_of, sftp, own_root, own_url):
    (own_root / "what?*[1]").write_bytes(b"content")
    plugin = plugin_of("sftp", sftp.options)
    assert list(listing(plugin, own_url)) == ["what?*[1]"]
    assert body(plugin, own_url + "what%3F*[1]") == b"content"


def test_a_name_that_is_not_utf_8_is_told_and_not_left_out(plugin_of, sftp, own_root, own_url):
    (own_root / os.fsdecode(b"latin-\xe9")).touch()
    code, text = refused(lambda: listing(plugin_of("sftp", sftp.options), own_url))
    assert (code, "not in the encoding" in text) == ("INVALID_ARGUMENT", True)


def slowly(plugin, url, meanwhile):
    """Reads the beginning, has something happen, reads the rest."""
    stream = plugin.resources.Download(messages.DownloadRequest(resource=resource(url)))
    next(stream)
    next(stream)
    meanwhile()
    for _ in stream:
        pass


def test_a_file_that_is_written_while_it_is_read_is_no_whole_one(plugin_of, sftp, own_root, own_url):
    path = own_root / "file"
    for change in (lambda: path.write_bytes(b"short"), lambda: os.utime(path, (1, 1))):
        path.write_bytes(bytes(24 << 20))
        plugin = plugin_of("sftp", sftp.options)
        assert refused(lambda: slowly(plugin, own_url + "file", change))[0] == "FAILED_PRECONDITION"


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(plugin_of, sftp, own_root, own_url):
    path, other = own_root / "file", own_root / "other"
    path.write_bytes(bytes(24 << 20))
    other.write_bytes(b"other")
    slowly(plugin_of("sftp", sftp.options), own_url + "file", lambda: other.replace(path))
    assert path.read_bytes() == b"other"


def test_calls_share_connections(plugin_of, sftp, sshd):
    plugin, before = plugin_of("sftp", sftp.options), sshd.accepted
    streams = [plugin.resources.Download(messages.DownloadRequest(resource=resource(sftp.url(tree.LARGE)))) for _ in range(16)]
    for stream in streams:
        assert next(stream).WhichOneof("event") == "opened"
    assert sshd.accepted - before == 2
    for stream in streams:
        stream.cancel()


def test_a_server_that_allows_few_channels_gets_more_connections(plugin_of, sftp, root, tmp_path):
    with servers.openssh(tmp_path, "MaxSessions 2") as server:
        options = sftp.options | {"known_hosts": tmp_path / "known", "key_filename": tmp_path / "user"}
        plugin, url = plugin_of("sftp", options), f"sftp://127.0.0.1:{server.port}{root}/{tree.LARGE}"
        streams = [plugin.resources.Download(messages.DownloadRequest(resource=resource(url))) for _ in range(6)]
        assert [next(stream).WhichOneof("event") for stream in streams] == ["opened"] * 6
        assert server.accepted == 3


def test_a_server_that_allows_no_channel_is_unavailable(plugin_of, sftp, root, tmp_path):
    with servers.openssh(tmp_path, "MaxSessions 0") as server:
        options = sftp.options | {"known_hosts": tmp_path / "known", "key_filename": tmp_path / "user"}
        assert refused(asked(plugin_of("sftp", options), f"sftp://127.0.0.1:{server.port}{root}/"))[0] == "UNAVAILABLE"
        assert server.accepted == 1


def test_a_connection_that_died_between_calls_is_made_anew(plugin_of, sftp, sshd):
    plugin = plugin_of("sftp", sftp.options)
    assert metadata(plugin, sftp.url(tree.EMPTY)).content_length == 0
    sshd.end_connections()
    assert metadata(plugin, sftp.url(tree.EMPTY)).content_length == 0


def sockets(process):
    links = (os.readlink(path) for path in os.scandir(f"/proc/{process.pid}/fd"))
    return sum(link.startswith("socket:") for link in links)


def test_a_download_from_a_server_that_hangs_is_given_up_within_a_second(plugin_of, sftp, sshd):
    plugin = plugin_of("sftp", sftp.options)
    before = sockets(plugin.process)
    stream = plugin.resources.Download(messages.DownloadRequest(resource=resource(sftp.url(tree.LARGE))))
    next(stream)
    with sshd.hanging():
        stream.cancel()
        until(lambda: sockets(plugin.process) == before)


def test_a_directory_of_thousands_comes_in_several_messages(plugin_of, sftp, own_root, own_url):
    for number in range(2000):
        (own_root / str(number)).touch()
    answers = list(plugin_of("sftp", sftp.options).resources.List(messages.ListRequest(resource=resource(own_url)), timeout=plugins.LIMIT))
    assert len(answers) > 4
    assert {entry.name for answer in answers for entry in answer.entries} == {str(number) for number in range(2000)}
