"""Runs commands and measures them: wall time, CPU and memory of every process involved.

Refuses to make a ratio of fewer than three counted runs."""

import os
import signal
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from outputs import COPY, remove
from processes import sample

FEWEST_RUNS = 3
TIME_LIMIT = 600  # seconds for one run


class TooFewRuns(Exception):
    """A ratio was asked of runs too few to mean anything."""


class RunFailed(Exception):
    """A command ended with an error, or left the wrong output."""


@dataclass(frozen=True)
class Side:
    """One of the commands of a case: what is run, what it must leave behind, and who works for it."""

    name: str
    argv: list
    output: Path
    original: Path
    environment: dict
    server: object = None  # has cpu() and memory(): what it uses meanwhile counts as the command's
    checks: tuple = COPY  # of the output: the thorough one, and the one of counted runs
    prints: bool = False  # its stdout is the output


@dataclass(frozen=True)
class Absent:
    """A side that cannot be run on this machine."""

    name: str
    why: str


@dataclass(frozen=True)
class Run:
    """Seconds of one run; `first` is up to the first byte on stdout, where that was looked at."""

    wall: float
    cpu: float
    first: float | None = None


@dataclass(frozen=True)
class Watched:
    """One run that was looked at and not timed: a Peak by (pid, program), and what wait4 and the server tell."""

    peaks: dict
    cpu: float
    server_kib: int

    def kib(self):
        """Of all its processes together. A process counts as the program that it was last."""
        last = {pid: peak.memory for (pid, _), peak in self.peaks.items()}
        return sum(last.values()) + self.server_kib


@dataclass
class Result:
    """What came of one side, its runs in the order in which they were made."""

    side: Side | Absent
    status: str = "ok"
    why: str = ""
    warm: list = field(default_factory=list)
    runs: list = field(default_factory=list)


def compare(sides, plan):
    """Has the sides take turns: a b c c b a a b c …; returns a Result a side.

    Backwards every second time, so that nobody always has what the heaviest one leaves behind. A side that fails drops
    out, and all with the first one, because the others are there for its sake."""
    results = [Result(side) for side in sides]
    for result in results:
        if isinstance(result.side, Absent):
            result.status, result.why = "skipped", result.side.why
    for number, turn in enumerate([warm_up] * plan.warm_ups + [counted] * plan.counted):
        for result in results if number % 2 == 0 else reversed(results):
            if results[0].status == "ok" and result.status == "ok":
                turn(result, plan)
    for result in results[1:]:
        if results[0].status != "ok" and result.status == "ok":
            result.status, result.why = results[0].status, results[0].why
    return results


def warm_up(result, plan):
    thorough, _ = result.side.checks
    attempt(result, result.warm, lambda side: plan.warm(side, plan.before, thorough))


def counted(result, plan):
    _, quick = result.side.checks
    attempt(result, result.runs, lambda side: plan.how(side, plan.before, quick))


def attempt(result, runs, turn):
    try:
        runs.append(turn(result.side))
    except RunFailed as failure:
        result.status, result.why = "failed", str(failure)


def ratios(a, b):
    """The ratio of the medians, and the smallest and largest ratio of two neighbouring runs."""
    if len(a) < FEWEST_RUNS or len(a) != len(b):
        raise TooFewRuns(f"no ratio from {len(a)} and {len(b)} runs: at least {FEWEST_RUNS} pairs are needed")
    if min(b) <= 0:
        raise TooFewRuns("no ratio: a run took less time than the clock can tell")
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


def run_after_itself(side, before, check):
    """The second of two runs in a row; the first does not count. Between them nothing is done but to remove its output.

    A hypervisor takes memory back that is free for some seconds (free page reporting), and who comes to write into it pays
    several times what the writing costs. So everyone gets memory that was just in use, in pieces as they ask for them."""
    run(side, before, check)
    return run(side, lambda: None, check)


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


def watch(side, before, check):
    """Runs a command while looking at its processes; not for timing."""
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
    server = side.server.memory() if side.server else 0
    finish(side, status, check)
    return Watched(peaks, usage.ru_utime + usage.ru_stime, server)


@dataclass(frozen=True)
class Plan:
    """How often the sides of a case take turns; what precedes each run, untimed; how a warm-up and a counted run are made."""

    warm_ups: int
    counted: int
    before: Callable
    how: Callable = run
    warm: Callable = run


def nothing():
    """What precedes a run where nothing needs to."""


def start_process(side, stdout=None):
    """Starts the command with nothing to read, its stdout dropped, kept or a pipe, its stderr kept for the error message."""
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    kept = str(side.output) if side.prints else os.devnull
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, kept, new, 0o644) if stdout is None else (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_OPEN, 2, side.environment["BENCH_STDERR"], new, 0o644),
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
    if not side.output.exists() or not check(side.output, side.original):
        raise RunFailed(f"{side.name}: {side.output.name} is not {side.original.name}")
    remove(side.output)
