#!/usr/bin/env python3
"""Checks that all C++ files are as clang-format 14 leaves them; exits 77 (skipped) without it."""
import re
import shutil
import subprocess
import sys

import source_tree


def main():
    tool = shutil.which("clang-format-14")
    if tool is None:
        print("check_format: skipped, no clang-format-14")
        sys.exit(77)
    files = source_tree.files((".h", ".cc", ".c"))
    result = subprocess.run([tool, "--dry-run", *files], cwd=source_tree.ROOT, text=True,
                            stderr=subprocess.PIPE)
    misfits = sorted(set(re.findall(r"^([^:\s]+):\d+:\d+: warning", result.stderr, re.MULTILINE)))
    source_tree.finish("check_format", [f"{path}: run clang-format-14 -i" for path in misfits])


if __name__ == "__main__":
    main()
