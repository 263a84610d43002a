"""sftp:// over SSH, by fsspec's SFTPFileSystem and paramiko.

An SFTP channel serves one call at a time. Several channels share an SSH connection, since making one is what takes
long, and servers drop who begins many at once (MaxStartups). fsspec's instances hold one of each; here they are given
the connection.
"""
import stat
import threading
import time
from contextlib import suppress

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem
from grpc import StatusCode

from .. import fault, options
from ..body import ChunkSize, read_in_chunks
from ..fault import Fault, invalid
from ..resource import DIRECTORY, Resource
from . import Place, Storage
from .links import followed

# What OpenSSH allows (MaxSessions), less some for others.
CHANNELS = 8
# Chunks that are asked for together: at most 4 MiB are on the way, whatever the host takes.
WINDOW = 16
# Well below the 30 s after which dfget gives up itself.
TIMEOUT = 15


class Sftp:
    OPTIONS = {
        "username": options.TEXT,
        "password": options.SECRET,
        "port": options.PORT,
        "key_filename": options.FILE,
        "passphrase": options.SECRET,
        "look_for_keys": options.BOOLEAN,
        "allow_agent": options.BOOLEAN,
        "compress": options.BOOLEAN,
        "timeout": options.SECONDS,
        "banner_timeout": options.SECONDS,
        "auth_timeout": options.SECONDS,
        "host_key_policy": options.choice("reject", "auto_add"),
        "known_hosts": options.FILE,
    }

    def __init__(self, settings):
        self._settings = {"timeout": TIMEOUT, "banner_timeout": TIMEOUT, "auth_timeout": TIMEOUT} | settings
        self._policy = self._settings.pop("host_key_policy", "reject")
        self._known_hosts = self._settings.pop("known_hosts", None)
        self._connections = Connections(self._log_in)

    def locate(self, url):
        if not url.host:
            raise invalid("the URL names no host: write sftp://host/path")
        arguments = {"hostname": url.host} | self._settings
        for name, value in (("port", url.port), ("username", url.user), ("password", url.password)):
            if value:
                arguments[name] = value
        key = tuple(sorted((name, value) for name, value in arguments.items()))
        return Place(_path(url.path), key, arguments)

    def connect(self, place):
        return Channel(self._connections, place)

    def _log_in(self, arguments):
        client = paramiko.SSHClient()
        # fsspec trusts whoever answers; here the host key is one that is known, unless the user says otherwise.
        client.load_system_host_keys(self._known_hosts)
        if self._policy == "auto_add":
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        try:
            client.connect(**arguments)
        except BaseException:
            client.close()
            raise
        return client

    def fault(self, error, path):
        match error:
            case paramiko.BadHostKeyException():
                return Fault(StatusCode.UNAUTHENTICATED, f"the host key of {error.hostname} is another one than the known "
                             "one: somebody may have put a machine in between; if it was changed, correct known_hosts")
            case paramiko.PasswordRequiredException():
                return Fault(StatusCode.UNAUTHENTICATED, "the private key is encrypted: set the option passphrase")
            case paramiko.AuthenticationException():
                return Fault(StatusCode.UNAUTHENTICATED, f"the server refuses the credentials: {error}; set the options "
                             "username and password or key_filename")
            case paramiko.SSHException() if "not found in known_hosts" in str(error):
                return Fault(StatusCode.UNAUTHENTICATED, "the server's host key is not known: add it to ~/.ssh/known_hosts "
                             "(ssh-keyscan) or to the file of the option known_hosts, or set host_key_policy=auto_add")
            case paramiko.SSHException() if "Invalid key" in str(error):
                return Fault(StatusCode.UNAUTHENTICATED, "the private key cannot be opened: it is damaged, or the option "
                             "passphrase is wrong")
            case paramiko.SSHException() if "No authentication methods available" in str(error):
                return Fault(StatusCode.UNAUTHENTICATED, "there are no credentials: set the options username and password "
                             "or key_filename")
            case paramiko.SSHException() | paramiko.ssh_exception.NoValidConnectionsError():
                return fault.lost(path, error)
        return None


def _path(path):
    """As curl has it: /~/name is beneath the home directory."""
    if path in ("/~", "/~/"):
        return "."
    return path.removeprefix("/~/") or "/"


class Connection:
    """An SSH connection and how many channels of it are taken. `used`: one was opened; `full`: one was refused."""

    def __init__(self, client):
        self.client = client
        self.taken = 1
        self.used = False
        self.full = False

    def has_room(self):
        return self.taken < CHANNELS and not self.full and self.alive()

    def alive(self):
        transport = self.client.get_transport()
        return transport is not None and transport.is_active()


