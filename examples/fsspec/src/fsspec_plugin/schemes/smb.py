"""smb://host/share/path: Windows and Samba shares, by fsspec's SMBFileSystem and smbprotocol.

smbprotocol keeps one connection a server in the process and lets threads share it.
"""
import errno
import stat
from contextlib import suppress

import smbclient
from fsspec.implementations.smb import SMBFileSystem
from grpc import StatusCode
from smbprotocol import exceptions

from .. import fault, options
from ..body import read_in_chunks
from ..fault import Fault, invalid
from ..resource import DIRECTORY, Resource
from . import Place, Storage
from .links import followed

# Well below the 30 s after which dfget gives up itself.
TIMEOUT = 15
REFUSED = (exceptions.SMBAuthenticationError, exceptions.LogonFailure, exceptions.AccountRestriction)


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


class Share(Storage):
    def __init__(self, arguments):
        # share_access: others may read and write the file meanwhile. Retries are the host's affair.
        self._fs = SMBFileSystem(**arguments, share_access="rw", register_session_retries=0, skip_instance_cache=True)
        self._host, self._port = arguments["host"], arguments.get("port", 445)
        self._after = None

    def info(self, path):
        return _resource(smbclient.stat(self._unc(path), port=self._port), path)

    def _unc(self, path):
        return f"\\\\{self._host}" + path.replace("/", "\\")

    def read(self, path, resource, start, length):
        with self._fs.open(path, "rb", block_size=0) as file:
            file.seek(start)
            yield from read_in_chunks(file.read, length)

    def unchanged(self, path, resource):
        return self.info(path) == resource

    def entries(self, path):
        # fs.ls() asks for each entry once more.
        listing = smbclient.scandir(self._unc(path), port=self._port)
        found = ((entry.name, _listed(entry)) for entry in listing)
        return followed(found, lambda name: self.info(f"{path}/{name}"))

    def close(self):
        """The connection is the process's."""


def _resource(found, path):
    if stat.S_ISDIR(found.st_mode):
        return DIRECTORY
    if not stat.S_ISREG(found.st_mode):
        raise invalid(f"{path} is neither a file nor a directory")
    return Resource.file(found.st_size, int(found.st_mtime * 1000))


def _listed(entry):
    """None: a link, which has to be looked at."""
    if entry.is_symlink():
        return None
    return _resource(entry.stat(follow_symlinks=False), entry.name)
