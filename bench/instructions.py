#!/usr/bin/env python3
"""Counts the instructions of dfget's hot paths under callgrind, and compares them with bench/instructions.json.

Wall time on a shared machine is noise; a count of instructions hardly is. See README.md beside this file, "Instructions"."""

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from cases import QUICK
from ground import HERE, MIB, OUT, RELEASE, Ground, require

BASELINE = HERE / "instructions.json"
SIZES = dataclasses.replace(QUICK, sparse=2048 * MIB, big=64 * MIB, small=16 * MIB, files=500)
LARGE, LITTLE = ", large", ", little"
# Of a path of two sizes, how many MiB are between them: the more, the less of a start's noise is in one.
BETWEEN = {"by plugin": (SIZES.sparse - SIZES.small) // MIB, "by messages": (SIZES.big - SIZES.small) // MIB}
FEWEST_RUNS = 3
TIME_LIMIT = 120  # seconds for one run
# Under callgrind on a busy machine a start can take longer than dfget waits.
PATIENCE = ["--plugin-start-timeout", "0", "--speed-time", "0"]
COLUMNS = "{:<32}{:>14}{:>14}{:>9}  {}"

# How many percent more are a regression. The fewest of five runs of one build differ by less than half of these: what a
# process finds in its socket when it looks there is not always the same.
TOLERANCE = 4
TOLERANCES = {
    "by plugin, a MiB: dfget": 12,
    "by messages, a MiB: dfget": 12,
    # As many as there are reads: of what comes late each takes little. The fewest of five are 3.5 to 4.5 million.
    "64 MiB by http: dfget": 60,
    "sources listed: dfget": 12,
}
# So many more or fewer are neither: of a MiB by plugin the plugin's count is next to nothing, and a start's noise by
# BETWEEN is a few.
FEW = 50


class CountFailed(Exception):
    """A command failed under callgrind."""


def main():
    options = arguments()
    valgrind = shutil.which("valgrind")
    if not valgrind:
        # As with the tests: what is missing is skipped and said, and fails in the gate.
        print("skipped: there is no valgrind; bench/install installs it", file=sys.stderr)
        sys.exit(1 if os.environ.get("DFGET_TEST_REQUIRE") else 0)
    require(options.programs)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    baseline, here = json.loads(BASELINE.read_text()), toolchain(valgrind)
    counts = count(valgrind, options, baseline["instructions"])
    for line in table(counts, baseline["instructions"]):
        print(line)
    if options.update:
        BASELINE.write_text(json.dumps({"toolchain": here, "instructions": counts}, indent=2) + "\n")
        print(f"Written to {BASELINE}")
    else:
        sys.exit(judge(counts, baseline, here))


def count(valgrind, options, before):
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=OUT) as scratch, contextlib.ExitStack() as stack:
        ground = Ground(SIZES, options.programs, Path(scratch), stack)
        if not ground.nginx:
            print("skipped: 64 MiB by http: there is no nginx", file=sys.stderr)
            if os.environ.get("DFGET_TEST_REQUIRE"):
                sys.exit(1)
        try:
            return counted_twice(Valgrind(valgrind, ground), options, before)
        except CountFailed as failure:
            sys.exit(f"bench: {failure}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="make what is counted the baseline")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of each path, of which the smallest count holds (5)")
    parser.add_argument("--programs", type=Path, default=RELEASE, metavar="DIR", help="where dfget and its plugins are")
    options = parser.parse_args()
    if options.runs < FEWEST_RUNS:
        parser.error(f"no count from {options.runs} runs: at least {FEWEST_RUNS} are needed")
    return options


def paths(ground):
    """What is counted: a name, and dfget's words. A path of two sizes is counted a MiB, without its start."""
    output = str(ground.output)
    of_share = ["--opt", f"root={ground.served}"]
    null = ["-O", os.devnull, "-n", "1"]
    yield "cold start", ["d7yfs://host:56001/x", "-O", output]
    yield "by plugin" + LARGE, [f"share:///{ground.sparse.name}", *of_share, *null]
    yield "by plugin" + LITTLE, [f"share:///{ground.small.name}", *of_share, *null]
    by_messages = [*of_share, "--plugin-dir", str(ground.messages), *null]
    yield "by messages" + LARGE, [f"share:///{ground.big.name}", *by_messages]
    yield "by messages" + LITTLE, [f"share:///{ground.small.name}", *by_messages]
    if ground.nginx:
        # Here the kernel moves the bytes, and a MiB costs next to nothing.
        yield "64 MiB by http", [ground.nginx.url(ground.big.name), *null]
    yield "500 files", ["-r", f"share:///{ground.tree.name}", *of_share, "-O", output, "--no-fsync"]
    yield "500 files listed", ["-r", "-l", f"share:///{ground.tree.name}", *of_share]
    yield "settings", ["config"]
    yield "sources listed", ["plugin"]


