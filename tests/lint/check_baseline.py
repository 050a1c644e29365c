#!/usr/bin/env python3
"""Checks that 64-bit Arm code has no instruction that the baseline, Armv8.0-A, does not have.

  check_baseline.py --objdump OBJDUMP LIB...

Highway compiles its NEON code as if every processor had AES, which a Raspberry Pi 4 has not; and no
processor that qemu plays lacks it. So the instructions themselves are looked at.
"""
import argparse
import re
import subprocess

import source_tree

BEYOND = re.compile(
    r"^(?:aes\w+|sha\d\w*|sm[34]\w+|eor3|rax1|xar|bcax|crc32\w+|fjcvtzs"  # cryptography, sums
    r"|casp?[abhl]*|swp[abhl]*|(?:ld|st)(?:add|clr|eor|set|[su]max|[su]min)[abhl]*|ldapr\w*"  # atomics
    r"|[us]{1,2}dot|[us]{1,2}mmla|bf(?:dot|mmla|cvtn?2?|mlal[bt])|fml[as]l2?|sqrdml[as]h)(?:\s|$)"
    r"|^pmull2?\s+v\d+\.1q"
    r"|^f(?!cvt)\w+\s+(?:v\d+\.[48]h|h\d+, [hw])"  # arithmetic on half floats
    r"|^[^<]*\b(?:z\d+\.[bhsdq]|p\d+/[mz])\b")  # SVE


def beyond(listing):
    """(function, instruction) of each offender in what objdump -d prints."""
    function = ""
    for line in listing.splitlines():
        if line.endswith(">:"):
            function = line.partition("<")[2][:-2]
        instruction = line.partition("\t")[2]
        if BEYOND.match(instruction):
            yield function, instruction


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objdump", required=True)
    parser.add_argument("libraries", nargs="+")
    args = parser.parse_args()
    findings = []
    for library in args.libraries:
        listing = subprocess.run([args.objdump, "-d", "--no-show-raw-insn", library], check=True,
                                 capture_output=True, text=True).stdout
        if ">:" not in listing:
            findings.append(f"{library}: no code found")
        findings += [f"{library}: {function}: {instruction}"
                     for function, instruction in beyond(listing)]
    source_tree.finish("check_baseline", findings)


if __name__ == "__main__":
    main()
