#!/usr/bin/env python3
"""Checks lengths: files have at most 500 lines (kernels 700), functions 60 (kernels 120)."""
import re

import source_tree

KERNEL_FOLDERS = ("backends/cpu/", "backends/reference/")
NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
NAMESPACE = re.compile(r'\bnamespace\b|\bextern\s*$')
TYPE = re.compile(r"\b(?:class|struct|union|enum)\b")
NAME = re.compile(r"([\w:~]+)\s*\(")


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def kind_of(header, enclosing):
    """Kind of the block that `header` (the text since the last statement) opens."""
    if enclosing not in ("namespace", "type"):
        return "block"
    if NAMESPACE.search(header):
        return "namespace"
    before = header.split("(")[0]
    if TYPE.search(before) and not ("(" in header and re.search(r"\)\s*\w*\s*$", header)):
        return "type"
    if "(" in header and ("=" not in before or "operator" in before):
        return "function"
    return "block"


def functions(text):
    """(name, lines) of each function defined in C++ source, the signature counted."""
    # Digit separators would look like the start of a character.
    text = re.sub(r"(?<=\d)'(?=\d)", "_", text)
    text = DIRECTIVE.sub(blank, NOISE.sub(blank, text))
    stack = [("namespace", "", 0)]
    start = 0
    found = []
    for i, char in enumerate(text):
        if char == "{":
            header = text[start:i]
            name = NAME.search(header)
            first = start + len(header) - len(header.lstrip())
            stack.append((kind_of(header, stack[-1][0]), name[1] if name else "?", first))
        elif char == "}" and len(stack) > 1:
            kind, name, first = stack.pop()
            if kind == "function":
                found.append((name, text.count("\n", first, i) + 1))
        if char in "{};":
            start = i + 1
    return found


def lengths(path, text):
    """(key, lines, limit) of the file and of its functions."""
    kernel = path.startswith(KERNEL_FOLDERS)
    yield path, text.count("\n"), 700 if kernel else 500
    if not path.endswith(".py"):
        for name, lines in functions(text):
            yield f"{path}:{name}", lines, 120 if kernel else 60


def check(path, text):
    return [f"{key}: too long (got {lines} lines, want at most {limit})"
            for key, lines, limit in lengths(path, text) if lines > limit]


def main():
    findings = []
    for path in source_tree.files((".h", ".cc", ".py")):
        findings += check(path, (source_tree.ROOT / path).read_text())
    source_tree.finish("check_lengths", findings)


if __name__ == "__main__":
    main()