class Connections:
    """By place. One login at a time to each: the next call may share what this one makes."""

    def __init__(self, log_in):
        self._log_in = log_in
        self._open = {}
        self._logins = {}
        self._lock = threading.Lock()

    def take(self, place):
        with self._lock:
            login = self._logins.setdefault(place.key, threading.Lock())
        with login:
            return self._free(place.key) or self._new(place)

    def _free(self, key):
        with self._lock:
            for connection in self._open.get(key, []):
                if connection.has_room():
                    connection.taken += 1
                    return connection
        return None

    def _new(self, place):
        connection = Connection(self._log_in(place.arguments))
        with self._lock:
            self._open.setdefault(place.key, []).append(connection)
        return connection

    def give_back(self, place, connection):
        with self._lock:
            connection.taken -= 1
            over = connection.taken == 0
            if over:
                self._open[place.key].remove(connection)
        if over:
            connection.client.close()
        return over


class ChannelFileSystem(SFTPFileSystem):
    """fsspec's, on a connection that is there."""

    cachable = False

    def _connect(self):
        self.client = self.ssh_kwargs["client"]
        self.ftp = self.client.open_sftp()
        self.ftp.get_channel().settimeout(self.ssh_kwargs["timeout"])


class Channel(Storage):
    def __init__(self, connections, place):
        self._connections = connections
        self._place = place
        self._after = None
        while not self._opened(connections.take(place)):
            pass

    def _opened(self, connection):
        """Whether the connection had room for it: some servers allow fewer, and those that are closed count for a while."""
        arguments = self._place.arguments
        try:
            self._fs = ChannelFileSystem(arguments["hostname"], client=connection.client, timeout=arguments["timeout"])
        except BaseException as error:
            # Of several that are refused at the same time paramiko tells the reason to one.
            refused = isinstance(error, paramiko.SSHException) and connection.alive()
            connection.full |= refused
            alone = self._connections.give_back(self._place, connection)
            if refused and (connection.used or not alone):
                return False
            raise
        self._connection = connection
        connection.used = True
        return True

    def info(self, path):
        return _resource(self._fs.ftp.stat(path), path)

    def read(self, path, resource, start, length):
        with self._fs.open(path, "rb") as file:
            # What was described and what was opened may be two files.
            self._after = _resource(file.stat(), path)
            if self._after != resource:
                return
            yield from read_in_chunks(file.read, None) if length is None else _windows(file, start, start + length)
            self._after = _resource(file.stat(), path)

    def unchanged(self, path, resource):
        return self._after is None or self._after == resource

    def entries(self, path):
        # fs.ls() is this, but collects the whole directory before it says anything.
        found = ((attributes.filename, _listed(attributes)) for attributes in self._fs.ftp.listdir_iter(path))
        return followed(found, lambda name: self.info(f"{path.rstrip('/')}/{name}"))

    def current(self):
        self._after = None
        return self._connection.alive() and not self._fs.ftp.get_channel().closed

    def abort(self):
        with suppress(Exception):
            self._fs.ftp.get_channel().close()

    def close(self):
        with suppress(Exception):
            self._fs.ftp.close()
        self._connections.give_back(self._place, self._connection)


def _resource(attributes, path):
    mode = attributes.st_mode
    # Some servers tell no mode.
    if mode is not None and stat.S_ISDIR(mode):
        return DIRECTORY
    if mode is not None and not stat.S_ISREG(mode):
        raise invalid(f"{path} is neither a file nor a directory")
    modified = None if attributes.st_mtime is None else attributes.st_mtime * 1000
    return Resource.file(attributes.st_size, modified, ranges=attributes.st_size is not None)


def _listed(attributes):
    """None: a link or something odd, which has to be looked at."""
    mode = attributes.st_mode
    if mode is None or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return None
    return _resource(attributes, attributes.filename)


def _windows(file, offset, end):
    """Reads ahead within a window: SFTP has a round trip for each 32 KiB, and paramiko's own prefetch has no bound."""
    size = ChunkSize()
    while offset < end:
        ahead = min(end, offset + WINDOW * size.bytes)
        asked = [(place, min(size.bytes, ahead - place)) for place in range(offset, ahead, size.bytes)]
        longest, before = 0, time.monotonic()
        for (_, wanted), data in zip(asked, file.readv(asked)):
            longest = max(longest, time.monotonic() - before)
            if data:
                yield data
            if len(data) < wanted:
                return
            before = time.monotonic()
        size.took(longest)
        offset = ahead
