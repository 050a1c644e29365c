#!/usr/bin/env python3
"""Whole processes within --memory: trains in memory control groups of the budget and what program
and libraries take, and prints the table of docs/memory.md.

Usage: process_memory.py POCKETUNE [--all]

Needs the right to make a memory control group (root); without it the reason is printed and the exit
status is 77. Some cells of the table are tried, with --all each of them, which takes half an hour.
Fails where a process is killed or has more than it may, or where a refusal names a smallest budget
that is too small.
"""

import argparse
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import zlib

PROGRAM_BYTES = 24 << 20  # kProgramBytes of apps/train/process_budget.h
MB = 1000000
SIDE = 144
CLASSES = 4


class Group:
    """A memory control group of version 1 or 2; gone at the end."""

    KINDS = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]

    def __init__(self):
        self.folder = None
        for root, limit in self.KINDS:
            folder = pathlib.Path(root, f"pocketune-process-{os.getpid()}")
            try:
                folder.mkdir()
            except OSError:
                continue
            self.folder, self.limit = folder, folder / limit
            if self.limit.exists():
                return
            self.close()

    def close(self):
        if self.folder:
            self.folder.rmdir()
        self.folder = None

    def kills(self):
        """How often the system has killed in it."""
        for name in ("memory.oom_control", "memory.events"):
            if (self.folder / name).exists():
                found = re.search(r"oom_kill (\d+)", (self.folder / name).read_text())
                return int(found[1]) if found else 0
        return 0

    def run(self, command, limit_bytes):
        self.limit.write_text(str(limit_bytes))
        before = self.kills()
        join = lambda: (self.folder / "cgroup.procs").write_text("0")
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=join)
        return done, self.kills() - before


def png(pixels):
    """SIDE rows of 3 * SIDE bytes."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    raw = b"".join(b"\0" + pixels[y * 3 * SIDE:(y + 1) * 3 * SIDE] for y in range(SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 1)) +
            chunk(b"IEND", b""))


def write_pictures(folder, count):
    """Noise, of a colour for each class."""
    chance = random.Random(count)
    for i in range(count):
        label = i % CLASSES
        tile = bytes(min(255, chance.randrange(90) + 50 * (label if c == i % 3 else 1))
                     for c in range(3 * SIDE))
        pixels = b"".join(tile[3 * (y % 7):] + tile[:3 * (y % 7)] for y in range(SIDE))
        place = folder / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:05}.png").write_bytes(png(pixels))


class Trial:
    def __init__(self, program, group, folder):
        self.program, self.group, self.folder = program, group, folder
        self.count = 0
        self.data = {}

    def pictures(self, count):
        if count not in self.data:
            self.data[count] = self.folder / f"data{count}"
            write_pictures(self.data[count], count)
        return self.data[count]

    def train(self, scheme, budget, pictures, cache):
        """One run within the budget: its exit status, its JSON and what it said; raises for one
        that was killed or had too much."""
        self.count += 1
        out = self.folder / f"run{self.count}"
        result = self.folder / f"result{self.count}.json"
        command = [self.program, "train", "--model", "mbv2-w0.35", "--resolution", "128",
                   "--batch", "8", "--scheme", scheme, "--data", str(self.pictures(pictures)),
                   "--memory", str(budget), "--prefix-cache", cache, "--epochs", "2",
                   "--threads", "2", "--out", str(out), "--json", str(result)]
        done, kills = self.group.run(command, budget + PROGRAM_BYTES)
        what = f"{scheme}, {budget} bytes, {pictures} pictures, prefix cache {cache}"
        if done.returncode not in (0, 7) or kills:
            raise AssertionError(f"{what}: exit {done.returncode}, {kills} killed\n{done.stdout}"
                                 f"{done.stderr}")
        if done.returncode == 7:
            return None, int(re.search(r"want at least (\d+)", done.stderr)[1])
        figures = json.loads(result.read_text())
        if figures["process_peak_bytes"] > budget + PROGRAM_BYTES:
            raise AssertionError(f"{what}: the process had {figures['process_peak_bytes']} bytes")
        return figures, 0

    def cell(self, scheme, budget, pictures, cache):
        """A row of the table."""
        figures, smallest = self.train(scheme, budget, pictures, cache)
        if figures is None:
            figures, refused = self.train(scheme, smallest, pictures, cache)
            if figures is None:
                raise AssertionError(f"{scheme}: {smallest} bytes were to be enough, and are not: "
                                     f"{refused}")
        row = [scheme, f"{pictures}", cache, f"{budget / MB:.0f} MB",
               f"{smallest / MB:.1f} MB" if smallest else "-",
               f"{figures['process_peak_bytes'] / MB:.1f} MB",
               f"{figures['predicted_peak_bytes'] / MB:.1f} MB",
               f"{figures['compiler_peak_bytes'] / MB:.1f} MB",
               figures["prefix_cache"]["where"]]
        print("| " + " | ".join(row) + " |", flush=True)


def cells(everything):
    schemes = ["head", "blocks:4", "full"]
    if everything:
        return [(s, b * MB, n, c) for n in (100, 3000) for s in schemes
                for b in (16, 32, 64, 128) for c in ("auto", "off")]
    return [("head", 16 * MB, 100, "auto"), ("blocks:4", 16 * MB, 100, "off"),
            ("full", 16 * MB, 100, "off"), ("full", 64 * MB, 100, "auto")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pocketune")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    group = Group()
    if group.folder is None:
        print("no memory control group can be made here: skipped")
        sys.exit(77)
    try:
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(options.pocketune, group, pathlib.Path(folder))
            print("| scheme | pictures | prefix cache | `--memory` | smallest | process peak | "
                  "plan, predicted | compiler's process | rows are kept in |")
            print("|---|---:|---|---:|---:|---:|---:|---:|---|")
            for cell in cells(options.all):
                trial.cell(*cell)
    except AssertionError as error:
        sys.exit(f"process_memory: {error}")
    finally:
        group.close()


if __name__ == "__main__":
    main()
