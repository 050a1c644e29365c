#!/usr/bin/env python3
"""Checks what the runtime side's static libraries refer to.

  check_symbols.py --nm NM --runtime LIB... --kernels LIB... --compiler LIB...

The runtime side needs nothing of the compile side, no Abseil, exceptions, RTTI or streams; its
kernels allocate nothing.
"""
import argparse
import re
import subprocess

import source_tree

BANNED = re.compile(r"absl|^_ZTI|^_ZTS|^__cxa_(?:throw|allocate_exception|begin_catch)$"
                    r"|^__dynamic_cast$|^_ZNS[oid]|basic_[io]?stream|basic_ios")
ALLOCATES = re.compile(r"^(?:_Zn[wa]\w+|malloc|calloc|realloc|aligned_alloc|posix_memalign|mmap)$")
# What XNNPACK holds from a plan's opening on, not from a step.
ALLOCATORS = ("xnn_allocator.cc",)


def symbols(nm, library):
    """(object file, name, defined) of each symbol of a static library."""
    listing = subprocess.run([nm, "-A", library], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        place, _, rest = line.partition(".o:")
        fields = rest.split()
        if len(fields) >= 2:
            yield place.rsplit(":")[-1], fields[-1], fields[-2] not in "Uw"


def needs(nm, libraries):
    """{name: object file} of what `libraries` need from outside, themselves left out."""
    needed, defined = {}, set()
    for library in libraries:
        for place, name, is_defined in symbols(nm, library):
            if is_defined:
                defined.add(name)
            else:
                needed.setdefault(name, place)
    return {name: place for name, place in needed.items() if name not in defined}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nm", required=True)
    for group in ("runtime", "kernels", "compiler"):
        parser.add_argument(f"--{group}", nargs="+", required=True)
    args = parser.parse_args()

    compile_side = {name for library in args.compiler
                    for _, name, is_defined in symbols(args.nm, library) if is_defined}
    findings = []
    for name, place in needs(args.nm, args.runtime + args.kernels).items():
        if name in compile_side and "pocketune" in name:
            findings.append(f"{place}: refers to the compile side ({name})")
        elif BANNED.search(name):
            findings.append(f"{place}: refers to what the runtime side does without ({name})")
    for name, place in needs(args.nm, args.kernels).items():
        if ALLOCATES.match(name) and place not in ALLOCATORS:
            findings.append(f"{place}: a kernel allocates ({name})")
    source_tree.finish("check_symbols", findings)


if __name__ == "__main__":
    main()
