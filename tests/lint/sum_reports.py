#!/usr/bin/env python3
"""Sums ctest's JUnit reports and prints one line; exits 1 unless all tests passed or were skipped.

A report that is not there counts as one failure: its preset did not build.
"""
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    if case.get("status") == "run":
        return "passed"
    if case.get("status") == "disabled":
        return "skipped"
    skipped = case.find("skipped")
    # A test binary that is missing is reported as skipped too, with another message.
    if skipped is not None and skipped.get("message", "").startswith("SKIP_"):
        return "skipped"
    return "failed"


def main(paths):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for path in paths:
        try:
            cases = ElementTree.parse(path).getroot().findall("testcase")
        except (OSError, ElementTree.ParseError) as error:
            print(f"{path}: no report ({error})", file=sys.stderr)
            cases = []
        if not cases:
            counts["failed"] += 1
        for case in cases:
            counts[outcome(case)] += 1
            if outcome(case) == "failed":
                print(f"failed: {path}: {case.get('name')}")
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
