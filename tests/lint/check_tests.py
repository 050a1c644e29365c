#!/usr/bin/env python3
"""Checks that each product .cc of more than 80 lines has a test.

graph/ir/text.cc is tested by tests/graph/ir/text_test.cc, or one folder up, or (a pass) by the golden
texts in tests/golden/passes/<name>/; else a pattern in tests.toml names the test that covers it.
"""
import fnmatch
import pathlib
import tomllib

import source_tree

MAX_UNTESTED_LINES = 80


def mirrors(path):
    """Where the test of a source file may lie."""
    source = pathlib.PurePosixPath(path)
    folders = [source.parent, source.parent.parent]
    tests = [f"tests/{folder}/{source.stem}_test.cc" for folder in folders]
    return tests + [f"tests/golden/{source.parent.name}/{source.stem}"]


def check(sources, covered_by, exists):
    """`sources` maps paths to lines, `covered_by` patterns to tests."""
    findings = []
    used = set()
    for path, lines in sources.items():
        if lines <= MAX_UNTESTED_LINES or any(exists(test) for test in mirrors(path)):
            continue
        patterns = [pattern for pattern in covered_by if fnmatch.fnmatch(path, pattern)]
        used.update(patterns)
        if not patterns:
            findings.append(f"{path}: no test (got {lines} lines, want {mirrors(path)[0]})")
    for pattern, test in covered_by.items():
        if pattern not in used:
            findings.append(f"tests.toml: {pattern}: nothing needs it; remove it")
        if not exists(test):
            findings.append(f"tests.toml: {pattern}: {test} does not exist")
    return findings


def main():
    with open(pathlib.Path(__file__).with_name("tests.toml"), "rb") as file:
        covered_by = tomllib.load(file)
    sources = {path: (source_tree.ROOT / path).read_text().count("\n")
               for path in source_tree.files((".cc",), source_tree.PRODUCT_FOLDERS)}
    exists = lambda path: (source_tree.ROOT / path).exists()
    source_tree.finish("check_tests", check(sources, covered_by, exists))


if __name__ == "__main__":
    main()
