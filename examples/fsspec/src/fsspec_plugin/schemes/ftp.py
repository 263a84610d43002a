"""ftp:// and ftps:// by fsspec's FTPFileSystem and the standard library.

fsspec logs in and reads listings. Files are read here: fsspec's own file begins a transfer anew for each block and
breaks it off behind it, and its description of a file is a listing of the whole directory.
"""
import ftplib
import re
import socket
import ssl
from calendar import timegm
from contextlib import suppress

from fsspec.implementations.ftp import FTPFileSystem, _mlsd2
from grpc import StatusCode

from .. import fault, options
from ..body import CHUNK
from ..fault import Fault, damaged, invalid, is_directory, not_found
from ..resource import DIRECTORY, Resource
from . import Place, Storage
from .links import followed

PORT = 21
# Well below the 30 s after which dfget gives up itself.
TIMEOUT = 15
# Commands that a server does not have or not for this.
UNKNOWN_COMMAND = ("500", "501", "502", "504")


class Ftp:
    OPTIONS = {
        "username": options.TEXT,
        "password": options.SECRET,
        "acct": options.SECRET,
        "port": options.PORT,
        "timeout": options.SECONDS,
        "encoding": options.TEXT,
    }
    tls = False

    def __init__(self, settings):
        self._settings = {"timeout": TIMEOUT, "port": PORT, "tls": self.tls} | settings
        encoding = self._settings.get("encoding", "utf-8")
        try:
            "".encode(encoding)
        except LookupError:
            raise invalid("the option encoding has to be one that Python knows, such as utf-8 or latin-1") from None

    def locate(self, url):
        if not url.host:
            raise invalid("the URL names no host: write ftp://host/path")
        arguments = {"host": url.host} | self._settings
        for name, value in (("port", url.port), ("username", url.user), ("password", url.password)):
            if value:
                arguments[name] = value
        key = tuple(sorted((name, str(value)) for name, value in arguments.items()))
        return Place(url.path or "/", key, arguments)

    def connect(self, place):
        return Connection(place)

    def fault(self, error, path):
        match error:
            case ftplib.error_perm() if str(error)[:3] in ("530", "332"):
                return Fault(StatusCode.UNAUTHENTICATED, f"the server refuses the credentials: {error}; set the options "
                             "username and password")
            case ftplib.error_perm() if str(error)[:3] == "550":
                return Fault(StatusCode.PERMISSION_DENIED, f"the server refuses {path}: {error}")
            case ssl.SSLCertVerificationError():
                return Fault(StatusCode.UNAUTHENTICATED, f"the server's certificate is not trusted: {error.verify_message}; "
                             "name its issuer's with the option ca_file")
            case ftplib.error_temp() | ftplib.error_proto() | ssl.SSLError():
                return fault.lost(path, error)
            case ftplib.Error():
                return Fault(StatusCode.INTERNAL, f"the server answered {error}, asked for {path}")
        return None


class Ftps(Ftp):
    """With TLS asked for on the ordinary port (AUTH TLS), for data too."""

    OPTIONS = Ftp.OPTIONS | {"ca_file": options.FILE}
    tls = True


class TlsSession(ftplib.FTP_TLS):
    """Data connections resume the session of the control connection: servers demand it, lest another client takes them."""

    def ntransfercmd(self, cmd, rest=None):
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        try:
            return self.context.wrap_socket(connection, server_hostname=self.host, session=self.sock.session), size
        except BaseException:
            connection.close()
            raise


class Session(FTPFileSystem):
    """fsspec's, with a certificate that is looked at: by default Python's FTP_TLS takes any."""

    def __init__(self, *, ca_file=None, **arguments):
        self._ca_file = ca_file
        super().__init__(**arguments)

    def _connect(self):
        if not self.tls:
            return super()._connect()
        context = ssl.create_default_context(cafile=self._ca_file)
        # With TLS 1.3 the session comes behind the handshake, too late for the first data connection.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.ftp = TlsSession(timeout=self.timeout, encoding=self.encoding, context=context)
        self.ftp.connect(self.host, self.port)
        self.ftp.login(*self.cred)
        self.ftp.prot_p()

    def __del__(self):
        # fsspec's own fails where there was no connection.
        if hasattr(self, "ftp"):
            self.ftp.close()


