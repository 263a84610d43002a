"""What the bench says: the machine it ran on, a block a case and a line a side, and the same as a JSON file."""

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
from pathlib import Path

COLUMNS = "  {:<22}{:>9} {:<19} {:<21}{:>9} {:<19} {:<21}{:>9} {:<4}"
VERSION = re.compile(r"\d+(?:\.\d+)+\S*")
HEADING = ["", "wall", "ratio (min..max)", "target", "CPU", "ratio (min..max)", "target", "memory", "ratio"]


def machine(directory):
    """The facts without which the figures mean nothing."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "virtual": virtualisation(),
        "filesystem": filesystem(directory),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "disk_free_mib": shutil.disk_usage(directory).free >> 20,
        "load": os.getloadavg()[0],
    }


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def virtualisation():
    """What this runs in, as far as it can be told: the time of a hypervisor, and of its other guests, is in all figures."""
    if shutil.which("systemd-detect-virt"):
        done = subprocess.run(["systemd-detect-virt", "--vm"], capture_output=True, text=True, timeout=30)
        return done.stdout.strip()
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    return "a hypervisor" if "hypervisor" in flags.split() else "none"


def filesystem(directory):
    """Of the innermost mount point above, and of those the one that was mounted last."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(mount[1]), number, mount[2]) for number, mount in enumerate(mounts) if directory.is_relative_to(mount[1])]
    return max(above)[2] if above else "unknown"


def version(*argv):
    """The first number with a dot in what a program prints of itself."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    found = VERSION.search(done.stdout or done.stderr)
    return found[0] if found else "it does not say which"


def facts_in_words(facts):
    line = "{cpu}, {cores} cores, {machine}, Linux {kernel}, {memory_mib} MiB of memory, {disk_free_mib} MiB of disk ({filesystem}) free"
    machine = "no virtual machine" if facts["virtual"] == "none" else f"virtual machine ({facts['virtual']})"
    return line.format(machine=machine, **facts)


def print_facts(facts, programs):
    print(facts_in_words(facts))
    for name, text in programs.items():
        print(f"{name}: {text}")
    if facts["load"] > facts["cores"] / 4:
        load = f"{facts['load']:.1f}"
        print(f"This machine is busy (load {load}): trust the ratios more than the times, and neither much.")
    print()


def print_heading():
    print(COLUMNS.format(*HEADING).rstrip())


def print_case(case):
    print(f"{case['name']}, {case['amount']}")
    for side in case["sides"]:
        if "why" in side:
            print(f"  {side['name']:<22} {side['status']}: {side['why']}")
        else:
            print(COLUMNS.format(*cells(side)).rstrip())


def cells(side):
    found = [side["name"]]
    for kind in ("wall", "cpu"):
        wanted = kind if kind != "wall" or kind in side["targets"] else "seconds"
        found += [milliseconds(side[kind]), ratio_cell(side, kind), target(side["targets"].get(wanted))]
    memory = side["ratios"].get("memory")
    return [*found, mebibytes(side["memory"]), f"{memory[0]:.2f}" if memory else ""]


def ratio_cell(side, kind):
    return ratio(side["ratios"][kind]) if kind in side["ratios"] else ""


def target(wanted):
    return f"≤ {wanted['limit']} {wanted['verdict']}" if wanted else ""


def milliseconds(runs):
    if not runs:
        return "-"
    median = statistics.median(runs) * 1000
    return f"{median:.1f} ms" if median < 100 else f"{median:.0f} ms"


def mebibytes(kib):
    return f"{statistics.median(kib) / 1024:.0f} MiB" if kib else "-"


def ratio(three):
    return "{:.2f} ({:.2f}..{:.2f})".format(*three) if three else "too few runs"


def print_memory(rows, flat):
    if not rows:
        return
    print("\n{:<46}{:>12}  {:<24}{:>12}".format("peak memory (VmHWM)", "dfget", "target", "plugin"))
    for row in rows:
        if "why" in row:
            print(f"{row['name']:<46}   {row['status']}: {row['why']}")
        else:
            wanted = f"≤ {row['target']['limit'] >> 10} MiB {row['target']['verdict']}"
            print(f"{row['name']:<46}{row['host_kib']:>8} KiB  {wanted:<24}{row['plugin_kib']:>8} KiB")
    if flat:
        print(f"dfget's of the largest by the next smaller one: {flat['ratio']:.2f}, {target(flat)}")


def write(path, document):
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nWritten to {path}")
