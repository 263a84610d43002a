"""From runs to what the bench says of them: the JSON file is made of these, and both tables are made of it."""

import statistics

import targets
from measure import FEWEST_RUNS, Absent, RunFailed, TooFewRuns, ratios, watch
from ground import PLUGINS
from outputs import size

MEMORY_RUNS = 3


def of_case(case, found):
    """All times in seconds, memory in KiB, in the order of the runs. Ratios are dfget's by the peer's."""
    ours = figures(found[0])
    document = {"name": case.key, "amount": case.amount, "sides": [of_side(ours, result, case.key) for result in found]}
    limit = targets.SECONDS.get(case.key)
    if limit and len(ours["wall"]) >= FEWEST_RUNS:
        median = statistics.median(ours["wall"])
        document["sides"][0]["targets"]["seconds"] = {"limit": limit, "verdict": targets.verdict(median, limit)}
    return document


def of_side(ours, result, key):
    side = {"name": result.side.name, "status": result.status, "ratios": {}, "targets": {}}
    if result.status != "ok":
        return side | {"why": result.why}
    side |= {"command": result.side.argv, **figures(result)}
    if result.side.name != "dfget":
        side["ratios"] = {kind: ratio_or_none(ours[kind], side[kind]) for kind in ("wall", "cpu", "memory")}
    for kind, ratio in side["ratios"].items():
        limit = targets.of_ratio(key, result.side.name, kind)
        if limit and ratio:
            side["targets"][kind] = {"limit": limit, "verdict": targets.verdict(ratio[0], limit)}
    return side


def figures(result):
    return {
        "wall": [run.wall for run in result.runs],
        "cpu": [run.cpu for run in result.runs],
        "memory": [watched.kib() for watched in result.warm],
    }


def ratio_or_none(a, b):
    try:
        return ratios(a, b)
    except TooFewRuns:
        return None


def of_memory(case, side):
    """The largest peaks of the host and of its plugin in some runs of a download through a plugin."""
    row = {"case": case.key, "name": case.title, "status": "ok"}
    if isinstance(side, Absent):
        return row | {"status": "skipped", "why": side.why}
    row |= {"bytes": size(side.original), "host_kib": 0, "plugin_kib": 0}
    try:
        for _ in range(MEMORY_RUNS):
            watched = watch(side, case.before, side.checks[1])
            check_waited(watched)
            for (_, program), peak in watched.peaks.items():
                key = "plugin_kib" if program in PLUGINS else "host_kib"
                row[key] = max(row[key], peak.memory)
        if not row["plugin_kib"]:
            raise RunFailed("the plugin's process was not seen among dfget's descendants")
    except RunFailed as failure:
        return row | {"status": "failed", "why": str(failure)}
    return row | {"target": {"limit": targets.HOST_KIB, "verdict": targets.verdict(row["host_kib"], targets.HOST_KIB)}}


def flatness(rows):
    """The host's peak of the largest file by that of the next smaller one; None of two, of which one is small."""
    alone = (row for row in rows if row["case"] == "memory" and row["status"] == "ok")
    done = sorted(alone, key=lambda row: row["bytes"])
    if len(done) < 3:
        return None
    ratio = done[-1]["host_kib"] / done[-2]["host_kib"]
    return {"ratio": ratio, "limit": targets.FLAT, "verdict": targets.verdict(ratio, targets.FLAT)}


def watch_all(side, before, check):
    """As `watch`, and sees to it that the CPU of every process is in the sum: a change could undo that unnoticed."""
    watched = watch(side, before, check)
    check_waited(watched)
    return watched


def check_waited(watched):
    sampled = sum({pid: peak.cpu for (pid, _), peak in watched.peaks.items()}.values())
    # Of a cold start this is six milliseconds. Nothing is sampled that was not used.
    if watched.cpu < 0.95 * sampled - 0.0002:
        raise RunFailed("it did not wait for all its processes, whose CPU would be missing")
