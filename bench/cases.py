"""The cases: what dfget is asked for, what its peers are asked for instead, and how often."""

import os
from dataclasses import dataclass, replace

from ground import HOLES, MIB, NoRoom
from measure import Absent, Side, nothing
from outputs import COPY, LISTING, PLUGINS
from peers import (
    ARIA2, ARIA2_ONE, ARIA2_SYNC, CP, CP_SYNC, CURL, CURL_PARALLEL, CURL_SYNC, FIND, GO, GO_MTLS, IN_TREE, RCLONE,
    RCLONE_HTTP, RCLONE_LIST, SOCKET, WGET,
)

NO_FSYNC = ["--no-fsync"]
BY_MESSAGES = ["--plugin-dir", "{messages}"]
NO_PEER = ()


@dataclass(frozen=True)
class Sizes:
    """Of the files, and how many runs are counted: few of the slow cases, many of the quick one."""

    small: int
    big: int
    sparse: int
    files: int
    entries: int
    few: int
    many: int
    warm_ups: int


# A warm-up is where memory is read, so three make a ratio of memory. Counted runs are even in number: as many turns go
# forwards as backwards, and who comes after whom can make a run take twice as long.
FULL = Sizes(64 * MIB, 2048 * MIB, 65536 * MIB, 10_000, 1_000_000, 6, 40, 3)
QUICK = Sizes(32 * MIB, 128 * MIB, 0, 2_000, 20_000, 4, 16, 1)


@dataclass(frozen=True)
class Case:
    """`key` is its name in the table of targets; what follows are attributes of the ground, then dfget's words."""

    key: str
    amount: str
    of: str  # the file, or tree
    to: str  # the output
    words: list
    peers: tuple
    runs: int
    before: object = os.sync
    checks: tuple = COPY

    @property
    def title(self):
        return f"{self.key}, {self.amount}"

    @property
    def fills_memory(self):
        """Whether its output takes as much of the page cache, or of a tmpfs, as the big file."""
        return self.of == "big" and self.to != "null"


def cases(sizes):
    return [*cold_starts(sizes.many), *by_plugin(sizes), *by_http(sizes), *of_many(sizes)]


def cold_starts(runs):
    amount, start = "11 bytes", ["d7yfs://host:56001/x"]
    mtls = [*start, "--plugin-mtls"]
    return [
        Case("cold start", amount, "hello", "output", start + NO_FSYNC, (CURL, GO), runs, nothing),
        Case("cold start, flushed", amount, "hello", "output", start, (CURL,), runs, nothing),
        Case("cold start, AutoMTLS", amount, "hello", "output", mtls + NO_FSYNC, (GO_MTLS,), runs, nothing),
    ]


def by_plugin(sizes):
    mib, runs, words = f"{sizes.big // MIB} MiB", sizes.few, by_share("big")
    every = (CURL, ARIA2, CP, SOCKET, GO)
    return [
        Case("plugin to disk", mib, "big", "output", words + NO_FSYNC, every, runs),
        Case("plugin to disk, flushed", mib, "big", "output", words, (CURL_SYNC, CP_SYNC), runs),
        Case("plugin to tmpfs", mib, "big", "tmpfs", words + NO_FSYNC, every, runs),
        Case("plugin to /dev/null", mib, "big", "null", words, every, runs),
        Case("plugin to /dev/null, messages", mib, "big", "null", words + BY_MESSAGES, (CURL, GO), runs),
    ]


def by_http(sizes):
    mib, runs, one, four = f"{sizes.big // MIB} MiB", sizes.few, ["http:big", "-n", "1"], ["http:big", "-n", "4"]
    return [
        Case("http to disk", mib, "big", "output", one + NO_FSYNC, (CURL, ARIA2_ONE), runs),
        Case("http to disk, flushed", mib, "big", "output", one, (CURL_SYNC,), runs),
        Case("http to tmpfs", mib, "big", "tmpfs", one + NO_FSYNC, (CURL, ARIA2_ONE), runs),
        Case("http to /dev/null", mib, "big", "null", one, (CURL, ARIA2_ONE), runs),
        Case("isolated http to disk", mib, "big", "output", [*one, "--isolate"] + NO_FSYNC, (IN_TREE,), runs),
        Case("isolated http to /dev/null", mib, "big", "null", [*one, "--isolate"] + NO_FSYNC, (IN_TREE,), runs),
        Case("http to disk, 4 pieces", mib, "big", "output", four + NO_FSYNC, (CURL, ARIA2), runs),
        Case("http to disk, 4 pieces, flushed", mib, "big", "output", four, (CURL_SYNC, ARIA2_SYNC), runs),
        Case("http to tmpfs, 4 pieces", mib, "big", "tmpfs", four + NO_FSYNC, (CURL, ARIA2), runs),
        Case("http to /dev/null, 4 pieces", mib, "big", "null", four, (CURL, ARIA2), runs),
    ]


