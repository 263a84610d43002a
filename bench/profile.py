#!/usr/bin/env python3
"""Shows where the time of dfget and its plugin goes: faults and switches, symbols, system calls and allocations.

By perf, strace and valgrind; one that is missing is named and skipped. See README.md beside this file, "Profiles"."""

import argparse
import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from cases import QUICK
from ground import MIB, OUT, RELEASE, Ground, require
from outputs import remove

SIZES = dataclasses.replace(QUICK, big=2048 * MIB)
TOP = 12
# Whoever looks takes time, and valgrind many times as much as there is.
PATIENCE = ["--plugin-start-timeout", "0", "--speed-time", "0"]
EVENTS = "task-clock,page-faults,context-switches"
STARTS = 20  # of so short a run one has hardly a sample
HEAP = re.compile(r"Command: (\S+)|total heap usage: ([\d,]+) allocs, [\d,]+ frees, ([\d,]+) bytes")


class ToolFailed(Exception):
    """A tool, or dfget under it, ended with an error."""


def main():
    options = arguments()
    require(options.programs)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=OUT) as scratch, contextlib.ExitStack() as stack:
        ground = Ground(SIZES, options.programs, Path(scratch), stack)
        chosen = [path for path in paths(ground) if options.case in path[0]]
        if not chosen:
            sys.exit(f"profile: there is none in whose name {options.case!r} is")
        for name, words, often in chosen:
            print(f"\n## {name}")
            Profile(ground, words, often).show()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", metavar="WORD", default="", help="only those in whose name this is")
    parser.add_argument("--programs", type=Path, default=RELEASE, metavar="DIR", help="where dfget and its plugins are")
    return parser.parse_args()


def paths(ground):
    """A name, dfget's words, and how often it is run."""
    to_output, of_share = ["-O", str(ground.output)], ["--opt", f"root={ground.served}"]
    yield "cold start", ["d7yfs://host:56001/x", *to_output], STARTS
    yield "big file by plugin, flushed", [f"share:///{ground.big.name}", *of_share, *to_output], 1
    yield "small files by plugin", ["-r", f"share:///{ground.tree.name}", *of_share, *to_output, "--no-fsync"], 1
    if ground.nginx:
        by_http = [ground.nginx.url(ground.big.name), "-n", "1", "-O", os.devnull]
        yield "big file by http to /dev/null", by_http, 1
        yield "big file by http to /dev/null, isolated", [*by_http, "--isolate"], 1
    else:
        print("skipped: big file by http: there is no nginx")


class Profile:
    """Of one command, which is run anew under each tool."""

    def __init__(self, ground, words, often):
        self.ground, self.often = ground, often
        self.dfget = [str(ground.programs / "dfget"), "-q", "--overwrite", *PATIENCE, *words]
        self.record = ground.scratch / "record"

    def show(self):
        for tool, look in (("perf", self.perf), ("strace", self.strace), ("valgrind", self.valgrind)):
            try:
                if shutil.which(tool):
                    look()
                else:
                    print(f"skipped: there is no {tool}")
            except ToolFailed as failure:
                print(f"skipped: {tool}: {failure}")

    def perf(self):
        self.run(["perf", "stat", "-e", EVENTS, "-r", str(self.often), "-o", str(self.record)])
        rows = [line.split("#")[0].strip() for line in self.record.read_text().splitlines()]
        # Of who may not look into the kernel they are called `page-faults:u` and so on.
        print("perf stat:", ", ".join(row for row in rows if any(event in row for event in EVENTS.split(","))))
        again = ["sh", "-c", f'for run in $(seq {self.often}); do "$@" || exit; done', "-"]
        self.run(["perf", "record", "-q", "-F", "4000", "-o", str(self.record), *again])
        report = ["perf", "report", "-i", str(self.record), "--stdio", "--percent-limit", "1", "--sort", "comm,sym"]
        lines = subprocess.run(report, capture_output=True, text=True).stdout.splitlines()
        self.print_top("perf record", [line for line in lines if line.strip() and not line.startswith("#")])

    def strace(self):
        self.run(["strace", "-f", "-c", "-S", "calls", "-o", str(self.record)])
        self.print_top("strace -c", self.record.read_text().splitlines(), 2)

    def valgrind(self):
        logs = self.ground.scratch / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir()
        # It knows nothing of the sandbox.
        self.run(["valgrind", "--trace-children=yes", f"--log-file={logs}/%p"], ["--sandbox", "off"])
        print("allocations:")
        for log in sorted(logs.iterdir()):
            found = HEAP.findall(log.read_text())
            for (command, *_), (_, allocations, size) in zip(found, found[1:]):
                print(f"    {Path(command).name}: {allocations} of {size} bytes in all")

    def run(self, tool, more=()):
        remove(self.ground.output)
        argv = [*tool, *self.dfget, *more]
        done = subprocess.run(argv, env=self.ground.environment, capture_output=True, text=True)
        if done.returncode:
            raise ToolFailed(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}")

    @staticmethod
    def print_top(title, lines, heading=0):
        print(f"{title}:")
        for line in lines[: TOP + heading]:
            print(f"    {line.rstrip()}")


if __name__ == "__main__":
    main()
