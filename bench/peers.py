"""What a user would pick instead of dfget: how each is found, and how it is asked for the same."""

import re
import shutil
from dataclasses import dataclass
from typing import Callable

import report
from ground import HERE
from measure import Absent, Side
from outputs import COPY, LISTING

BUILT = HERE.parent / "target" / "bench"
NGINX = "nginx"

CURL, CURL_SYNC, CURL_PARALLEL = "curl", "curl and sync", "curl --parallel"
ARIA2, ARIA2_SYNC, ARIA2_ONE = "aria2c -x4 -s4", "aria2c -x4 and sync", "aria2c -x1 -s1"
WGET, RCLONE, RCLONE_HTTP, RCLONE_LIST = "wget -r", "rclone copy", "rclone copy, http", "rclone lsf"
CP, CP_SYNC, FIND, SOCKET = "cp", "cp and sync", "find", "bare socket copy"
GO, GO_MTLS = "Go pair", "Go pair, AutoMTLS"
IN_TREE = "dfget, in-tree"
AND_SYNC = ["/bin/sh", "-c", '"$@" && exec sync "$0"']


@dataclass(frozen=True)
class Peer:
    """`argv` is of the paths of what it needs, the ground, the file and the output."""

    needs: tuple
    argv: Callable
    checks: tuple = COPY
    makes_files_only: bool = False


def curl(found, ground, file, output):
    return [found["curl"], "-s", "-o", str(output), ground.nginx.url(below(ground, file))]


def curl_parallel(found, ground, tree, output):
    """With a list of all URLs, and where each goes."""
    urls = ((ground.nginx.url(f"{below(ground, tree)}/{path}"), output / path) for path in ground.paths())
    (ground.scratch / "list").write_text("".join(f'url = "{url}"\noutput = "{path}"\n' for url, path in urls))
    return [found["curl"], "-s", "--parallel", "--create-dirs", "-K", str(ground.scratch / "list")]


def aria2(streams):
    # As it is told for ext4 and the like; by default it writes the whole file once more before.
    options = ["-q", "--no-conf", f"-x{streams}", f"-s{streams}", "--file-allocation=falloc"]

    def argv(found, ground, file, output):
        url = ground.nginx.url(below(ground, file))
        return [found["aria2c"], *options, "-d", str(output.parent), "-o", output.name, url]

    return argv


def wget(found, ground, tree, output):
    options = ["-q", "-r", "-np", "-nH", "--cut-dirs=1", "-R", "index.html*", "-P", str(output)]
    return [found["wget"], *options, ground.nginx.url(below(ground, tree) + "/")]


def rclone(found, _, tree, output):
    return [found["rclone"], "copy", *rclone_jobs(), str(tree), str(output)]


def rclone_http(found, ground, tree, output):
    url = ground.nginx.url(below(ground, tree) + "/")
    return [found["rclone"], "copy", *rclone_jobs(), "--http-url", url, ":http:", str(output)]


def rclone_jobs():
    """As many at a time as dfget has; by default it has four."""
    return ["--transfers", "16", "--checkers", "16"]


def cp(found, _, file, output):
    # On btrfs and XFS it would otherwise write nothing.
    return [found["cp"], "--reflink=never", str(file), str(output)]


def go_pair(*words):
    def argv(found, _, file, output):
        return [found["bench-go-host"], *words, found["bench-go-plugin"], str(file), str(output)]

    return argv


def in_tree(_, ground, file, output):
    """dfget itself, with its source in its own process."""
    return [str(ground.programs / "dfget"), ground.nginx.url(below(ground, file)), "-n", "1", "--no-fsync", "-O", str(output)]


def and_sync(command):
    return lambda found, ground, file, output: [*AND_SYNC, str(output), *command(found, ground, file, output)]


def below(ground, path):
    return str(path.relative_to(ground.served))


PEERS = {
    CURL: Peer(("curl", NGINX), curl),
    CURL_SYNC: Peer(("curl", NGINX), and_sync(curl)),
    CURL_PARALLEL: Peer(("curl", NGINX), curl_parallel),
    ARIA2: Peer(("aria2c", NGINX), aria2(4), makes_files_only=True),
    ARIA2_SYNC: Peer(("aria2c", NGINX), and_sync(aria2(4)), makes_files_only=True),
    ARIA2_ONE: Peer(("aria2c", NGINX), aria2(1), makes_files_only=True),
    WGET: Peer(("wget", NGINX), wget),
    RCLONE: Peer(("rclone",), rclone),
    RCLONE_HTTP: Peer(("rclone", NGINX), rclone_http),
    RCLONE_LIST: Peer(("rclone",), lambda found, _, tree, __: [found["rclone"], "lsf", "-R", str(tree)], LISTING),
    CP: Peer(("cp",), cp),
    CP_SYNC: Peer(("cp",), and_sync(cp)),
    FIND: Peer(("find",), lambda found, _, tree, __: [found["find"], str(tree), "-mindepth", "1"], LISTING),
    SOCKET: Peer(("socket-copy",), lambda found, _, file, output: [found["socket-copy"], str(file), str(output)]),
    IN_TREE: Peer((NGINX,), in_tree),
    GO: Peer(("bench-go-host", "bench-go-plugin"), go_pair()),
    GO_MTLS: Peer(("bench-go-host", "bench-go-plugin"), go_pair("-mtls")),
}


class Peers:
    """Those that this machine has, and those that it lacks. Of a name in `found` the path, or None."""

    def __init__(self, ground):
        self.ground = ground
        names = {name for peer in PEERS.values() for name in peer.needs if name != NGINX}
        self.found = {name: shutil.which(name) or shutil.which(name, path=BUILT) for name in sorted(names)}
        self.found[NGINX] = ground.nginx.program if ground.nginx else None

    def side(self, name, file, output):
        """The peer as one side of a case, or what it lacks. A listing is its stdout, and goes to the output."""
        peer, ground = PEERS[name], self.ground
        if lacks := [need for need in peer.needs if not self.found[need]]:
            return Absent(name, f"{' and '.join(lacks)} not found")
        if peer.makes_files_only and output == ground.null:
            return Absent(name, f"it cannot write to {output}")
        prints = peer.checks == LISTING
        original = ground.scratch / "listing" if prints else file
        server = ground.nginx if NGINX in peer.needs else None
        argv = peer.argv(self.found, ground, file, output)
        return Side(name, argv, output, original, ground.environment, server, peer.checks, prints)

    def versions(self):
        """What is printed before the table: which version each is of, and which are not there."""
        missing = "not found: the cases that need it are skipped"
        return {name: version(name, path) if path else missing for name, path in self.found.items()}


def version(name, path):
    if name.startswith("bench-go-"):
        modules = (HERE / "go-plugin" / "go.mod").read_text()
        return ", ".join(" ".join(found) for found in re.findall(r"/(go-plugin|grpc) v(\S+)", modules))
    if name == "socket-copy":
        return "of this tree"
    return report.version(path, {NGINX: "-v", "rclone": "version"}.get(name, "--version"))
