"""Looks at the processes of a command while it runs: their peak memory and their CPU."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

SAMPLE_EVERY = 0.001  # seconds: a cold start is over in five
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Peak:
    """What sampling saw of one process: its peak memory (VmHWM, KiB) and the CPU seconds it had used."""

    memory: int = 0
    cpu: float = 0.0


def sample(pid, peaks, ended):
    while not ended.is_set():
        for process in [pid, *descendants(pid)]:
            look_at(process, peaks)
        ended.wait(SAMPLE_EVERY)


def look_at(pid, peaks):
    """Notes a process under the program it is now: the same process is another program after its exec."""
    try:
        program = Path(os.readlink(f"/proc/{pid}/exe")).name.removesuffix(" (deleted)")
        cpu, high = seconds(pid), high_water(pid)
    except (FileNotFoundError, ProcessLookupError):
        return
    if high:
        # The last one noted is the last one here, too.
        peak = peaks.setdefault((pid, program), Peak())
        peak.memory = max(peak.memory, high)
        peak.cpu = max(peak.cpu, cpu)


def seconds(pid):
    """Of CPU that a process has used: at least so many.

    `stat` counts hundredths, of all threads that it had; `schedstat` nanoseconds, of those that it has."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return max(sum(map(int, used)) / TICK, sum(map(seconds_of_thread, Path(f"/proc/{pid}/task").iterdir())))


def seconds_of_thread(task):
    """None of one that has ended, or where the kernel does not count them."""
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def high_water(pid):
    """VmHWM of a process in KiB; 0 of one that has no memory any more."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def children(pid):
    """Of all its threads, any of which, or the process itself, may end meanwhile."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return found
