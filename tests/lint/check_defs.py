#!/usr/bin/env python3
"""Checks that the rows of the op table are complete.

That kernels and rules exist is the linker's business, and that tables serve every op the unit
tests'. Here: each op has its own CPU kernel, under its name; each forward op has a gradient rule, or
says that it is constant; each rule is tested against central differences.
"""
import re

import op_table
import source_tree


def check(ops, kernels, gradient_tests):
    findings = []
    for op in ops:
        if f"cpu.{op.name}" not in kernels.get(op.kind, []):
            findings.append(f'{op.name}: no row ({op.kind}, "cpu.{op.name}") in cpu_kernels.def')
        if op.gradient == "NoGradient" and "_grad" not in op.name:
            findings.append(f"{op.name}: a forward op without a gradient rule")
        tested = re.search(rf"\bk{op.kind}\b", gradient_tests)
        if op.gradient not in ("NoGradient", "Constant") and not tested:
            findings.append(f"{op.name}: no case in tests/autodiff/op_gradients_test.cc")
    for kind in kernels.keys() - {op.kind for op in ops}:
        findings.append(f"cpu_kernels.def: {kind} is no op")
    return findings


def main():
    tests = (source_tree.ROOT / "tests/autodiff/op_gradients_test.cc").read_text()
    source_tree.finish("check_defs", check(op_table.ops(), op_table.kernels(), tests))


if __name__ == "__main__":
    main()
