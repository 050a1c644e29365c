#!/usr/bin/env python3
"""Checks that the rows of the op table are complete.

That kernels and rules exist is the linker's business; that each rule is tested against central
differences, the unit tests'. Here: each op has its own CPU kernel, under its name, and each forward
op a gradient rule, or it says that it is constant.
"""
import op_table
import source_tree


# Emitted by gradient rules, for what they keep, or by passes behind them, though they are gradients of
# nothing.
FOR_GRADIENTS = {"gather", "batch_norm_moments", "batch_norm_statistics", "narrow", "widen"}


def check(ops, kernels):
    findings = []
    for op in ops:
        if f"cpu.{op.name}" not in kernels.get(op.kind, []):
            findings.append(f'{op.name}: no row ({op.kind}, "cpu.{op.name}") in cpu_kernels.def')
        of_gradients = "_grad" in op.name or op.name in FOR_GRADIENTS
        if op.gradient == "NoGradient" and not of_gradients:
            findings.append(f"{op.name}: a forward op without a gradient rule")
    for kind in kernels.keys() - {op.kind for op in ops}:
        findings.append(f"cpu_kernels.def: {kind} is no op")
    return findings


def main():
    source_tree.finish("check_defs", check(op_table.ops(), op_table.kernels()))


if __name__ == "__main__":
    main()
