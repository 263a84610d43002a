"""What only FTP has: TLS, listings as ls has them, answers of one number with many meanings."""
import ipaddress
import os

import pytest
from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from harness import certificates, servers, tree
from harness.plugin import body, listing, metadata, refused


@pytest.fixture(scope="session")
def ftps(root, tmp_path_factory):
    directory = tmp_path_factory.mktemp("ftps")
    key, certificate = certificates.make(addresses=[ipaddress.ip_address("127.0.0.1")])
    (directory / "both.pem").write_bytes(key + certificate)
    (directory / "certificate.pem").write_bytes(certificate)
    with servers.pyftpd(root, directory / "both.pem") as server:
        server.url = f"127.0.0.1:{server.port}/"
        server.options = {"username": "ada", "password": "s3cret word", "ca_file": directory / "certificate.pem"}
        yield server


def test_ftps_downloads_and_lists(ftps, host, root, tmp_path):
    outcome = host.run("-r", f"ftps://{ftps.url}", "-O", tmp_path / "copy", options=ftps.options)
    assert outcome.status == 0, outcome.stderr
    assert tree.content(tmp_path / "copy") == tree.content(root)


def test_ftps_downloads_pieces(ftps, host, root, tmp_path):
    outcome = host.run(f"ftps://{ftps.url}{tree.LARGE}", "-O", tmp_path / "copy", "-n", 4, "--piece-length", "4M", options=ftps.options)
    assert (outcome.status, outcome.stderr.count("WARN")) == (0, 0), outcome.stderr
    assert (tmp_path / "copy").read_bytes() == (root / tree.LARGE).read_bytes()


def test_ftps_keeps_the_rules_of_the_protocol(ftps, host):
    url = f"ftps://{ftps.url}"
    outcome = host.validate("ftps", url + tree.LARGE, missing=url + "none", empty=url + tree.EMPTY, directory=url, options=ftps.options)
    assert outcome.status == 0, outcome.stdout + outcome.stderr


def test_a_certificate_that_nobody_vouches_for_is_refused(ftps, plugin_of):
    options = {name: value for name, value in ftps.options.items() if name != "ca_file"}
    code, text = refused(lambda: metadata(plugin_of("ftps", options), f"ftps://{ftps.url}empty"))
    assert (code, "ca_file" in text) == ("UNAUTHENTICATED", True)


def test_without_tls_no_password_goes_to_a_server_that_wants_it(ftps, plugin_of):
    options = {name: value for name, value in ftps.options.items() if name != "ca_file"}
    assert refused(lambda: metadata(plugin_of("ftp", options), f"ftp://{ftps.url}empty"))[0] != "OK"


def test_the_user_and_password_of_a_url_win(ftp, plugin_of):
    plugin = plugin_of("ftp", ftp.wrong)
    assert refused(lambda: metadata(plugin, ftp.url("empty")))[0] == "UNAUTHENTICATED"
    assert metadata(plugin, ftp.url("empty").replace("//", "//ada:s3cret%20word@")).content_length == 0


def test_a_listing_with_times_has_the_versions_of_the_files(ftp, plugin_of):
    plugin = plugin_of("ftp", ftp.options)
    assert listing(plugin, ftp.url(""))[tree.LARGE].metadata == metadata(plugin, ftp.url(tree.LARGE))


def test_a_listing_without_full_times_has_no_versions(vsftpd, plugin_of):
    entry = listing(plugin_of("ftp"), vsftpd.url(""))[tree.LARGE].metadata
    assert (entry.content_length > 0, entry.validator.etag, entry.validator.HasField("last_modified")) == (True, "", False)


def test_links_are_listed_as_the_files_they_lead_to(vsftpd, plugin_of, shared):
    directory = shared / "ftp links"
    directory.mkdir()
    (directory / "file").write_bytes(b"content")
    (directory / "to-file").symlink_to("file")
    (directory / "to-directory").symlink_to(".")
    (directory / "to-nothing").symlink_to("nothing")
    plugin, url = plugin_of("ftp"), vsftpd.root.partition("/tmp/")[0].rstrip("/") + str(directory).replace(" ", "%20")
    assert sorted(listing(plugin, url)) == ["file", "to-file"]
    assert body(plugin, url + "/to-file") == b"content"


def test_a_name_is_no_pattern(vsftpd, plugin_of, shared):
    directory = shared / "ftp [1]*?"
    directory.mkdir()
    (directory / "what?*[1]").write_bytes(b"content")
    plugin, url = plugin_of("ftp"), vsftpd.root.partition("/tmp/")[0].rstrip("/") + str(directory).replace(" ", "%20").replace("?", "%3F")
    assert list(listing(plugin, url)) == ["what?*[1]"]
    assert body(plugin, url + "/what%3F*[1]") == b"content"


def test_a_file_that_may_not_be_read_is_refused_and_not_missing(root, plugin_of):
    with servers.pyftpd(root, rights="el") as server:
        plugin = plugin_of("ftp", {"username": "ada", "password": "s3cret word"})
        assert refused(lambda: body(plugin, f"ftp://127.0.0.1:{server.port}/sub/deep/leaf"))[0] == "PERMISSION_DENIED"


def test_the_connection_is_used_again_after_a_part_of_a_file(ftp, plugin_of):
    plugin = plugin_of("ftp", ftp.options)
    for start in (0, 1 << 20, 20 << 20):
        assert len(body(plugin, ftp.url(tree.LARGE), range=messages.Range(start=start, length=1000))) == 1000
    assert sum(os.readlink(path).startswith("socket:") for path in os.scandir(f"/proc/{plugin.process.pid}/fd")) < 8
