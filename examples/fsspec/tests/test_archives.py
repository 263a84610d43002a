"""What only archives have: digests, passwords, damage, and a version that is the archive's."""
import io
import os
import tarfile
import zipfile

import pytest
from harness import tree
from harness.plugin import body, listing, metadata, refused


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "some archive.bin"


def url(scheme, archive, member=""):
    return f"{scheme}://{str(archive).replace(' ', '%20')}!/{member}"


def test_the_digest_that_a_zip_announces_is_checked(zipped, host, tmp_path):
    outcome = host.run(zipped.url(tree.LARGE), "-O", tmp_path / "copy", "--json")
    assert '"verified":"crc32:' in outcome.stdout


def zip_of(archive, kind=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(archive, "w", kind) as file:
        for name, content in members.items():
            file.writestr(name, content)


def test_a_damaged_member_is_data_loss(plugin_of, archive):
    zip_of(archive, member=b"x" * 100_000)
    damaged = bytearray(archive.read_bytes())
    damaged[50_000] ^= 1
    archive.write_bytes(damaged)
    assert refused(lambda: body(plugin_of("zip"), url("zip", archive, "member")))[0] == "DATA_LOSS"


@pytest.mark.parametrize("scheme", ["zip", "tar"])
def test_what_is_no_archive_is_data_loss(plugin_of, archive, scheme):
    archive.write_bytes(b"no archive" * 1000)
    assert refused(lambda: listing(plugin_of(scheme), url(scheme, archive)))[0] == "DATA_LOSS"


def test_a_tar_that_was_cut_off_is_data_loss(plugin_of, archive):
    with tarfile.open(archive, "w:gz") as file:
        entry = tarfile.TarInfo("member")
        entry.size = 1_000_000
        file.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    archive.write_bytes(archive.read_bytes()[:500_000])
    assert refused(lambda: body(plugin_of("tar"), url("tar", archive, "member")))[0] == "DATA_LOSS"


@pytest.mark.parametrize("scheme", ["zip", "tar"])
def test_an_archive_that_is_not_there_is_not_found(plugin_of, archive, scheme):
    code, text = refused(lambda: listing(plugin_of(scheme), url(scheme, archive)))
    assert (code, str(archive) in text) == ("NOT_FOUND", True)


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_a_tar_is_unpacked_by_what_is_in_it_whatever_its_name(plugin_of, archive, root, compression):
    with tarfile.open(archive, f"w:{compression}") as file:
        file.add(root / "sub", "sub")
    plugin = plugin_of("tar")
    assert body(plugin, url("tar", archive, "sub/deep/leaf")) == b"leaf\n"
    assert list(listing(plugin, url("tar", archive))) == ["sub"]


def test_the_option_archive_makes_the_path_that_of_the_member(plugin_of, archive):
    zip_of(archive, **{"a/b!/c": b"content"})
    assert body(plugin_of("zip", {"archive": archive}), "zip:///a/b!/c") == b"content"


def test_links_in_a_tar_are_what_they_lead_to(plugin_of, archive, tmp_path):
    source = tmp_path / "source"
    (source / "directory").mkdir(parents=True)
    (source / "file").write_bytes(b"content")
    (source / "to-file").symlink_to("file")
    os.link(source / "file", source / "hard")
    (source / "to-directory").symlink_to("directory")
    (source / "to-nothing").symlink_to("nothing")
    (source / "round").symlink_to("round")
    os.mkfifo(source / "fifo")
    with tarfile.open(archive, "w") as file:
        file.add(source, ".")
    plugin = plugin_of("tar")
    assert sorted(listing(plugin, url("tar", archive))) == ["directory", "file", "hard", "to-file"]
    for name in ("file", "hard", "to-file"):
        assert body(plugin, url("tar", archive, name)) == b"content"
    for name in ("to-directory", "to-nothing", "round", "fifo"):
        assert refused(lambda name=name: body(plugin, url("tar", archive, name)))[0] == "INVALID_ARGUMENT"


def test_an_archive_that_is_written_anew_has_other_versions(plugin_of, archive):
    zip_of(archive, member=b"one")
    plugin = plugin_of("zip")
    before = metadata(plugin, url("zip", archive, "member"))
    assert metadata(plugin, url("zip", archive, "member")) == before
    assert listing(plugin, url("zip", archive))["member"].metadata == before
    zip_of(archive, member=b"two")
    after = metadata(plugin, url("zip", archive, "member"))
    assert after.validator.etag != before.validator.etag
    assert body(plugin, url("zip", archive, "member")) == b"two"


def test_an_empty_archive_is_an_empty_directory(plugin_of, archive):
    zip_of(archive)
    assert listing(plugin_of("zip"), url("zip", archive)) == {}


# Made with a known password: Python packs none. Stored, traditional encryption.
def test_an_encrypted_member_needs_the_password(plugin_of, archive):
    zip_of(archive, member=b"content")
    packed = bytearray(archive.read_bytes())
    packed[6] |= 1
    packed[packed.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(packed)
    for options in ({}, {"password": "wrong one"}):
        code, text = refused(lambda options=options: body(plugin_of("zip", options), url("zip", archive, "member")))
        assert (code, "password" in text) == ("UNAUTHENTICATED", True)
