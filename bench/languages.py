#!/usr/bin/env python3
"""Measures the example plugin of each language beside the Rust one: start to first byte, throughput, memory.

See README.md beside this file, "Languages"."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from ground import MIB, OUT, RELEASE, SHARE, environment, noise, require
from measure import Plan, RunFailed, Side, compare, nothing, run_to_first_byte, watch
from outputs import COPY
from results import ratio_or_none
from storages import LANGUAGES, Lacking, dist, share

SMALL = 64 << 10
COLUMNS = "{:<15} {:<13}{:>10}{:>9}  {:<21}{:>8}{:>9}  {:<21}{:>6}{:>6}{:>8}{:>9}{:>7}"
NULL, STDOUT = Path(os.devnull), Path("-")


def main():
    options = arguments()
    require(options.programs, (SHARE,))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=OUT) as scratch:
        document = Bench(options, Path(scratch)).run()
    report.write(OUT / time.strftime("languages-%Y%m%dT%H%M%SZ.json", time.gmtime()), document)
    sys.exit(1 if any(row["status"] == "failed" for row in document["rows"]) else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller file and fewer runs")
    parser.add_argument("--runs", type=int, metavar="N", help="counted runs of each side, in place of the mode's")
    parser.add_argument("--size", type=int, metavar="MIB", help="of the large file, in place of the mode's")
    parser.add_argument("--connections", type=int, default=1, metavar="N", help="streams of the large file (1)")
    parser.add_argument("--programs", type=Path, default=RELEASE, metavar="DIR", help="where dfget and the plugin share are")
    parser.add_argument("name", nargs="*", metavar="EXAMPLE", help=f"only these: {', '.join(LANGUAGES)}")
    options = parser.parse_args()
    if unknown := [name for name in options.name if name not in LANGUAGES]:
        parser.error(f"there is no {', '.join(unknown)} among {', '.join(LANGUAGES)}")
    return options


class Bench:
    """One call of the bench: its two files, and a row a language."""

    def __init__(self, options, scratch):
        self.options, self.scratch, self.served = options, scratch, scratch / "served"
        self.size = (options.size or (64 if options.quick else 512)) * MIB
        self.starts, self.wholes = (options.runs, options.runs) if options.runs else (5, 3) if options.quick else (15, 5)
        self.served.mkdir()
        for name, size in (("small", SMALL), ("big", self.size)):
            noise(self.served / name, size)

    def run(self):
        facts = report.machine(OUT)
        report.print_facts(facts, {"dfget": report.version(str(self.options.programs / "dfget"), "-V")})
        print(f"First byte of {SMALL >> 10} KiB; whole, MiB/s, CPU and memory of {self.size // MIB} MiB to /dev/null, -n {self.options.connections}\n")
        print_heading()
        rows = []
        for name in self.options.name or LANGUAGES:
            for row in self.rows(name):
                rows.append(row)
                print_row(row)
        print_notes(rows)
        mode = "quick" if self.options.quick else "full"
        return {"mode": mode, "machine": facts, "mib": self.size // MIB, "rows": rows}

    def rows(self, name):
        """One beside share, and one beside whatever else of dfget's reads from the same storage."""
        language, executable, storage, source = LANGUAGES[name]
        row = {"name": f"{language}, {name}", "storage": source, "peer": "share", "status": "ok"}
        scratch = self.scratch / name
        scratch.mkdir()
        try:
            directory = dist(name, executable)
            with storage(self.served, scratch) as served, share(self.served, scratch) as rust:
                plugin = served.pop("plugin")
                for peer, words in {"share": rust["plugin"], **served}.items():
                    sides = Sides(self, directory, {"plugin": plugin, peer: words})
                    yield {**row, "peer": peer, **self.measure(sides)}
        except Lacking as why:
            yield {**row, "status": "skipped", "why": str(why)}
        except RunFailed as why:
            yield {**row, "status": "failed", "why": str(why)}

    def measure(self, sides):
        warm_ups = 1 if self.options.quick else 2
        small, big = sides.pair("small", STDOUT), sides.pair("big", NULL)
        starts = all_runs(compare(small, Plan(warm_ups, self.starts, nothing, run_to_first_byte, run_to_first_byte)))
        wholes = all_runs(compare(big, Plan(warm_ups, self.wholes, nothing)))
        ours, theirs = map(of_side, starts, wholes)
        for side, figures in zip(big, (ours, theirs)):
            peaks = [memory(watch(side, nothing, COPY[1]).peaks) for _ in range(3)]
            figures["plugin_kib"], figures["host_kib"] = (max(column) for column in zip(*peaks))
            figures["rate"] = rate(figures, self.size - SMALL)
        if not ours["plugin_kib"]:
            raise RunFailed("the plugin's process was not seen among dfget's descendants")
        found = {kind: ratio_or_none(ours[kind], theirs[kind]) for kind in ("first", "wall", "cpu")}
        return {"plugin_side": ours, "peer_side": theirs, "ratios": found, "verified": sides.verified}


