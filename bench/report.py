"""What the bench says: the machine it ran on, one row a pair, and the same as a JSON file."""

import json
import os
import platform
import shutil
import statistics
import subprocess
from pathlib import Path

from measure import TooFewRuns, ratios

COLUMNS = "{:<34}{:>11}{:>11}  {:<20}{:>11}{:>11}  {:<20}"


def machine(directory):
    """The facts without which the figures mean nothing."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "disk_free_mib": shutil.disk_usage(directory).free >> 20,
        "load": os.getloadavg()[0],
    }


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version(*argv):
    """The first line a program prints of its version, without the libraries in brackets."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    return (done.stdout or done.stderr).strip().splitlines()[0].partition(" (")[0]


def print_facts(facts, programs):
    line = "{cpu}, {cores} cores, Linux {kernel}, {memory_mib} MiB of memory, {disk_free_mib} MiB of disk free"
    print(line.format(**facts))
    for name, text in programs.items():
        print(f"{name}: {text}")
    if facts["load"] > facts["cores"] / 4:
        load = f"{facts['load']:.1f}"
        print(f"This machine is busy (load {load}): trust the ratios more than the times, and neither much.")
    print()


def print_heading():
    ratio = "ratio (min..max)"
    print(COLUMNS.format("case", "dfget", "peer", ratio, "dfget CPU", "peer CPU", ratio).rstrip())


def print_row(case):
    if "why" in case:
        print(f"{case['name']:<34}   {case['status']}: {case['why']}")
        return
    a, b = case["dfget"], case["peer"]
    cells = [case["name"]]
    for kind in ("wall", "cpu"):
        cells += [milliseconds(a[kind]), milliseconds(b[kind]), ratio(case["ratios"][kind])]
    print(COLUMNS.format(*cells).rstrip())


def milliseconds(runs):
    median = statistics.median(runs) * 1000
    return f"{median:.1f} ms" if median < 100 else f"{median:.0f} ms"


def ratio(three):
    return "{:.2f} ({:.2f}..{:.2f})".format(*three) if three else "too few runs"


def of_pair(name, pair):
    """A pair as the JSON file has it; all times in seconds, in the order of the runs."""
    sides = {}
    for key, side, runs in (("dfget", pair.a, pair.runs_a), ("peer", pair.b, pair.runs_b)):
        sides[key] = {"command": side.argv, "wall": [r.wall for r in runs], "cpu": [r.cpu for r in runs]}
    case = {"name": name, "status": "ok", **sides, "ratios": {}}
    for kind in ("wall", "cpu"):
        try:
            case["ratios"][kind] = ratios(sides["dfget"][kind], sides["peer"][kind])
        except TooFewRuns:
            case["ratios"][kind] = None
    return case


def print_memory(rows):
    if not rows:
        return
    print("\n{:<34}{:>14}{:>14}".format("peak memory (VmHWM)", "dfget", "plugin"))
    for row in rows:
        if "why" in row:
            print(f"{row['name']:<34}   {row['status']}: {row['why']}")
        else:
            print(f"{row['name']:<34}{row['host_kib']:>10} KiB{row['plugin_kib']:>10} KiB")


def write(path, document):
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nWritten to {path}")
