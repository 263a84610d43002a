"""A URL taken apart, its percent-encoding undone."""
from dataclasses import dataclass
from urllib.parse import unquote

from .fault import invalid


@dataclass(frozen=True)
class Url:
    user: str
    password: str
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, text):
        """Refuses what would be read otherwise than it was meant. No error repeats the user part."""
        _, colon, rest = text.partition(":")
        if not colon or not rest.startswith("//"):
            raise invalid("the URL has no // behind its scheme: write scheme://host/path, or scheme:///path without a host")
        for mark in "?#":
            if mark in rest:
                raise invalid(f"the URL has a {mark}, which means nothing here: in a name it is written {'%3F' if mark == '?' else '%23'}")
        authority, slash, path = rest[2:].partition("/")
        user, at, place = authority.rpartition("@")
        user, _, password = user.partition(":")
        host, port = _host_and_port(place)
        return cls(_decoded(user), _decoded(password), host, port, _decoded(slash + path))

    def without_host(self):
        """Of storages that are on this machine: a host there is a path with a / too few."""
        if self.host not in ("", "localhost") or self.user or self.port:
            raise invalid(f"the URL names the host {self.host}, but the resource is on this machine: write three / before the path")
        return self


def _host_and_port(place):
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise invalid(f"the URL has the port {port}, which is no number from 1 to 65535")
    return _decoded(host), int(port) if port else None


def _decoded(text):
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise invalid("a name in the URL is not UTF-8 once its % are decoded") from None
    if "\0" in decoded or "\r" in decoded or "\n" in decoded:
        raise invalid("a name in the URL has a NUL, %0D or %0A in it, which no storage here can be asked for")
    return decoded
