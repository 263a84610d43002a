"""zip:// and tar://: what is in an archive, by fsspec's ZipFileSystem and TarFileSystem.

zip:///path/of/archive.zip!/member is a member of an archive on this machine. Where the option `archive` names one (a path or
a URL that fsspec reads), the whole path of the URL is the member: zip:///member.
"""
import lzma
import os
import stat
import struct
import time
import zlib
from contextlib import suppress
from gzip import BadGzipFile
from tarfile import TarError
from zipfile import BadZipFile

from grpc import StatusCode

from .. import options
from ..body import read_in_chunks
from ..fault import Fault, damaged, invalid
from ..resource import DIRECTORY, Resource
from . import Place, Storage

MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}

class Archive:
    OPTIONS = {"archive": options.PATH}

    def __init__(self, settings):
        self._settings = settings

    def locate(self, url):
        path = url.without_host().path
        archive, mark, member = path.partition("!/")
        if "archive" in self._settings:
            archive, member = self._settings["archive"], path
        elif not mark:
            raise invalid(f"the URL does not say where the archive ends: write {self.scheme}:///path/of/archive!/member, "
                          "or name the archive with the option archive")
        return Place(member.strip("/"), (archive,), {"archive": archive})

    def fault(self, error, path):
        match error:
            case RuntimeError() if "password" in str(error).lower():
                return Fault(StatusCode.UNAUTHENTICATED, f"{path or 'the archive'} is encrypted: set the option password to the right one")
            case NotImplementedError():
                return invalid(f"{path} is packed in a way that Python does not know: {error}")
            case EOFError() | BadGzipFile() | BadZipFile() | TarError() | zlib.error() | lzma.LZMAError() | struct.error():
                return damaged(f"the archive is damaged, asked for {path or 'its content'}: {error}")
        return None


class Zip(Archive):
    scheme = "zip"
    OPTIONS = Archive.OPTIONS | {"password": options.SECRET}

    def connect(self, place):
        return ZipContent(place.arguments["archive"], self._settings.get("password"))


class Tar(Archive):
    scheme = "tar"

    def connect(self, place):
        return TarContent(place.arguments["archive"])


class Content(Storage):
    """An open archive. The file that was opened is what is read, also where another one takes its name meanwhile."""

    def __init__(self, archive):
        try:
            self._file = open(archive, "rb")  # noqa: SIM115 it lives as long as this does
        except FileNotFoundError:
            raise Fault(StatusCode.NOT_FOUND, f"there is no archive {archive}") from None
        self._archive = archive
        self._version = _version(os.fstat(self._file.fileno()))

    def unchanged(self, path, resource):
        return _version(os.fstat(self._file.fileno())) == self._version

    def current(self):
        try:
            return _version(os.stat(self._archive)) == self._version
        except OSError:
            return False

    def info(self, path):
        if not path:
            return DIRECTORY
        found = self._fs.info(path)
        return DIRECTORY if found["type"] == "directory" else self._resource(found)

    def read(self, path, resource, start, length):
        with self._fs.open(path, "rb") as file:
            file.seek(start)
            yield from read_in_chunks(file.read, length)

    def entries(self, path):
        for found in self._fs.ls(path, detail=True):
            name = found["name"].rsplit("/", 1)[-1]
            if found["type"] == "directory":
                yield name, DIRECTORY
            elif self._regular(found):
                yield name, self._resource(found)

    def close(self):
        with suppress(Exception):
            self._fs.close()
        self._file.close()

    def _etag(self, found):
        """The archive's version, since nothing else tells when a member was changed."""
        modified, length, inode = self._version
        return f'"{modified:x}-{length:x}-{inode:x}"'


class ZipContent(Content):
    def __init__(self, archive, password):
        from fsspec.implementations.zip import ZipFileSystem

        super().__init__(archive)
        self._fs = ZipFileSystem(self._file, skip_instance_cache=True)
        if password:
            self._fs.zip.setpassword(password.encode())

    def _regular(self, found):
        return True

    def _resource(self, found):
        digest = ("crc32", f"{found['CRC']:08x}")
        return Resource(length=found["size"], modified=_local(found["date_time"]), etag=self._etag(found), digests=(digest,))


class TarContent(Content):
    def __init__(self, archive):
        from fsspec.implementations.tar import TarFileSystem

        super().__init__(archive)
        self._fs = TarFileSystem(self._file, compression=self._compression(), skip_instance_cache=True)
        # As `tar -c .` names them.
        self._fs.index = dict(_renamed(name, entry) for name, entry in self._fs.index.items() if name != ".")

    def _compression(self):
        """fsspec goes by the name, and does not know .tgz."""
        start = self._file.peek(max(map(len, MAGIC)))
        return next((compression for magic, compression in MAGIC.items() if start.startswith(magic)), None)

    def _regular(self, found):
        """Links are what they lead to, as fsspec reads them; those to directories or to nothing are not."""
        tar, seen = self._fs.tar, set()
        member = tar.getmember(self._fs.index[found["name"]][2])
        while (member.islnk() or member.issym()) and member.name not in seen:
            seen.add(member.name)
            try:
                member = tar._find_link_target(member)
            except KeyError:
                return False
        return member.isreg()

    def _resource(self, found):
        if not self._regular(found):
            raise invalid(f"{found['name']} is neither a file nor a directory, nor a link to a file")
        return Resource(length=found["size"], modified=int(found["mtime"] * 1000), etag=self._etag(found))


def _local(date_time):
    """ZIP keeps local time, whosever that was; like other programs this one takes it for this machine's."""
    try:
        return int(time.mktime((*date_time, 0, 0, -1))) * 1000
    except (OverflowError, ValueError):
        return None


def _renamed(name, entry):
    name = name.removeprefix("./")
    entry[0]["name"] = name
    return name, entry


def _version(found):
    if not stat.S_ISREG(found.st_mode):
        raise invalid("the archive is no file")
    return found.st_mtime_ns, found.st_size, found.st_ino
