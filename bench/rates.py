#!/usr/bin/env python3
"""How the default rates of `pocketune train` were found (docs/training.md): trains each cell of a
model, a scheme and a set of pictures at several rates, and at the default.

Usage: rates.py --data NAME=FOLDER... [--weights MODEL=FILE...] [--json FILE] [--table]

A model without weights begins at random and is trained under `full` alone. Results are appended to
the file, a line of JSON each; the same command goes on where it was. --table prints what is there.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
SCHEMES = ("head", "bias", "blocks:4", "full")
MODELS = ("mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3", "resnet8", "small-cnn", "mlp")
DEFAULT = "default"


def pairs(texts, flag):
    """["a=b", ...] as a dict."""
    if not all("=" in text for text in texts):
        sys.exit(f"rates: {flag}: want NAME=PATH")
    return dict(text.split("=", 1) for text in texts)


def cells(data, weights, seeds):
    """Each (model, scheme, set, rate, seed) to train; the default rate under several seeds."""
    for name in data:
        for model in MODELS:
            for scheme in SCHEMES if model in weights else ("full",):
                for rate in RATES:
                    yield model, scheme, name, rate, 1
                for seed in range(1, seeds + 1):
                    yield model, scheme, name, DEFAULT, seed


def train(options, cell):
    """What `train --json` says, or its error."""
    model, scheme, name, rate, seed = cell
    with tempfile.TemporaryDirectory() as folder:
        command = [options.pocketune, "train", "--model", model, "--scheme", scheme,
                   "--data", options.data[name], "--epochs", str(options.epochs),
                   "--seed", str(seed), "--out", f"{folder}/run", "--quiet", "--json", "-"]
        if model in options.weights:
            command += ["--weights", options.weights[model]]
        if rate != DEFAULT:
            command += ["--lr", str(rate)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": done.stderr.strip(), "balanced_accuracy": 0.0, "rollbacks": 0}
    result = json.loads(done.stdout)
    return {key: result[key] for key in ("balanced_accuracy", "accuracy", "rollbacks")}


def read(path):
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {tuple(line["cell"]): line for line in lines}


def percent(result):
    return 100 * result["balanced_accuracy"]


def table(done):
    """Markdown: a row for each cell; the default's is the mean over its seeds."""
    rows = list(dict.fromkeys(cell[:3] for cell in done))
    yield "| model | scheme | data | " + " | ".join(map(str, RATES)) + " | default | to the best |"
    yield "|---" * (len(RATES) + 5) + "|"
    for row in rows:
        found = [percent(done[row + (rate, 1)]) for rate in RATES if row + (rate, 1) in done]
        default = [percent(done[cell]) for cell in done if cell[:4] == row + (DEFAULT,)]
        if len(found) < len(RATES) or not default:
            continue
        mean = sum(default) / len(default)
        figures = " | ".join(f"{value:.1f}" for value in found)
        yield f"| {' | '.join(row)} | {figures} | {mean:.1f} | {mean - max(found):+.1f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--weights", nargs="+", default=[], metavar="MODEL=FILE")
    parser.add_argument("--json", type=pathlib.Path, default=pathlib.Path("rates.jsonl"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3, help="of the default")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--pocketune", default=str(ROOT / "build/release/bin/pocketune"))
    options = parser.parse_args()
    options.data = pairs(options.data, "--data")
    options.weights = pairs(options.weights, "--weights")
    done = read(options.json)
    for cell in cells(options.data, options.weights, options.seeds):
        if cell in done:
            continue
        result = {"cell": cell, **train(options, cell)}
        done[cell] = result
        with options.json.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(*cell, f"{percent(result):.1f} %", result.get("error", ""), flush=True)
    if options.table:
        print("\n".join(table(done)))


if __name__ == "__main__":
    main()
