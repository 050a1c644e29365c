#!/usr/bin/env python3
"""Checks that public headers explain themselves: of the lines that are not blank, at least 40 % hold prose.

A line counts once, whether a comment is all of it or stands behind code. Bodies of functions are left
out: they are there for the compiler. What is an explanation (shapes, units, ranges, ownership, errors,
threads) no script can tell.
"""
import re

import check_lengths
import source_tree

PUBLIC_FOLDERS = ("engine/include", "graph/include", "frontends/include")
LEAST_SHARE = 0.40
TEXT = re.compile(r'"(?:\\.|[^"\\\n])*"')
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
WORD = re.compile(r"[A-Za-z]{2}")


def share(text):
    """Lines with prose by lines that are neither blank nor in a function's body."""
    text = TEXT.sub('""', text)
    bodies = sum(lines - 1 for _, lines in check_lengths.functions(text))
    prose = set()
    for match in COMMENT.finditer(text):
        first = text.count("\n", 0, match.start())
        prose |= {first + i for i, line in enumerate(match[0].split("\n")) if WORD.search(line)}
    lines = sum(1 for line in text.split("\n") if line.strip()) - bodies
    return len(prose) / lines if lines > 0 else 1.0


def check(path, text):
    if share(text) >= LEAST_SHARE:
        return []
    return [f"{path}: too little prose (got {100 * share(text):.0f} % of the lines, want at least "
            f"{100 * LEAST_SHARE:.0f} %: shapes, units, ranges, ownership, errors, threads)"]


def main():
    findings = []
    for path in source_tree.files((".h",), PUBLIC_FOLDERS):
        findings += check(path, (source_tree.ROOT / path).read_text())
    source_tree.finish("check_prose", findings)


if __name__ == "__main__":
    main()