class Sides:
    """The two commands of a row: the plugin of a language, and its peer with the same work for dfget.

    `commands` has both in this order: a title, and the function that makes the words of a file's name."""

    def __init__(self, bench, directory, commands):
        self.bench, self.commands = bench, commands
        self.verified = {}
        # Whoever may write to the checkout has built these plugins anyway.
        trust = {"DFGET_TRUST_PLUGIN_DIR": "/"}
        self.environment = environment(bench.scratch, f"{directory}:{bench.options.programs}") | trust

    def pair(self, name, output):
        verified = self.verified[name] = self.announced(name)
        # What one announces is checked of the other, too: hashing costs more than anything else here.
        digests = ([], ["--digest", verified] if verified else [])
        return [self.side(title, name, [*digest, "-O", str(output)]) for title, digest in zip(self.commands, digests)]

    def side(self, title, name, more):
        streams = ["-n", str(self.bench.options.connections)]
        argv = [str(self.bench.options.programs / "dfget"), "-q", *self.commands[title](name), *streams, *more]
        return Side(title, argv, NULL, self.bench.served / name, self.environment)

    def announced(self, name):
        """The digest that dfget checks because the plugin announces it, or None. The bytes must be right."""
        output = self.bench.scratch / "output"
        argv = [str(self.bench.options.programs / "dfget"), "--json", "--overwrite", *self.commands["plugin"](name), "-O", str(output)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment)
        if done.returncode != 0:
            raise RunFailed(f"exit {done.returncode}: {done.stderr.strip()[-500:]}")
        if output.read_bytes() != (self.bench.served / name).read_bytes():
            raise RunFailed(f"{name} is not what it should be")
        output.unlink()
        events = (json.loads(line) for line in done.stdout.splitlines())
        return next(event["verified"] for event in events if event["event"] == "finished")


def all_runs(results):
    """Those of each side; a side that failed fails the row."""
    for result in results:
        if result.status != "ok":
            raise RunFailed(result.why)
    return [result.runs for result in results]


def of_side(small, big):
    """Seconds, in the order of the runs. `first` and `start` are of the small file, the others of the large one."""
    return {
        "first": [run.first for run in small],
        "start": [run.wall for run in small],
        "wall": [run.wall for run in big],
        "cpu": [run.cpu for run in big],
    }


def rate(side, size):
    """Bytes a second once it runs: the start, which the small file has too, is taken off."""
    seconds = statistics.median(side["wall"]) - statistics.median(side["start"])
    return size / seconds if seconds > 0 else None


def memory(peaks):
    """Peaks of the plugin's processes together, and of dfget, in KiB. A process counts as what it was last."""
    last = {pid: (program, peak.memory) for (pid, program), peak in peaks.items()}
    host = max((kib for program, kib in last.values() if program == "dfget"), default=0)
    return sum(kib for program, kib in last.values() if program != "dfget"), host


def print_heading():
    ratio = "ratio (min..max)"
    print(COLUMNS.format("plugin", "peer", "first byte", "peer", ratio, "whole", "peer", ratio, "MiB/s", "peer", "CPU", "memory", "peer"))


def print_row(row):
    if "why" in row:
        print(f"{row['name']:<15} {row['peer']:<13} {row['status']}: {row['why']}")
        return
    ours, theirs = row["plugin_side"], row["peer_side"]
    cells = [row["name"], row["peer"]]
    for kind in ("first", "wall"):
        cells += [report.milliseconds(ours[kind]), report.milliseconds(theirs[kind]), report.ratio(row["ratios"][kind])]
    cells += [mib_a_second(ours["rate"]), mib_a_second(theirs["rate"]), short(row["ratios"]["cpu"])]
    cells += [f"{side['plugin_kib'] // 1024} MiB" if side["plugin_kib"] else "-" for side in (ours, theirs)]
    print(COLUMNS.format(*cells).rstrip())


def print_notes(rows):
    print()
    for row in (row for row in rows if row["peer"] == "share" and "why" not in row):
        digest = row["verified"]["big"]
        checked = f"dfget checks the {digest.partition(':')[0]} of both" if digest else "no digest is checked"
        print(f"{row['name']} reads {row['storage']}; {checked}")


def short(three):
    return f"{three[0]:.2f}" if three else "too few"


def mib_a_second(rate):
    return f"{rate / MIB:.0f}" if rate else "n/a"


if __name__ == "__main__":
    main()
