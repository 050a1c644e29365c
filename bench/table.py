#!/usr/bin/env python3
"""Puts run.py's results into docs/benchmarks.md, between its two markers.

Usage: table.py RESULTS.json
"""

import json
import pathlib
import sys

from run import SCHEMES, WORKLOADS

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/benchmarks.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
OURS = "pocketune"


def milliseconds(result):
    if result is None:
        return ""
    if "about_ms" in result:
        return f"~{result['about_ms']:.3g}"
    if "median_ms" not in result:
        return result["status"]
    digits = 2 if result["median_ms"] < 10 else 1
    return f"{result['median_ms']:.{digits}f} ± {result['mad_ms']:.{digits}f}"


def megabytes(result):
    return f"{result['peak_bytes'] / 1e6:.0f}" if "peak_bytes" in result else ""


def first_step(result):
    return f"{result['first_step_s']:.2g}" if "first_step_s" in result else ""


def markdown(head, rows):
    return ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2),
            *("| " + " | ".join(row) + " |" for row in rows), ""]


def comparison(case):
    ours = case["engines"][OURS]
    best = case.get("best_peer")
    peer = case["engines"][best] if best else {}
    ratio = f"**{case['ratio']:.2f}**" if best else ""
    if case.get("disturbed"):
        ratio = "disturbed"
    return [case["workload"], case["scheme"], milliseconds(ours), milliseconds(peer or None),
            best or "", ratio, megabytes(ours), megabytes(peer), first_step(ours),
            first_step(peer)]


def tables(cases, threads):
    """The comparison with the best peer, then the times of every peer."""
    peers = []
    for case in cases:
        peers += [name for name in case["engines"] if name != OURS and name not in peers]
    head = ["workload", "scheme", "ours, ms", "best peer, ms", "which", "ratio", "MB", "its MB",
            "first step, s", "its first step, s"]
    every = [[case["workload"], case["scheme"],
              *(milliseconds(case["engines"].get(peer)) for peer in peers)] for case in cases]
    heading = f"### {threads} thread{'s' if threads > 1 else ''}"
    return [heading, "", *markdown(head, map(comparison, cases)), "Every peer, ms:", "",
            *markdown(["workload", "scheme", *peers], every)]


def quotient(dividend, divisor):
    """Of two results' times, with a ~ where one is a warm-up's; nothing where one is missing."""
    times = [r.get("median_ms", r.get("about_ms")) for r in (dividend, divisor)]
    if None in times:
        return ""
    rough = any("median_ms" not in r for r in (dividend, divisor))
    return f"{'~' if rough else ''}{times[0] / times[1]:.3g}"


def across_cases(cases):
    """What compares numbers of several cases, which did not take turns."""
    threads = sorted({case["threads"] for case in cases})
    if len(threads) == 1:
        return []
    least, most = threads[0], threads[-1]
    engines = {(c["workload"], c["scheme"], c["threads"]): c["engines"] for c in cases}

    def find(engine, *case):
        return engines.get(case, {}).get(engine, {})

    rows = []
    for name in dict.fromkeys(case["workload"] for case in cases):
        sparse = find(OURS, name, "pockengine", most)
        rows.append([name, *(quotient(find(OURS, name, scheme, least),
                                      find(OURS, name, scheme, most)) for scheme in SCHEMES),
                     quotient(find(OURS, name, "full", most), sparse),
                     quotient(find("tensorflow", name, "full", most), sparse)])
    head = ["workload", *SCHEMES, "our full / our pockengine", "tensorflow's full / our pockengine"]
    return ["### Across cases", "",
            f"Our time with `--threads {least}` to that with {most}, for each scheme; then what",
            f"`pockengine` gains over `full`, with {most}. These did not take turns.", "",
            *markdown(head, rows)]


def reasons(cases):
    """Why peers were not timed: one line for each peer and reason."""
    found = {}
    for case in cases:
        for name, r in case["engines"].items():
            if r["status"] in ("wrong", "failed") and "untried" not in r:
                where = found.setdefault((name, r["status"], r["reason"][:160]), [])
                where.append(f"{case['workload']} {case['scheme']}")
    if not found:
        return []
    return ["Not timed:", "", *(f"- {name}, {status} ({', '.join(dict.fromkeys(where))}): {why}"
                                for (name, status, why), where in found.items()), ""]


def page(record):
    order = list(WORKLOADS)
    cases = sorted(record["cases"], key=lambda case: (order.index(case["workload"]),
                                                      SCHEMES.index(case["scheme"])))
    versions = sorted({r["version"] for case in cases for r in case["engines"].values()
                       if "version" in r})
    lines = [f"{record['cpu']}, kernels at {record['isa']}. Peers: {', '.join(versions)}.", ""]
    for threads in sorted({case["threads"] for case in cases}):
        lines += tables([case for case in cases if case["threads"] == threads], threads)
    return "\n".join(lines + across_cases(cases) + reasons(cases)) + "\n"


def main():
    record = json.loads(pathlib.Path(sys.argv[1]).read_text())
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n" + page(record) + END + after)


if __name__ == "__main__":
    main()
