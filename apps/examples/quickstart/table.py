#!/usr/bin/env python3
"""Prints the quick start's table: table.py BEFORE.json NAME=RUN.json..."""
import json
import pathlib
import sys


def load(path):
    return json.loads(pathlib.Path(path).read_text())


def megabytes(size):
    return f"{size / 1e6:.1f} MB"


ROWS = [
    ("accuracy before", lambda run, before: f"{100 * before['accuracy']:.1f} %"),
    ("accuracy after", lambda run, before: f"{100 * run['accuracy']:.1f} %"),
    ("trained parameters", lambda run, before: f"{run['trainable_params']:,} of {run['params']:,}"),
    ("backward MACs a sample", lambda run, before: f"{run['backward_macs']:,}"),
    ("step time, median", lambda run, before: f"{run['step_ms_median']:.2f} ms"),
    ("training time", lambda run, before: f"{run['train_seconds']:.1f} s"),
    ("peak memory, predicted", lambda run, before: megabytes(run["predicted_peak_bytes"])),
    ("peak memory, measured", lambda run, before: megabytes(run["measured_peak_bytes"])),
]


def main():
    before = load(sys.argv[1])
    runs = [(name, load(path)) for name, path in (word.split("=", 1) for word in sys.argv[2:])]
    print(f"{'':24}" + "".join(f"{name:>20}" for name, _ in runs))
    for label, cell in ROWS:
        print(f"{label:24}" + "".join(f"{cell(run, before):>20}" for _, run in runs))


if __name__ == "__main__":
    main()
