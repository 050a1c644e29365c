#!/usr/bin/env python3
"""Checks the size of a stripped program: budget_test.py --strip STRIP --budget BYTES PROGRAM

The shared libraries that it loads are printed, but not counted; the system's own (C, C++, the loader)
are left out.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

SYSTEM = re.compile(r"lib(?:c|m|stdc\+\+|gcc_s|pthread|dl|rt)\.so")
LOADED = re.compile(r"^\s*(\S+) => (/\S+)", re.MULTILINE)


def stripped_bytes(strip, binary):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([strip, "-s", "-o", file.name, binary], check=True)
        return pathlib.Path(file.name).stat().st_size


def libraries_of(program):
    loaded = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return [path for name, path in LOADED.findall(loaded) if not SYSTEM.match(name)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--strip", required=True)
    parser.add_argument("--budget", type=int, required=True)
    parser.add_argument("program")
    args = parser.parse_args()

    size = stripped_bytes(args.strip, args.program)
    print(f"{size:>9} {args.program}, of {args.budget}")
    for path in libraries_of(args.program):
        print(f"{stripped_bytes(args.strip, path):>9} {path}")
    if size > args.budget:
        sys.exit(f"{args.program}: too large (got {size} bytes, want at most {args.budget})")


if __name__ == "__main__":
    main()
