"""The schemes. Each module is imported only where its scheme is asked for: paramiko alone takes 50 ms.

A scheme is a class with OPTIONS (name -> kind), a constructor that takes them typed, and

* `locate(url)`: the `Place` that a URL names; no round trip
* `connect(place)`: a `Storage` of one call at a time
* `fault(error, path)`: a `Fault` for what its library alone raises, or None
"""
from dataclasses import dataclass, field
from importlib import import_module

from ..fault import invalid

CLASSES = {
    "ftp": ("ftp", "Ftp"),
    "ftps": ("ftp", "Ftps"),
    "github": ("github", "Github"),
    "sftp": ("sftp", "Sftp"),
    "smb": ("smb", "Smb"),
    "tar": ("archive", "Tar"),
    "zip": ("archive", "Zip"),
}
# The name of the file itself. What it serves is said by an option.
OWN = "fsspec"


@dataclass(frozen=True)
class Place:
    """Where a resource is. Connections with the same `key` lead to the same storage with the same credentials."""

    path: str
    key: tuple
    arguments: dict = field(default_factory=dict, compare=False)


class Storage:
    """One connection."""

    def info(self, path):
        """A `Resource`."""
        raise NotImplementedError

    def read(self, path, resource, start, length):
        """Yields the bytes of a range; `length` None is up to the end. Exhausted, the connection is free again."""
        raise NotImplementedError

    def unchanged(self, path, resource):
        """After `read`: whether the resource is still the one that was opened."""
        return True

    def entries(self, path):
        """Yields names and `Resource`s."""
        raise NotImplementedError

    def current(self):
        """Whether what is kept of an earlier call still holds. No round trip."""
        return True

    def abort(self):
        """From another thread: ends what the call waits for. Nothing but `close` follows."""

    def close(self):
        """Never raises."""


def known(scheme):
    return scheme == OWN or scheme in CLASSES


def protocol_of(scheme, options):
    if not known(scheme):
        raise invalid(f"this plugin does not serve {scheme}, but {', '.join(sorted(CLASSES))} and {OWN}")
    if scheme != OWN:
        return scheme
    protocol = options.pop("protocol", "")
    if protocol not in CLASSES:
        raise invalid(f"the option protocol is required for {OWN}:// and has to be one of {', '.join(sorted(CLASSES))}")
    return protocol


def load(protocol):
    module, name = CLASSES[protocol]
    return getattr(import_module(f".{module}", __name__), name)
