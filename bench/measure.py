"""Runs commands and measures them: wall time, CPU of every process involved, peak memory of each.

Refuses to make a ratio of fewer than three counted runs."""

import filecmp
import os
import signal
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

FEWEST_RUNS = 3
TIME_LIMIT = 300  # seconds for one run
SAMPLE_EVERY = 0.005  # seconds
TICK = os.sysconf("SC_CLK_TCK")


class TooFewRuns(Exception):
    """A ratio was asked of runs too few to mean anything."""


class RunFailed(Exception):
    """A command ended with an error, or left the wrong output."""


@dataclass(frozen=True)
class Side:
    """One of the two commands of a pair: what is run, what it must leave behind, and who works for it."""

    name: str
    argv: list
    output: Path
    original: Path
    environment: dict
    server: object = None  # has cpu(): seconds used so far; its use counts as the command's


@dataclass(frozen=True)
class Run:
    """Seconds of one run; `first` is up to the first byte on stdout, where that was looked at."""

    wall: float
    cpu: float
    first: float | None = None


@dataclass
class Pair:
    """Two sides that do the same job, and their runs in the order in which they were made."""

    a: Side
    b: Side
    runs_a: list = field(default_factory=list)
    runs_b: list = field(default_factory=list)


def compare(pair, warm_ups, counted, before, how=None):
    """Runs a b a b …; the warm-ups are checked byte for byte and not counted, the others for their length."""
    how = how or run
    for _ in range(warm_ups):
        for side in (pair.a, pair.b):
            how(side, before, same_content)
    for _ in range(counted):
        pair.runs_a.append(how(pair.a, before, same_length))
        pair.runs_b.append(how(pair.b, before, same_length))


def ratios(a, b):
    """The ratio of the medians, and the smallest and largest ratio of two neighbouring runs."""
    if len(a) < FEWEST_RUNS or len(a) != len(b):
        raise TooFewRuns(f"no ratio from {len(a)} and {len(b)} runs: at least {FEWEST_RUNS} pairs are needed")
    pairs = [x / y for x, y in zip(a, b)]
    return statistics.median(a) / statistics.median(b), min(pairs), max(pairs)


def run(side, before, check):
    """One run from a clean start: the output of the last one is removed outside the measured time."""
    remove(side.output)
    before()
    server_before = side.server.cpu() if side.server else 0.0
    start = time.perf_counter()
    pid = start_process(side)
    status, usage = wait_for(pid)
    wall = time.perf_counter() - start
    if side.server:
        time.sleep(0.005)  # the server closes its connection after the client has gone
    server = (side.server.cpu() if side.server else 0.0) - server_before
    finish(side, status, check)
    return Run(wall, usage.ru_utime + usage.ru_stime + server)


def run_to_first_byte(side, before, _):
    """As `run`, of a command that writes what its output should be to stdout."""
    before()
    reader, writer = os.pipe()
    start = time.perf_counter()
    pid = start_process(side, writer)
    os.close(writer)
    with open(reader, "rb", buffering=0) as stdout:
        seen = []

        def read():
            seen.extend((stdout.read(1 << 16), time.perf_counter() - start, stdout.read()))

        status, usage = wait_for(pid, read)
    wall = time.perf_counter() - start
    finish(side, status, None)
    beginning, first, rest = seen
    if beginning + rest != side.original.read_bytes():
        raise RunFailed(f"{side.name}: its stdout is not {side.original.name}")
    return Run(wall, usage.ru_utime + usage.ru_stime, first)


def start_process(side, stdout=None):
    """Starts the command with nothing to read, its stdout dropped or a pipe, and its stderr kept for the error message."""
    to_stdout = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        to_stdout if stdout is None else (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_OPEN, 2, side.environment["BENCH_STDERR"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
    ]
    return os.posix_spawn(side.argv[0], side.argv, side.environment, file_actions=actions)


def wait_for(pid, meanwhile=lambda: None):
    """The wait status and the resources of a process and of all descendants that were waited for."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.alarm(TIME_LIMIT)
    try:
        meanwhile()
        _, status, usage = os.wait4(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        signal.alarm(0)
    return status, usage


def finish(side, status, check):
    """Raises RunFailed unless the command ended well and left what it should; removes its output."""
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        words = Path(side.environment["BENCH_STDERR"]).read_text(errors="replace").strip()
        ended = f"signal {-code}" if code < 0 else f"exit {code}"
        raise RunFailed(f"{side.name}: {ended}: {words[-500:] or 'no message'}")
    if side.output.is_char_device():
        return
    if not check(side.output, side.original):
        raise RunFailed(f"{side.name}: {side.output.name} is not {side.original.name}")
    remove(side.output)


def same_length(output, original):
    if original.is_dir():
        return lengths(output) == lengths(original)
    return output.stat().st_size == original.stat().st_size


def lengths(directory):
    """The length of each file beneath, by its path."""
    files = (Path(parent, name) for parent, _, names in os.walk(directory) for name in names)
    return {file.relative_to(directory): file.stat().st_size for file in files}


def same_content(output, original):
    if original.is_dir():
        return same_length(output, original) and all(
            filecmp.cmp(output / path, original / path, shallow=False) for path in lengths(original)
        )
    with open(output, "rb") as a, open(original, "rb") as b:
        while True:
            piece = a.read(1 << 20)
            if piece != b.read(1 << 20):
                return False
            if not piece:
                return True


def remove(path):
    if path.is_dir():
        # Not deleted: ext4 looks long for an inode while those of ten thousand deleted files are still warm.
        path.rename(path.with_name(f"{path.name}-{time.monotonic_ns()}"))
    elif not path.is_char_device():
        path.unlink(missing_ok=True)


@dataclass
class Peak:
    """What sampling saw of one process: its peak memory (VmHWM, KiB) and the CPU seconds it had used."""

    memory: int = 0
    cpu: float = 0.0


def watch(side, before):
    """Runs a command while looking at its processes; not for timing. Peaks by program, and CPU as wait4 counts it."""
    remove(side.output)
    before()
    pid = start_process(side)
    peaks, ended = {}, threading.Event()
    sampler = threading.Thread(target=sample, args=(pid, peaks, ended))
    sampler.start()
    try:
        status, usage = wait_for(pid)
    finally:
        ended.set()
        sampler.join()
    finish(side, status, same_length)
    return peaks, usage.ru_utime + usage.ru_stime


def sample(pid, peaks, ended):
    while not ended.is_set():
        for process in [pid, *descendants(pid)]:
            look_at(process, peaks)
        ended.wait(SAMPLE_EVERY)


def look_at(pid, peaks):
    """Notes a process under the program it is now: the same process is another program after its exec."""
    try:
        program = Path(os.readlink(f"/proc/{pid}/exe")).name.removesuffix(" (deleted)")
        status = Path(f"/proc/{pid}/status").read_text()
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except (FileNotFoundError, ProcessLookupError):
        return
    high = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    if high:
        peak = peaks.setdefault((pid, program), Peak())
        peak.memory = max(peak.memory, int(high[0]))
        peak.cpu = sum(map(int, ticks)) / TICK


def descendants(pid):
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, children.read_text().split()):
                found += [child, *descendants(child)]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
