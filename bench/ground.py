"""What the cases are run on: the files that are served, an nginx that serves them, and where outputs go.

A file is made when the first case asks for it, and all are gone at the end. What there is no room for is a NoRoom."""

import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path

from nginx import Nginx, find as find_nginx

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
RELEASE = HERE.parent / "target" / "release"
MIB = 1 << 20
PER_DIRECTORY = 100
HOLES = 16  # files that dfget downloads at the same time, unless told otherwise
TMPFS = ("/dev/shm", "/run/shm", "/tmp")
SPARE = 256 * MIB
SHARE = "d7y-resource-plugin-share"
PLUGINS = ("d7y-resource-plugin-d7yfs", SHARE)


class NoRoom(Exception):
    """This machine has not the disk or the memory that a case needs."""


def require(programs, plugins=PLUGINS):
    """Ends the process where there is nothing to measure."""
    missing = [name for name in ("dfget", *plugins) if not (programs / name).exists()]
    if missing:
        sys.exit(f"bench: {', '.join(missing)} not in {programs}: run `make release` first")


class Ground:
    """Of one call of the bench; `stack` ends what it starts."""

    def __init__(self, sizes, programs, scratch, stack):
        self.sizes, self.programs, self.scratch, self.stack = sizes, programs, scratch, stack
        self.served, self.plugins, self.null = scratch / "served", scratch / "plugins", Path(os.devnull)
        self.output = scratch / "output"
        self.environment = environment(scratch, self.plugins) | {"RCLONE_CONFIG": str(scratch / "rclone.conf")}
        (scratch / "rclone.conf").touch()
        self.plugins.mkdir(mode=0o755)
        for name in PLUGINS:
            shutil.copy(programs / name, self.plugins / name)
        self.messages = by_messages(self.plugins / SHARE, scratch / "messages")
        self.served.mkdir()
        program = find_nginx()
        self.nginx = stack.enter_context(Nginx(program, self.served, scratch / "nginx")) if program else None

    def made(self, name):
        """The file or tree of that name. What the disk does not take, or not so long a file, is a NoRoom as well."""
        try:
            return getattr(self, name)
        except OSError as error:
            raise NoRoom(f"{name} cannot be made: {error.strerror}") from error

    @functools.cached_property
    def hello(self):
        file = self.served / "hello"
        file.write_bytes(b"hello world")
        return file

    @functools.cached_property
    def small(self):
        return self.noise("small", self.sizes.small)

    @functools.cached_property
    def big(self):
        return self.noise("big", self.sizes.big)

    def noise(self, name, size):
        self.need(2 * size)
        return noise(self.served / name, size)

    @functools.cached_property
    def sparse(self):
        """As long as asked, and nothing but a hole."""
        return hole(self.served / "sparse", self.sizes.sparse)

    @functools.cached_property
    def holes(self):
        """A tree of files that are all downloaded at the same time, each nothing but a hole."""
        self.need(HOLES * self.sizes.small)  # what is written of them has no holes
        tree = self.served / "holes"
        tree.mkdir()
        for number in range(HOLES):
            hole(tree / f"f{number:02}", self.sizes.small)
        return tree

    @functools.cached_property
    def tree(self):
        # The trees of all runs stay until the end.
        self.need(64 * self.sizes.files * 4096, 64 * self.sizes.files)
        for path in self.paths():
            file = self.served / "tree" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(4096))
        return self.served / "tree"

    def paths(self):
        """Of the files in the tree."""
        return [f"d{number // PER_DIRECTORY:03}/f{number:05}" for number in range(self.sizes.files)]

    @functools.cached_property
    def listed(self):
        """A tree of empty files, a thousand a directory, and the listing that is to come of it."""
        self.need(self.sizes.entries * 512, self.sizes.entries)
        tree, names = self.served / "listed", []
        for directory in range(self.sizes.entries // 1000):
            (tree / f"d{directory:03}").mkdir(parents=True)
            names.append(f"d{directory:03}/\n")
            for number in range(999):
                os.close(os.open(tree / f"d{directory:03}/f{number:03}", os.O_WRONLY | os.O_CREAT, 0o644))
                names.append(f"d{directory:03}/f{number:03}\n")
        (self.scratch / "listing").write_text("".join(names))
        return tree

    @functools.cached_property
    def hundred(self):
        """A directory with a hundred plugins, each a file of its own: it serves the scheme of the name it was given."""
        plugin = self.programs / "faultplug"
        if not plugin.exists():
            raise NoRoom(f"faultplug, which serves any scheme, is not in {self.programs}")
        self.need(100 * plugin.stat().st_size)
        directory = self.scratch / "hundred"
        directory.mkdir(mode=0o755)
        for number in range(100):
            shutil.copy(plugin, directory / f"d7y-resource-plugin-p{number:02}")
        return directory

    @functools.cached_property
    def tmpfs(self):
        """A directory in memory, with room for one output beside the big file in the page cache."""
        needed, available = self.sizes.big + SPARE, memory_available()
        for place in TMPFS:
            if is_tmpfs(place) and shutil.disk_usage(place).free >= needed and available >= needed + self.sizes.big:
                made = tempfile.TemporaryDirectory(prefix="dfget-bench-", dir=place)
                return Path(self.stack.enter_context(made))
        raise NoRoom(f"no tmpfs with {needed // MIB} MiB free, or not the memory for it, among {', '.join(TMPFS)}")

    def need(self, size, files=0):
        found = os.statvfs(self.scratch)
        free, where = found.f_bavail * found.f_frsize, f"free below {self.scratch.parent}"
        if free < size + SPARE:
            raise NoRoom(f"{free // MIB} MiB {where}: {(size + SPARE) // MIB} MiB are needed")
        # A file system without a fixed number of inodes has 0 of 0.
        if found.f_files and found.f_favail < files:
            raise NoRoom(f"{found.f_favail} inodes {where}: {files} are needed")


def environment(scratch, plugins):
    """What all sides run in. Where the stderr of each is kept is in it, for the message of one that fails."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "DFGET_CONFIG": "",
        "HOME": str(scratch),  # no one's ~/.curlrc or ~/.dragonfly
        "LANG": "C.UTF-8",
        "DFGET_PLUGIN_DIR": str(plugins),
        "BENCH_STDERR": str(scratch / "stderr"),
    }


def noise(path, size):
    """Incompressible and without holes; in the page cache afterwards, because it was just written."""
    with open(path, "wb") as file:
        for at in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - at)))
    return path


def by_messages(plugin, directory):
    """A directory with the same plugin, whose bodies come in messages, as those of most languages do.

    The SDK has no data sockets where no host has named a directory for them; TMPDIR is the same one."""
    directory.mkdir(mode=0o755)
    script = directory / plugin.name
    script.write_text(f"#!/bin/sh\nunset PLUGIN_UNIX_SOCKET_DIR\nexec '{plugin}'\n")
    script.chmod(0o755)
    return directory


def hole(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def is_tmpfs(place):
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return any(mount[1] == place and mount[2] == "tmpfs" for mount in mounts) and os.access(place, os.W_OK)


def memory_available():
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return next(int(words[1]) << 10 for words in lines if words[0] == "MemAvailable:")
