#!/usr/bin/env python3
"""Measures dfget side by side with what a user would pick instead; see README.md beside this file."""

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

import markdown
import report
import results
from cases import FULL, QUICK, cases, memories, other_build, sides
from ground import OUT, RELEASE, Ground, require
from measure import Plan, compare, run_after_itself
from peers import Peers


def main():
    options = arguments()
    if options.markdown:
        print(markdown.of(json.loads(options.markdown.read_text())))
        return
    for programs in filter(None, (options.programs, options.against)):
        require(programs)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=OUT) as scratch, contextlib.ExitStack() as stack:
        document = Bench(options, Path(scratch), stack).run()
    report.write(OUT / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime()), document)
    sys.exit(1 if failed(document) else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs and smaller files: under two minutes")
    parser.add_argument("--runs", type=int, metavar="N", help="counted runs of each side, in place of the mode's")
    parser.add_argument("--case", metavar="WORD", default="", help="only the cases in whose name this is")
    parser.add_argument("--list", action="store_true", help="print the names of the cases, and measure nothing")
    parser.add_argument("--programs", type=Path, default=RELEASE, metavar="DIR", help="where dfget and its plugins are")
    parser.add_argument("--against", type=Path, metavar="DIR", help="another build of dfget as the only peer")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="print the JSON file of a run as Markdown, and measure nothing")
    options = parser.parse_args()
    if options.list:
        sizes = QUICK if options.quick else FULL
        print("\n".join(case.title for case in [*cases(sizes), *memories(sizes)]))
        sys.exit()
    return options


class Bench:
    """One call of the bench: its ground, its peers, its cases."""

    def __init__(self, options, scratch, stack):
        self.options, self.sizes = options, QUICK if options.quick else FULL
        self.ground = Ground(self.sizes, options.programs, scratch, stack)
        self.peers = Peers(self.ground)

    def run(self):
        started = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        facts, programs = report.machine(OUT), self.versions()
        report.print_facts(facts, programs)
        report.print_heading()
        done = [self.measure(case) for case in cases(self.sizes) if self.options.case in case.title]
        memory = [self.memory(case) for case in memories(self.sizes) if self.options.case in case.title]
        flat = results.flatness(memory)
        report.print_memory(memory, flat)
        mode = "quick" if self.options.quick else "full"
        found = {"started": started, "mode": mode, "machine": facts, "programs": programs}
        return {**found, "cases": done, "memory": memory, "flat": flat}

    def versions(self):
        ours = report.version(str(self.options.programs / "dfget"), "-V")
        return {"dfget": ours, **self.peers.versions()}

    def measure(self, case):
        runs = self.options.runs or case.runs
        how = {"how": run_after_itself} if case.fills_memory else {}
        plan = Plan(self.sizes.warm_ups, runs, case.before, warm=results.watch_all, **how)
        document = results.of_case(case, compare(self.sides(case), plan))
        report.print_case(document)
        return document

    def sides(self, case):
        found = sides(case, self.ground, self.peers)
        return [found[0], other_build(found[0], self.options.against)] if self.options.against else found

    def memory(self, case):
        [ours] = sides(case, self.ground, self.peers)
        return results.of_memory(case, ours)


def failed(document):
    """Whether a command failed, or left the wrong output. A target that is missed is no failure, nor is a skipped peer."""
    rows = [side for case in document["cases"] for side in case["sides"]] + document["memory"]
    return any(row["status"] == "failed" for row in rows)


if __name__ == "__main__":
    main()
