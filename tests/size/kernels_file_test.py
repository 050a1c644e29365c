#!/usr/bin/env python3
"""Checks that a committed list of kernels is what the compiler uses: kernels_file_test.py POCKETUNE FILE

The first line of FILE, "# pocketune ...", is the command that has made the others.
"""
import pathlib
import shlex
import subprocess
import sys


def main():
    pocketune, path = sys.argv[1:]
    first, *names = pathlib.Path(path).read_text().splitlines()
    arguments = shlex.split(first.removeprefix("# pocketune"))
    result = subprocess.run([pocketune, *arguments], check=True, capture_output=True, text=True)
    if result.stdout.splitlines() != names:
        sys.exit(f"{path}: not what its command prints (got {names}, want {result.stdout.split()})")


if __name__ == "__main__":
    main()
