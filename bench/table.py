#!/usr/bin/env python3
"""Puts run.py's results into docs/benchmarks.md, between its two markers.

Usage: table.py RESULTS.json [MORE.json ...], e.g. one for each number of threads.
"""

import json
import pathlib
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/benchmarks.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
OURS = "pocketune"


def cell(result):
    if result is None:
        return ""
    if "median_ms" not in result:
        return result["status"]
    digits = 2 if result["median_ms"] < 10 else 1
    return f"{result['median_ms']:.{digits}f} ± {result['mad_ms']:.{digits}f}"


def megabytes(result):
    return f"{result['peak_bytes'] / 1e6:.0f}" if "peak_bytes" in result else ""


def row(case, peers):
    ours = case["engines"][OURS]
    best = case.get("best_peer")
    memory = megabytes(case["engines"][best]) if best else ""
    ratio = f"**{case['ratio']:.2f}** {best}" if best else ""
    if case.get("disturbed"):
        ratio = "disturbed"
    return [case["workload"], case["scheme"], cell(ours),
            *(cell(case["engines"].get(peer)) for peer in peers), ratio, megabytes(ours), memory]


def table(record):
    peers = []
    for case in record["cases"]:
        peers += [name for name in case["engines"] if name != OURS and name not in peers]
    head = ["workload", "scheme", OURS, *peers, "ratio, to", "MB", "MB of that peer"]
    lines = [f"{record['cpu']}, kernels at {record['isa']}, {record['threads']} threads. Peers: "
             + ", ".join(versions(record)) + ".", ""]
    lines += ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    lines += ["| " + " | ".join(row(case, peers)) + " |" for case in record["cases"]]
    return "\n".join(lines) + "\n"


def versions(record):
    found = {r["version"] for case in record["cases"] for r in case["engines"].values()
             if "version" in r}
    return sorted(found)


def main():
    records = [json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:]]
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(map(table, records)) + "\n" + END + after)


if __name__ == "__main__":
    main()
