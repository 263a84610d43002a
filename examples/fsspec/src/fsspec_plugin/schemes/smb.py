"""smb://host/share/path: Windows and Samba shares, by fsspec's SMBFileSystem and smbprotocol.

By default smbprotocol has one connection a server in the process. Threads that share it run out of the credits that the
server gives to a connection, so that here each has its own.
"""
import stat
import threading
import uuid
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import smbclient
from fsspec.implementations.smb import SMBFileSystem
from grpc import StatusCode
from smbprotocol import exceptions
from smbprotocol.header import NtStatus

from .. import fault, options
from ..body import read_in_chunks
from ..fault import Fault, invalid
from ..resource import DIRECTORY, Resource
from . import Place, Storage
from .links import followed

# Well below the 30 s after which dfget gives up itself.
TIMEOUT = 15
EPOCH = datetime.fromtimestamp(0, timezone.utc)
LOGIN = threading.Lock()
REFUSED = (exceptions.SMBAuthenticationError, exceptions.LogonFailure)


class Smb:
    OPTIONS = {
        "username": options.TEXT,
        "password": options.SECRET,
        "port": options.PORT,
        "timeout": options.SECONDS,
        "encrypt": options.BOOLEAN,
    }

    def __init__(self, settings):
        self._settings = {"timeout": TIMEOUT} | settings

    def locate(self, url):
        if not url.host or not url.path.strip("/"):
            raise invalid("the URL names no host or no share: write smb://host/share/path")
        arguments = {"host": url.host} | self._settings
        for name, value in (("port", url.port), ("username", url.user), ("password", url.password)):
            if value:
                # As fsspec and others have it: smb://domain;user@host
                arguments[name] = value.replace(";", "\\") if name == "username" else value
        key = tuple(sorted((name, str(value)) for name, value in arguments.items()))
        return Place(url.path.rstrip("/"), key, arguments)

    def connect(self, place):
        return Share(place.arguments)

    def fault(self, error, path):
        match error:
            case exceptions.SMBOSError() if error.ntstatus == NtStatus.STATUS_OBJECT_NAME_INVALID:
                return invalid(f"SMB has no names such as {path}")
            case exceptions.SMBOSError():
                return fault.of(OSError(error.errno, error.strerror), path)
            case exceptions.SMBException() if isinstance(error, REFUSED):
                return Fault(StatusCode.UNAUTHENTICATED, "the server refuses the credentials: set the options username and password")
            case exceptions.BadNetworkName():
                return Fault(StatusCode.NOT_FOUND, f"the server has no such share, asked for {path}")
            case exceptions.SMBException():
                return fault.lost(path, error)
            case ValueError() if "Failed to connect" in str(error):
                return fault.lost(path, error)
        return None


class ShareFileSystem(SMBFileSystem):
    """fsspec's, with a connection of its own. Retries are the host's affair."""

    def _connect(self):
        self.own = {"connection_cache": {}}
        with LOGIN:
            # A server takes connections with the same one for channels of one session, and hands them about.
            smbclient.ClientConfig(client_guid=uuid.uuid4())
            smbclient.register_session(self.host, self.username, self.password, self._port, self.encrypt, self.timeout, **self.own)


class Share(Storage):
    def __init__(self, arguments):
        # share_access: others may read and write the file meanwhile.
        self._fs = ShareFileSystem(**arguments, share_access="rw", skip_instance_cache=True)
        self._host = arguments["host"]
        self._own = {"port": arguments.get("port", 445), **self._fs.own}

    def info(self, path):
        return _resource(smbclient.stat(self._unc(path), **self._own), path)

    def _unc(self, path):
        return f"\\\\{self._host}" + path.replace("/", "\\")

    def read(self, path, resource, start, length):
        with self._fs.open(path, "rb", block_size=0, **self._fs.own) as file:
            file.seek(start)
            yield from read_in_chunks(file.read, length)

    def unchanged(self, path, resource):
        return self.info(path) == resource

    def entries(self, path):
        # fs.ls() asks for each entry once more.
        listing = smbclient.scandir(self._unc(path), **self._own)
        found = ((entry.name, _listed(entry)) for entry in listing)
        return followed(found, lambda name: self.info(f"{path}/{name}"))

    def abort(self):
        self.close()

    def close(self):
        for connection in self._fs.own["connection_cache"].values():
            with suppress(Exception):
                # Without a farewell: the server may not answer.
                connection.disconnect(close=False)


def _resource(found, path):
    if stat.S_ISDIR(found.st_mode):
        return DIRECTORY
    if not stat.S_ISREG(found.st_mode):
        raise invalid(f"{path} is neither a file nor a directory")
    return Resource.file(found.st_size, found.st_mtime_ns // 1_000_000)


def _listed(entry):
    """What the listing tells. None: a link, which has to be looked at. entry.stat() would be a round trip, to port 445."""
    if entry.is_symlink():
        return None
    if entry.is_dir(follow_symlinks=False):
        return DIRECTORY
    written = entry.smb_info.last_write_time.replace(tzinfo=timezone.utc)
    return Resource.file(entry.smb_info.end_of_file, (written - EPOCH) // timedelta(milliseconds=1))
