#!/usr/bin/env python3
"""The memory tables of docs/sparse.md, computed anew: compiles plans, runs nothing.

Usage: sparse_memory.py [--write | --check] [--tables NAME,...] [--pocketune FILE]

Prints the tables as markdown; --write puts them into the page; --check fails where the page says
something else (on a machine with the page's instruction set: kernels' scratch depends on it) or
where a table's limit is not kept.
"""

import argparse
import functools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/sparse.md"
# MCUNetV3's networks at 128x128, and for each the least that a forward pass layer by layer takes in
# f32: operand and result of the largest convolution, depthwise ones in place.
MCU = {"mbv2-w0.35": 4 * 229376, "mcunet-5fps": 4 * 163840, "proxyless-w0.3": 4 * 131072}
READ_AHEAD = 128  # bytes behind the arena's last tensor that kernels may read
LARGE = ("mobilenet_v2", "resnet50")


class Compiler:
    def __init__(self, program):
        self.program = program
        self.folder = tempfile.TemporaryDirectory()

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"sparse_memory: {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    @functools.lru_cache(maxsize=None)
    def figures(self, model, scheme, batch=1, keep_order=False, classes=10):
        """What `compile --json` says of a plan, with the memory map of its training schedule."""
        plan = f"{self.folder.name}/plan"
        sizes = ["--classes", str(classes)] if classes and model != "ad-autoencoder" else []
        text = self.run("compile", "--model", model, "--scheme", scheme, "--batch", str(batch),
                        *sizes, *(["--keep-order"] if keep_order else []), "--threads", "1",
                        "--out", plan, "--quiet", "--json", "-")
        schedules = json.loads(self.run("inspect", plan, "--quiet", "--json", "-"))["schedules"]
        return {**json.loads(text), "map": schedules["train"]["memory_map"]}

    def isa(self):
        return re.search(r"cpu \((\w+)", self.run("--version"))[1]


def phases(memory_map):
    """The phase of each step."""
    return [p["phase"] for p in memory_map["phases"] for _ in range(p["first"], p["last"] + 1)]


def saved(memory_map):
    """Bytes that masks, and that other results of the forward pass and inputs, hold when the
    backward pass begins."""
    of_step = phases(memory_map)
    backward = of_step.index("bwd")
    masks = others = 0
    for b in memory_map["buffers"]:
        if b["scratch"] or b["first"] >= backward or b["last"] < backward:
            continue
        if b["name"].startswith("gate_mask"):
            masks += b["bytes"]
        else:
            others += b["bytes"]
    return masks, others


def after_forward(memory_map):
    """The most that is alive from the first backward step on."""
    return max(memory_map["live_bytes"][phases(memory_map).index("bwd"):])


def full(compiler):
    """Full training, batch 1; at most 5.7 MB."""
    rows, bad = [], []
    for model in MCU:
        f = compiler.figures(model, "full")
        rows.append([model, f["arena_bytes"], f["arena_lower_bound"], f["param_bytes"],
                     f["optimizer_bytes"]])
        if f["arena_bytes"] > 5.7e6:
            bad.append(f"{model}: more than 5.7 MB")
    return ["model", "arena", "lower bound", "parameters", "optimizer"], rows, bad


def sparse(compiler):
    """The 49 KB schemes, batch 1; at most 1.05 times the forward pass."""
    rows, bad = [], []
    for model, forward in MCU.items():
        f = compiler.figures(model, f"mcunetv3:{model}-49")
        masks, others = saved(f["map"])
        ratio = f["arena_bytes"] / forward
        rows.append([model, f["arena_bytes"], forward, f"{ratio:.4f}", masks, others,
                     after_forward(f["map"])])
        if ratio > 1.05:
            bad.append(f"{model}: {ratio:.3f} times the forward pass")
    return ["model", "arena", "forward pass", "ratio", "masks kept", "else kept",
            "most alive after the forward pass"], rows, bad


