#!/usr/bin/env python3
"""Checks what the C library exports and what it needs.

  check_exports.py --nm NM --objdump OBJDUMP LIBRARY

It exports what c_api_symbols.txt lists, which is what pocketune.h declares, and nothing else. It needs
the system's libraries and those of the runtime side alone. A name that leaves the list breaks programs.
"""
import argparse
import pathlib
import re
import subprocess

import source_tree

HEADER = "engine/include/pocketune.h"
LIST = "tests/lint/c_api_symbols.txt"
DECLARED = re.compile(r"^PTN_API\b[^;(]*?(\w+)\(", re.MULTILINE)
# Defined symbols, the version's own name (class A) left out.
EXPORTED = re.compile(r"^[0-9a-f]+ [B-Zb-z] ([^@\s]+)", re.MULTILINE)
NEEDED = re.compile(r"^\s*NEEDED\s+(\S+)", re.MULTILINE)
MAY_NEED = re.compile(r"^(?:lib(?:c|m|stdc\+\+|gcc_s|pthread|pthreadpool|hwy|XNNPACK)|ld-linux[\w-]*)"
                      r"\.so\.\d+$")


def differences(what, got, want):
    return ([f"{what}: {name} is too much" for name in sorted(got - want)] +
            [f"{what}: {name} is missing" for name in sorted(want - got)])


def check(header, listed, exported, needed):
    """`header` is its text, the others are names."""
    findings = differences(f"{HEADER} against {LIST}", set(DECLARED.findall(header)), set(listed))
    findings += differences(f"the library against {LIST}", set(exported), set(listed))
    findings += [f"the library needs {name}" for name in needed if not MAY_NEED.match(name)]
    if listed != sorted(listed):
        findings.append(f"{LIST}: not in order")
    return findings


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nm", required=True)
    parser.add_argument("--objdump", required=True)
    parser.add_argument("library")
    args = parser.parse_args()
    root = pathlib.Path(source_tree.ROOT)
    exported = EXPORTED.findall(output(args.nm, "-D", "--defined-only", args.library))
    needed = NEEDED.findall(output(args.objdump, "-p", args.library))
    source_tree.finish("check_exports", check((root / HEADER).read_text(),
                                              (root / LIST).read_text().split(), exported, needed))


if __name__ == "__main__":
    main()