class Valgrind:
    """Runs dfget and whatever it starts under callgrind."""

    def __init__(self, program, ground):
        self.program, self.ground = program, ground
        self.logs = ground.scratch / "logs"

    def count(self, words):
        """The instructions of dfget, and those of the first plugin, each under its name."""
        shutil.rmtree(self.logs, ignore_errors=True)
        shutil.rmtree(self.ground.output, ignore_errors=True)
        self.logs.mkdir()
        options = ["--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={os.devnull}"]
        # Valgrind knows neither Landlock nor the filter of system calls that the sandbox sets up.
        dfget = [str(self.ground.programs / "dfget"), "--sandbox", "off", *PATIENCE, "-q", *words]
        argv = [self.program, *options, f"--log-file={self.logs}/%p", *dfget]
        done = subprocess.run(argv, env=self.ground.environment, capture_output=True, text=True, timeout=TIME_LIMIT)
        if done.returncode != 0:
            raise CountFailed(f"{' '.join(dfget)}: exit {done.returncode}: {done.stderr[-500:]}")
        if self.ground.output.is_file():
            self.ground.output.unlink()
        return dict(counted(log.read_text(errors="replace")) for log in sorted(self.logs.iterdir()))


def counted(log):
    """Of one process: what it is, and its instructions."""
    command, collected = re.search(r"Command: (\S+)", log), re.search(r"Collected : (\d+)", log)
    if not command or not collected:
        raise CountFailed(f"callgrind did not finish: {log[-500:]}")
    return "dfget" if command[1].endswith("/dfget") else "plugin", int(collected[1])


def counted_twice(valgrind, options, before):
    """A path that seems worse is counted again before it is judged: all of its runs may have been unlucky ones."""
    found = rounds(valgrind, options.runs, {})
    again = worse(fewest(found), before)
    if again and not options.update:
        print(f"counted again: {', '.join(again)}", file=sys.stderr)
        rounds(valgrind, options.runs, found, tuple(re.split(", a MiB|:", name)[0] for name in again))
    return fewest(found)


def rounds(valgrind, runs, found, only=("",)):
    """Adds to what was found: a list of counts a path and process, of the paths that begin so."""
    for _ in range(runs):
        for name, words in paths(valgrind.ground):
            for process, count in valgrind.count(words).items() if name.startswith(only) else ():
                found.setdefault((name, process), []).append(count)
    return found


def fewest(found):
    """The smallest count of each, which other processes disturb least; of two sizes the difference, a MiB."""
    counts = {}
    for (name, process), values in found.items():
        little = found.get((name.replace(LARGE, LITTLE), process))
        if name.endswith(LARGE):
            path = name.removesuffix(LARGE)
            counts[f"{path}, a MiB: {process}"] = (min(values) - min(little)) // BETWEEN[path]
        elif not name.endswith(LITTLE):
            counts[f"{name}: {process}"] = min(values)
    return counts


def toolchain(valgrind):
    """What counts depend on, beside the source: code from another compiler is other code."""
    rustc = subprocess.run(["rustc", "-V"], capture_output=True, text=True).stdout.strip()
    version = subprocess.run([valgrind, "--version"], capture_output=True, text=True).stdout.strip()
    avx2 = " avx2 " in Path("/proc/cpuinfo").read_text()
    return {"rustc": rustc, "libc": " ".join(platform.libc_ver()), "valgrind": version, "avx2": avx2}


def table(counts, baseline):
    yield COLUMNS.format("instructions", "counted", "baseline", "change", "")
    for name, count in counts.items():
        if name not in baseline:
            yield COLUMNS.format(name, f"{count:,}", "-", "", "it is in no baseline: --update")
        else:
            before, change = baseline[name], percent(count, baseline[name])
            said = verdict(name, change) if abs(count - before) > FEW else "as before, but for a few"
            yield COLUMNS.format(name, f"{count:,}", f"{before:,}", f"{change:+.1f} %", said)
    for name in baseline.keys() - counts.keys():
        yield COLUMNS.format(name, "-", f"{baseline[name]:,}", "", "it was not counted")


def percent(count, before):
    return (count - before) / max(abs(before), 1) * 100


def verdict(name, change):
    limit = TOLERANCES.get(name, TOLERANCE)
    if is_worse(name, change):
        return f"regression: more than {limit} %"
    return "fewer: --update keeps it so" if change < -limit else "as before"


def worse(counts, before):
    """The names of what is a regression."""
    more = [name for name in counts if name in before and counts[name] - before[name] > FEW]
    return [name for name in more if is_worse(name, percent(counts[name], before[name]))]


def is_worse(name, change):
    return change > TOLERANCES.get(name, TOLERANCE)


def judge(counts, baseline, here):
    """The exit status: 1 where a count is a regression. Where the toolchain is another, that is said instead.

    The gate does not go on without a judgement: there another version is 1. Another processor is not of our choosing."""
    others = {key: f"{key} {here[key]} for {value}" for key, value in baseline["toolchain"].items() if here[key] != value}
    said = f"not judged, because the baseline is of another toolchain: {'; '.join(others.values())}"
    if others.keys() - {"avx2"} and os.environ.get("DFGET_TEST_REQUIRE"):
        print(f"{said}. `make bench-instructions UPDATE=1` makes one of this")
        return 1
    if not worse(counts, baseline["instructions"]):
        return 0
    if others:
        print(said)
    return 0 if others else 1


if __name__ == "__main__":
    main()
