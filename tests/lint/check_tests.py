#!/usr/bin/env python3
"""Checks that each product .cc of more than 80 lines has a test.

graph/ir/text.cc is tested by tests/graph/ir/text_test.cc, or one folder up, or (a pass) by the golden
texts in tests/golden/passes/<name>/; else a pattern in tests.toml names the test that covers it.

The applications are tested through the command line and the files it writes, where no include tells
what a test reaches. A row for them therefore is [test, text] for one source: a text that the source
writes or takes (a flag, a message, a key of JSON) and that the test writes out. [test] alone stands
for the source's own header, included by the test or by a header of tests/ that it includes.
"""
import fnmatch
import pathlib
import re
import tomllib

import source_tree

MAX_UNTESTED_LINES = 80
MIN_TEXT = 5  # a shorter one stands anywhere
APPLICATIONS = "apps/"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def mirrors(path):
    """Where the test of a source file may lie."""
    source = pathlib.PurePosixPath(path)
    folders = [source.parent, source.parent.parent]
    tests = [f"tests/{folder}/{source.stem}_test.cc" for folder in folders]
    return tests + [f"tests/golden/{source.parent.name}/{source.stem}"]


def included(test, texts):
    """The headers that a test includes, itself or through headers of tests/."""
    found, waiting = set(), [test]
    while waiting:
        new = set(INCLUDE.findall(texts[waiting.pop()])) - found
        found |= new
        waiting += [header for header in new if header.startswith("tests/") and header in texts]
    return found


def check_use(path, row, texts):
    """Whether the test of an application's row has to do with the source."""
    if isinstance(row, str) or len(row) not in (1, 2):
        return [f"tests.toml: {path}: want [test] or [test, text]"]
    test = row[0]
    if test not in texts:
        return []  # said elsewhere
    if len(row) == 1:
        header = path.removesuffix(".cc") + ".h"
        return [] if header in included(test, texts) else [
            f"tests.toml: {path}: {test} does not include {header}"]
    text = row[1]
    findings = [] if len(text) >= MIN_TEXT else [
        f"tests.toml: {path}: text too short (got {len(text)} letters, want {MIN_TEXT})"]
    return findings + [f"tests.toml: {path}: {file} does not hold {text!r}"
                       for file in (path, test) if text not in texts[file]]


def check(texts, rows, exists):
    """`texts` maps paths to what the files hold, `rows` patterns of sources to tests."""
    findings = []
    used = set()
    for path, text in texts.items():
        if path.startswith("tests/") or not path.endswith(".cc"):
            continue
        lines = text.count("\n")
        if lines <= MAX_UNTESTED_LINES or any(exists(test) for test in mirrors(path)):
            continue
        patterns = [pattern for pattern in rows if fnmatch.fnmatch(path, pattern)]
        used.update(patterns)
        if not patterns:
            findings.append(f"{path}: no test (got {lines} lines, want {mirrors(path)[0]})")
        if path.startswith(APPLICATIONS):
            for pattern in patterns:
                findings += check_use(path, rows[pattern], texts)
    for pattern, row in rows.items():
        test = row if isinstance(row, str) else row[0]
        if pattern not in used:
            findings.append(f"tests.toml: {pattern}: nothing needs it; remove it")
        if not exists(test):
            findings.append(f"tests.toml: {pattern}: {test} does not exist")
    return findings


def main():
    with open(pathlib.Path(__file__).with_name("tests.toml"), "rb") as file:
        rows = tomllib.load(file)
    folders = (*source_tree.PRODUCT_FOLDERS, "tests")
    texts = {path: (source_tree.ROOT / path).read_text()
             for path in source_tree.files((".cc", ".h", ".py"), folders)}
    exists = lambda path: (source_tree.ROOT / path).exists()
    source_tree.finish("check_tests", check(texts, rows, exists))


if __name__ == "__main__":
    main()
