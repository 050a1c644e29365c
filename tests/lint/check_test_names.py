#!/usr/bin/env python3
"""Checks that parameterized tests have names: each INSTANTIATE_TEST_SUITE_P gives a name generator.

Without one a case is called by its place in a list ("Zoo/ZooTest.IsExact/17"), which says nothing and
moves when a case is added. A testing::Range from 0 on needs none: place and value are one.
"""
import re

import source_tree

START = re.compile(r"\bINSTANTIATE_TEST_SUITE_P\(")
SKIPPED = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'|//[^\n]*', re.DOTALL)
RANGE_FROM_ZERO = re.compile(r"(?:::)?testing::Range(?:<[^>]*>)?\(0,")


def arguments(text, at):
    """The arguments of the call whose opening bracket is right before `at`."""
    found, depth, start = [], 0, at
    while True:
        skipped = SKIPPED.match(text, at)
        if skipped:
            at = skipped.end()
            continue
        char = text[at]
        if char in "([{":
            depth += 1
        elif char in ")]}" and depth > 0:
            depth -= 1
        elif depth == 0 and char in ",)":
            found.append(text[start:at].strip())
            start = at + 1
            if char == ")":
                return found
        at += 1


def check(path, text):
    findings = []
    for match in START.finditer(text):
        _, suite, *rest = arguments(text, match.end())
        if len(rest) == 1 and not RANGE_FROM_ZERO.match(rest[0]):
            line = text.count("\n", 0, match.start()) + 1
            findings.append(f"{path}:{line}: {suite}: cases without names (got none, want a function "
                            "that names them, the last argument)")
    return findings


def main():
    findings = []
    for path in source_tree.files((".h", ".cc"), ("tests",)):
        findings += check(path, (source_tree.ROOT / path).read_text())
    source_tree.finish("check_test_names", findings)


if __name__ == "__main__":
    main()
