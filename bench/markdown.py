"""The JSON file of a run as Markdown: the tables of docs/performance.md."""

import report

COLUMNS = [
    "case", "peer", "wall of dfget", "wall of the peer", "wall, ratio", "target", "CPU, ratio", "target", "memory of dfget",
    "memory of the peer",
]


def of(document):
    lines = [f"{report.facts_in_words(document['machine'])}; {document['started']}, {document['mode']} run.", ""]
    lines += [f"* {name}: {text}" for name, text in document["programs"].items()]
    lines += ["", row(COLUMNS), row(["---"] * len(COLUMNS))]
    for case in document["cases"]:
        lines += [row(of_side(case, side)) for side in shown(case)]
    return "\n".join([*lines, *of_memory(document["memory"], document["flat"])])


def shown(case):
    """A line a peer; dfget has one of its own where it is alone, or where it is what is missing."""
    ours, *others = case["sides"]
    return others if others and "why" not in ours else [ours]


def of_side(case, side):
    ours = case["sides"][0]
    title, name = f"{case['name']}, {case['amount']}", side["name"] if side is not ours else "-"
    if "why" in side:
        return [title, name, f"{side['status']}: {side['why']}", *[""] * 7]
    found = [title, name, report.milliseconds(ours["wall"]), report.milliseconds(side["wall"]) if side is not ours else ""]
    _, _, wall, wall_target, _, cpu, cpu_target, memory, _ = report.cells(side)
    return [*found, wall, wall_target, cpu, cpu_target, report.mebibytes(ours["memory"]), memory if side is not ours else ""]


def of_memory(rows, flat):
    if not rows:
        return
    yield from ["", row(["peak memory", "dfget", "target", "plugin"]), row(["---"] * 4)]
    for found in rows:
        if "why" in found:
            yield row([found["name"], f"{found['status']}: {found['why']}", "", ""])
        else:
            wanted = f"≤ {found['target']['limit'] >> 10} MiB {found['target']['verdict']}"
            yield row([found["name"], f"{found['host_kib']:,} KiB", wanted, f"{found['plugin_kib']:,} KiB"])
    if flat:
        yield row(["largest by next smaller", f"{flat['ratio']:.2f}", report.target(flat), ""])


def row(cells):
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
