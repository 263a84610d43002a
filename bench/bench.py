#!/usr/bin/env python3
"""Measures dfget side by side with what a user would pick instead; see README.md beside this file."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import report
from measure import Pair, RunFailed, Side, compare, watch
from nginx import Nginx, find as find_nginx

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
RELEASE = HERE.parent / "target" / "release"
PLUGINS = ("d7y-resource-plugin-d7yfs", "d7y-resource-plugin-share")
MIB = 1 << 20
SMALL = 64 * MIB
PER_DIRECTORY = 100


def main():
    options = arguments()
    missing = [name for name in ("dfget", *PLUGINS) if not (RELEASE / name).exists()]
    if missing:
        sys.exit(f"bench: {', '.join(missing)} not in {RELEASE}: run `make release` first")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=OUT) as scratch, contextlib.ExitStack() as stack:
        bench = Bench(options, Path(scratch), stack)
        document = bench.run()
    report.write(OUT / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime()), document)
    results = document["cases"] + document["memory"]
    sys.exit(1 if any(result["status"] == "failed" for result in results) else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs and a smaller file: under two minutes")
    parser.add_argument("--runs", type=int, metavar="N", help="counted runs of each side, in place of the mode's")
    parser.add_argument("--case", metavar="WORD", default="", help="only the cases whose name holds this word")
    return parser.parse_args()


class Bench:
    """One call of the bench: its files, its nginx, its cases."""

    def __init__(self, options, scratch, stack):
        self.options, self.scratch = options, scratch
        self.size = 512 * MIB if options.quick else 2048 * MIB
        self.files = 2_000 if options.quick else 10_000
        self.served = scratch / "served"
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "DFGET_CONFIG": "",
            "HOME": str(scratch),  # no one's ~/.curlrc or ~/.dragonfly
            "LANG": "C.UTF-8",
            "DFGET_PLUGIN_DIR": str(scratch / "plugins"),
            "BENCH_STDERR": str(scratch / "stderr"),
        }
        self.curl = shutil.which("curl")
        self.make_files()
        program = find_nginx()
        self.nginx = stack.enter_context(Nginx(program, self.served, scratch / "nginx")) if program else None

    def make_files(self):
        free = shutil.disk_usage(self.scratch).free
        # The trees of all runs stay until the end.
        needed = 2 * self.size + SMALL + 256 * MIB + 32 * self.files * 4096
        if free < needed:
            sys.exit(f"bench: {free // MIB} MiB free below {OUT}: {needed // MIB} MiB are needed")
        plugins = self.scratch / "plugins"
        plugins.mkdir(mode=0o755)
        for name in PLUGINS:
            shutil.copy(RELEASE / name, plugins / name)
        self.served.mkdir()
        (self.served / "hello").write_bytes(b"hello world")
        for name, size in (("small", SMALL), ("big", self.size)):
            write_noise(self.served / name, size)
        for path in self.paths():
            file = self.served / "tree" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(4096))

    def paths(self):
        """Of the files in the tree."""
        return [f"d{number // PER_DIRECTORY:03}/f{number:05}" for number in range(self.files)]

    def run(self):
        facts = report.machine(OUT)
        report.print_facts(facts, self.programs())
        report.print_heading()
        cases = []
        for name, runs, before, a, b in self.pairs():
            if self.options.case in name:
                cases.append(self.measure(name, runs, before, a, b))
                report.print_row(cases[-1])
        memory = [self.memory(file) for file in ("small", "big")] if self.options.case in "memory" else []
        report.print_memory(memory)
        mode = "quick" if self.options.quick else "full"
        return {"mode": mode, "machine": facts, "programs": self.programs(), "cases": cases, "memory": memory}

    def programs(self):
        missing = "not found: the cases that need it are skipped"
        return {
            "dfget": report.version(str(RELEASE / "dfget"), "-V"),
            "nginx": report.version(self.nginx.program, "-v") if self.nginx else missing,
            "curl": report.version(self.curl, "--version") if self.curl else missing,
        }

    def pairs(self):
        """Name, counted runs, what precedes each run, dfget's arguments, the peer as a function of its output."""
        quick, mib = self.options.quick, self.size // MIB
        few, many = (3, 15) if quick else (5, 40)
        hello = ["-u", "d7yfs://host:56001/x"]
        big = ["-u", "share:///big", "--opt", f"root={self.served}"]
        tree = ["-r", "share:///tree", "--opt", f"root={self.served}"]
        http = ["-u", self.nginx.url("big")] if self.nginx else []
        disk, null = self.scratch / "output", Path(os.devnull)
        return [
            ("cold start, 11 bytes", many, nothing, ("hello", disk, hello), "curl"),
            ("cold start, no fsync", many, nothing, ("hello", disk, [*hello, "--no-fsync"]), "curl"),
            (f"{mib} MiB by plugin, no fsync", few, os.sync, ("big", disk, [*big, "--no-fsync"]), "curl"),
            (f"{mib} MiB by plugin, fsync", few, os.sync, ("big", disk, big), "curl and sync"),
            (f"{mib} MiB by plugin, /dev/null", few, os.sync, ("big", null, big), "curl"),
            (f"{mib} MiB by http, no fsync", few, os.sync, ("big", disk, [*http, "--no-fsync"]), "curl"),
            (f"{mib} MiB by http, fsync", few, os.sync, ("big", disk, http), "curl and sync"),
            (f"{mib} MiB by isolated http", few, os.sync, ("big", disk, [*http, "--isolate", "--no-fsync"]), "in-tree"),
            (f"{mib} MiB isolated, /dev/null", few, os.sync, ("big", null, [*http, "--isolate"]), "in-tree"),
            (f"{self.files} files, no fsync", few, os.sync, ("tree", disk, [*tree, "--no-fsync"]), "curl --parallel"),
            (f"{self.files} files, fsync", few, os.sync, ("tree", disk, tree), "curl --parallel"),
        ]

    def measure(self, name, runs, before, ours, peer):
        lacks = [tool for tool, found in (("nginx", self.nginx), ("curl", self.curl)) if not found]
        if lacks:
            return {"name": name, "status": "skipped", "why": f"{' and '.join(lacks)} not found"}
        pair = Pair(self.dfget(*ours), self.peer(peer, *ours))
        try:
            compare(pair, 1 if self.options.quick else 2, self.options.runs or runs, before)
        except RunFailed as failure:
            return {"name": name, "status": "failed", "why": str(failure)}
        return report.of_pair(name, pair)

    def dfget(self, file, output, words):
        argv = [str(RELEASE / "dfget"), *words, "-O", str(output)]
        server = self.nginx if any(word.startswith("http:") for word in words) else None
        return Side("dfget", argv, output, self.served / file, self.environment, server)

    def peer(self, name, file, output, words):
        if name == "in-tree":
            return self.dfget(file, output, [word for word in words if word != "--isolate"])
        if name == "curl --parallel":
            argv = [self.curl, "-s", "--parallel", "--create-dirs", "-K", str(self.list_for_curl(output))]
            return Side(name, argv, output, self.served / file, self.environment, self.nginx)
        argv = [self.curl, "-s", "-o", str(output), self.nginx.url(file)]
        if name == "curl and sync":
            argv = ["/bin/sh", "-c", '"$@" && exec sync "$0"', str(output), *argv]
        return Side(name, argv, output, self.served / file, self.environment, self.nginx)

    def list_for_curl(self, output):
        """All URLs of the tree, and where each goes."""
        lines = (f'url = "{self.nginx.url(f"tree/{path}")}"\noutput = "{output / path}"\n' for path in self.paths())
        file = self.scratch / "list"
        file.write_text("".join(lines))
        return file

    def memory(self, file):
        """The largest peaks of three runs that are looked at every 5 ms and not timed."""
        name = f"{(self.served / file).stat().st_size // MIB} MiB by plugin"
        words = ["-u", f"share:///{file}", "--opt", f"root={self.served}", "--no-fsync"]
        side = self.dfget(file, self.scratch / "output", words)
        row = {"name": name, "status": "ok", "host_kib": 0, "plugin_kib": 0, "cpu_sampled": 0.0, "cpu_waited": 0.0}
        try:
            for _ in range(3):
                add_peaks(row, *watch(side, os.sync))
        except RunFailed as failure:
            return {"name": name, "status": "failed", "why": str(failure)}
        return checked(row)


def add_peaks(row, peaks, waited):
    for (_, program), peak in peaks.items():
        key = "plugin_kib" if program in PLUGINS else "host_kib"
        row[key] = max(row[key], peak.memory)
    last = {pid: peak.cpu for (pid, _), peak in peaks.items()}
    row["cpu_sampled"] += sum(last.values())
    row["cpu_waited"] += waited


def checked(row):
    """The figures rest on two things that a change of dfget could undo without anyone noticing."""
    if row["plugin_kib"] == 0:
        return {**row, "status": "failed", "why": "the plugin's process was not seen among dfget's descendants"}
    if row["cpu_waited"] < 0.9 * row["cpu_sampled"]:
        return {**row, "status": "failed", "why": "dfget did not wait for its plugin, whose CPU is missing above"}
    return row


def write_noise(path, size):
    """Incompressible and without holes; in the page cache afterwards, because it was just written."""
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))


def nothing():
    pass


if __name__ == "__main__":
    main()