class Connection(Storage):
    def __init__(self, place):
        self._fs = Session(**place.arguments, skip_instance_cache=True, use_listings_cache=False)
        self._ftp = self._fs.ftp
        self._data = None

    def info(self, path):
        # In ASCII mode a length would be that of a converted file, if it is told at all.
        self._ftp.voidcmd("TYPE I")
        try:
            length = self._ftp.size(path)
        except ftplib.error_perm as error:
            return self._without_size(path, error)
        return Resource.file(length, self._modified(path))

    def _without_size(self, path, error):
        """A directory, a server without SIZE, or nothing: one answer, 550, has many meanings."""
        if self._enter(path):
            return DIRECTORY
        try:
            found = self._fs.info(path)
        except (FileNotFoundError, ftplib.error_perm):
            raise not_found(path) from error
        if found["type"] == "directory":
            raise Fault(StatusCode.PERMISSION_DENIED, f"the server does not let in to {path}: {error}")
        if not str(error).startswith(UNKNOWN_COMMAND):
            raise Fault(StatusCode.PERMISSION_DENIED, f"the server refuses {path}: {error}")
        self._ftp.voidcmd("TYPE I")
        return Resource.file(found["size"], self._modified(path))

    def _enter(self, path):
        try:
            self._ftp.cwd(path)
        except ftplib.error_perm:
            return False
        return True

    def _modified(self, path):
        try:
            return milliseconds(self._ftp.sendcmd(f"MDTM {path}")[4:])
        except ftplib.error_perm:
            return None

    def read(self, path, resource, start, length):
        try:
            self._data = self._ftp.transfercmd(f"RETR {path}", rest=start or None)
        except ftplib.error_perm as error:
            raise is_directory(path) if self._enter(path) else error
        try:
            whole = yield from self._received(length)
        finally:
            self._data.close()
        self._finish(path, whole)

    def _received(self, length):
        """Whatever is there, up to a chunk: a slow server shows progress, too. Returns whether it was read to the end."""
        left = length
        while left is None or left > 0:
            data = self._data.recv(CHUNK if left is None else min(CHUNK, left))
            if not data:
                return True
            left = None if left is None else left - len(data)
            yield data
        return False

    def _finish(self, path, whole):
        """The server says how the transfer ended. Broken off behind the range, it may complain, or be through already."""
        try:
            self._ftp.voidresp()
        except (ftplib.error_temp, ftplib.error_perm) as error:
            if whole:
                raise damaged(f"the server broke off {path}: {error}") from error
        except (ftplib.Error, OSError, EOFError):
            if whole:
                raise
            # The range is complete. There are servers that end the whole connection with the transfer.
            self._ftp.close()
            self._fs._connect()
            self._ftp = self._fs.ftp

    def unchanged(self, path, resource):
        return Resource.file(self._ftp.size(path), self._modified(path)) == resource

    def entries(self, path):
        # The listing is of where we are: servers read names in the argument of LIST as patterns or flags.
        self._ftp.cwd(path)
        try:
            found = list(self._ftp.mlsd())
        except ftplib.error_perm:
            found = _mlsd2(self._ftp, "")
        listed = ((name, _listed(facts)) for name, facts in found if name not in (".", "..") and facts.get("type") not in ("cdir", "pdir"))
        return followed(listed, lambda name: self.info(f"{path.rstrip('/')}/{name}"))

    def abort(self):
        for connection in (self._data, self._ftp.sock):
            with suppress(Exception):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        with suppress(Exception):
            self._ftp.close()


def _listed(facts):
    """None: a link or something odd, which has to be looked at."""
    kind = facts.get("type", "").lower()
    if kind in ("dir", "directory"):
        return DIRECTORY
    if kind != "file" or facts.get("unix.mode", "-")[0] != "-" or not str(facts.get("size", "")).isdecimal():
        return None
    # LIST has times without a zone, and often without a year: only MLSD's say which version it is.
    return Resource.file(int(facts["size"]), milliseconds(facts.get("modify", "")))


def milliseconds(text):
    """Of YYYYMMDDhhmmss[.sss] in UTC (RFC 3659), else None."""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,3})\d*)?", text.strip())
    if not found:
        return None
    *time, fraction = found.groups("0")
    return timegm(tuple(map(int, time))) * 1000 + int(fraction.ljust(3, "0"))
