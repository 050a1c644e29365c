"""Reads engine/ops/ops.def and the backends' kernel tables."""
import collections
import re

import source_tree

Op = collections.namedtuple(
    "Op", "section kind name least most results attrs traits shape_rule gradient operands")
ROW = re.compile(r"^PT_OP\((.*?)\)(?:\s*//\s*(.*))?$")
SECTION = re.compile(r"^// --- (.*?) ---$")
KERNEL = re.compile(r"^PT_(XNN_KERNEL|CPU_KERNEL|CPU_KERNEL_SCRATCH|CPU_KERNEL_PACKED|CPU_KERNEL_WINOGRAD)\((.*)\)$")


def ops():
    section, rows = "", []
    for line in (source_tree.ROOT / "engine/ops/ops.def").read_text().splitlines():
        if match := SECTION.match(line):
            section = match[1]
        elif match := ROW.match(line):
            fields = [field.strip().strip('"') for field in match[1].split(",")]
            rows.append(Op(section, *fields, match[2] or ""))
    return rows


def kernels():
    """{kind: [kernel name]} of cpu_kernels.def, in order of preference."""
    rows = collections.defaultdict(list)
    for line in (source_tree.ROOT / "backends/cpu/cpu_kernels.def").read_text().splitlines():
        if match := KERNEL.match(line):
            fields = [field.strip().strip('"') for field in match[2].split(",")]
            rows[fields[-2]].append(fields[-1])
    return rows