def of_many(sizes):
    files, entries, runs = f"{sizes.files:,} of 4 KiB", f"{sizes.entries:,} entries", sizes.few
    tree, listed = ["-r", *by_share("tree")], ["-r", "-l", *by_share("listed")]
    every = (CURL_PARALLEL, RCLONE, RCLONE_HTTP, WGET)
    return [
        Case("small files", files, "tree", "output", tree + NO_FSYNC, every, runs),
        Case("small files, flushed", files, "tree", "output", tree, (CURL_PARALLEL,), runs),
        Case("100 plugins", "listed", "hundred", "output", ["plugin"], NO_PEER, runs, nothing, PLUGINS),
        Case("tree listed", entries, "listed", "output", listed, (FIND, RCLONE_LIST), runs, nothing, LISTING),
    ]


def memories(sizes):
    """Where only memory is looked at. Those of one name are of files of ever greater size, and their memory is to be flat."""
    mib = {name: f"{getattr(sizes, name) // MIB:,} MiB by plugin" for name in ("small", "big", "sparse")}
    alone = ("small", "big", *(["sparse"] if sizes.sparse else []))
    holes = f"{HOLES} of {mib['small']}, -r"
    return [
        *(Case("memory", mib[name], name, "null", by_share(name), NO_PEER, 0) for name in alone),
        Case("memory of pieces", f"{mib['big']}, -n 4", "big", "output", [*by_share("big"), "-n", "4"] + NO_FSYNC, NO_PEER, 0),
        Case("memory of messages", mib["big"], "big", "null", by_share("big") + BY_MESSAGES, NO_PEER, 0),
        Case("memory of a tree", holes, "holes", "output", ["-r", *by_share("holes")] + NO_FSYNC, NO_PEER, 0),
    ]


def by_share(name):
    """The root is filled in by `dfget`, as is the directory of BY_MESSAGES, and nginx where a word begins with `http:`."""
    return [f"share:///{name}", "--opt", "root={served}"]


def sides(case, ground, peers):
    """dfget, then its peers; each that this machine cannot run is Absent."""
    try:
        file, output = ground.made(case.of), place(case, ground)
    except NoRoom as why:
        return [Absent(name, str(why)) for name in ("dfget", *case.peers)]
    return [dfget(case, ground, file, output), *(peers.side(peer, file, output) for peer in case.peers)]


def other_build(ours, programs):
    """The same dfget of another build, with the plugins beside it, but where the case has plugins of its own."""
    if isinstance(ours, Absent):
        return Absent(f"dfget of {programs}", ours.why)
    environment = ours.environment if ours.checks == PLUGINS else ours.environment | {"DFGET_PLUGIN_DIR": str(programs)}
    argv = [str(programs / "dfget"), *ours.argv[1:]]
    return replace(ours, name=f"dfget of {programs}", argv=argv, environment=environment)


def place(case, ground):
    return ground.tmpfs / "output" if case.to == "tmpfs" else getattr(ground, case.to)


def dfget(case, ground, file, output):
    by_http = case.words[0].startswith("http:")
    if by_http and not ground.nginx:
        return Absent("dfget", "nginx not found")
    prints = case.checks in (LISTING, PLUGINS)
    words = [ground.nginx.url(case.of) if word.startswith("http:") else word for word in case.words]
    words = [word.format(served=ground.served, messages=ground.messages) for word in words]
    argv = [str(ground.programs / "dfget"), *words, *([] if prints else ["-O", str(output)])]
    original = ground.scratch / "listing" if case.checks == LISTING else file
    environment = ground.environment | ({"DFGET_PLUGIN_DIR": str(file)} if case.checks == PLUGINS else {})
    return Side("dfget", argv, output, original, environment, ground.nginx if by_http else None, case.checks, prints)