def order(compiler):
    """What reordering saves, batch 1."""
    rows = []
    for model in MCU:
        for scheme in (f"mcunetv3:{model}-49", "bias", "blocks:4", "full"):
            kept = compiler.figures(model, scheme, keep_order=True)
            ours = compiler.figures(model, scheme)
            later = after_forward(kept["map"]), after_forward(ours["map"])
            rows.append([model, f"`{scheme}`", kept["arena_bytes"], ours["arena_bytes"],
                         f"{kept['arena_bytes'] / ours['arena_bytes']:.2f}", *later,
                         f"{later[0] / later[1]:.2f}"])
    return ["model", "scheme", "arena, updates last", "arena", "ratio",
            "alive after the forward pass, updates last", "alive after it", "ratio"], rows, []


def gap(compiler):
    """Arena over lower bound; at most 1.02."""
    rows, bad = [], []
    for listing in json.loads(compiler.run("models", "--quiet", "--json", "-")):
        model = listing["model"]
        row = [model]
        for scheme in ("full", "bias"):
            for batch in (1, 8):
                f = compiler.figures(model, scheme, batch)
                ratio = (f["arena_bytes"] - READ_AHEAD) / f["arena_lower_bound"]
                row.append(f"{ratio:.4f}")
                if ratio > 1.02:
                    bad.append(f"{model}, {scheme}, batch {batch}: {ratio:.4f}")
        rows.append(row)
    return ["model", "full, 1", "full, 8", "bias, 1", "bias, 8"], rows, bad


def large(compiler):
    """224x224, batch 8, 1000 classes: full over pockengine, at least 4."""
    rows, bad = [], []
    for model in LARGE:
        totals = []
        for scheme in ("full", "pockengine"):
            f = compiler.figures(model, scheme, 8, classes=1000)
            learning = f["arena_bytes"] + f["param_bytes"] + f["optimizer_bytes"]
            every = f["arena_bytes"] + 4 * f["params"] + f["optimizer_bytes"]
            totals.append((learning, every, f["predicted_peak_bytes"]))
            rows.append([model, scheme, f["arena_bytes"], f["param_bytes"], f["optimizer_bytes"],
                         *totals[-1]])
        ratios = [a / b for a, b in zip(*totals)]
        rows.append([model, "ratio", "", "", "", *(f"**{r:.2f}**" for r in ratios)])
        if ratios[0] < 4:
            bad.append(f"{model}: only {ratios[0]:.2f} times less")
    return ["model", "scheme", "arena", "learning parameters", "optimizer", "sum of these",
            "with frozen parameters", "predicted peak"], rows, bad


TABLES = {table.__name__: table for table in (full, sparse, order, gap, large)}


def cell(value):
    return f"{value:,}" if isinstance(value, int) else value


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows]) + "\n"


def span(page, name):
    """Where the table stands in the page."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    if begin not in page or end not in page:
        sys.exit(f"sparse_memory: {PAGE.name} has no place for the table {name}")
    return page.index(begin) + len(begin), page.index(end)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--check", action="store_true", help="compare with the page, and the limits")
    parser.add_argument("--tables", default=",".join(TABLES), help="some of: " + ", ".join(TABLES))
    parser.add_argument("--pocketune", default=str(ROOT / "build/release/bin/pocketune"))
    options = parser.parse_args()
    compiler = Compiler(options.pocketune)
    page, wrong = PAGE.read_text(), []
    comparable = f"at {compiler.isa()}" in page
    for name in options.tables.split(","):
        head, rows, bad = TABLES[name](compiler)
        table = markdown(head, rows)
        wrong += [f"{name}: {line}" for line in bad]
        begin, end = span(page, name)
        if options.write:
            page = page[:begin] + table + page[end:]
        elif not options.check:
            print(f"{name}: {TABLES[name].__doc__}\n\n{table}")
        elif comparable and page[begin:end] != table:
            wrong.append(f"{name}: docs/sparse.md says something else; want\n{table}")
    if options.write:
        PAGE.write_text(page)
    if wrong:
        sys.exit("\n".join(f"sparse_memory: {line}" for line in wrong))


if __name__ == "__main__":
    main()
