#!/usr/bin/env python3
"""Checks that headers compile on their own: check_headers.py COMPILER [GENERATED]

A public header sees the public include folders alone; those of the runtime side also have to do
without exceptions and RTTI, and that of the C interface is C99, too. With GENERATED, the folder of generated headers, the private headers are
checked instead.
"""
import concurrent.futures
import os
import subprocess
import sys

import source_tree

PUBLIC = {"engine/include": ["-fno-exceptions", "-fno-rtti"],
          "graph/include": ["-Iengine/include"],
          "frontends/include": ["-Iengine/include", "-Igraph/include"]}
C_HEADERS = ("engine/include/pocketune.h",)
# Included once per instruction set, from a source that is: they do not stand alone.
PER_TARGET = ("-inl.h", "/hwy_common.h")


def compile_alone(compiler, folder, header, flags, language=("-x", "c++", "-std=c++20")):
    command = [compiler, *language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{folder}",
               *flags, "-"]
    name = os.path.relpath(header, folder)
    # Twice: it must also guard itself.
    source = f'#include "{name}"\n' * 2
    result = subprocess.run(command, cwd=source_tree.ROOT, input=source, text=True,
                            capture_output=True)
    if result.returncode == 0:
        return None
    return f"{header}: does not compile on its own\n{result.stderr.strip()}"


def public_jobs():
    jobs = [(folder, header, flags) for folder, flags in PUBLIC.items()
            for header in source_tree.files((".h",), (folder,))]
    c99 = ("-x", "c", "-std=c99", "-pedantic")
    return jobs + [("engine/include", header, [], c99) for header in C_HEADERS]


def private_jobs(generated):
    flags = [f"-I{folder}" for folder in (*PUBLIC, generated)] + ["-DPOCKETUNE_XNNPACK=1"]
    return [(".", header, flags) for header in source_tree.files((".h",), source_tree.PRODUCT_FOLDERS)
            if not header.startswith(tuple(PUBLIC)) and not header.endswith(PER_TARGET)]


def main():
    jobs = private_jobs(sys.argv[2]) if len(sys.argv) > 2 else public_jobs()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        findings = pool.map(lambda job: compile_alone(sys.argv[1], *job), jobs)
    source_tree.finish("check_headers", [finding for finding in findings if finding])


if __name__ == "__main__":
    main()
