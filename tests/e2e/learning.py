#!/usr/bin/env python3
"""Does training learn what PyTorch learns? Needs the data folder; exits with 77 (skipped) without.

usage: learning.py POCKETUNE DATA_FOLDER [--seeds N] [--only NAME,...]

TrashNet, mbv2-w0.35 with ImageNet weights whose batch norm is folded, 128x128, 6 classes, recipe in
docs/benchmarks.md. Each scheme's mean test accuracy over the seeds may fall at most 3 points short
of PyTorch's, and both sparse schemes must beat `head` by 5 points. small-cnn from scratch must pass
90 % on Fashion-MNIST.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

SKIPPED = 77
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
# Biases and the first 1x1 weights of the last 7 blocks.
SPARSE = {
    "default": "none",
    "params": [
        {"pattern": "blocks.1[0-6].*", "update": "bias"},
        {"pattern": "blocks.1[0-6].pointwise1.*", "update": "all"},
    ],
}
# scheme: (learning rate, PyTorch's accuracy in percent)
RECIPES = {
    "head": (0.02, 76.6),
    "bias": (0.006, 81.3),
    "blocks:4": (0.003, 84.7),
    "sparse": (0.003, 86.8),
    "full": (0.001, 83.1),
}


def train(pocketune, out, arguments):
    command = [pocketune, "train", "--out", out, "--json", f"{out}.json", "--quiet", *arguments]
    subprocess.run(command, check=True)
    return json.loads(pathlib.Path(f"{out}.json").read_text())


def trashnet(pocketune, data, work, names, seeds, threads):
    with tarfile.open(data / "images/trashnet_160x120.tar") as tar:
        tar.extractall(work)
    scheme_file = work / "sparse.json"
    scheme_file.write_text(json.dumps(SPARSE))
    means = {}
    for name in names:
        lr, torch_accuracy = RECIPES[name]
        accuracies = []
        for seed in range(1, seeds + 1):
            run = train(pocketune, str(work / f"{name.replace(':', '')}-{seed}"), [
                "--model", "mbv2-w0.35", "--data", str(work / "trashnet"),
                "--weights", str(data / "models/imagenet/mbv2-w0.35_fp32.safetensors"),
                "--scheme", str(scheme_file) if name == "sparse" else name,
                "--epochs", "8", "--batch", "32", "--lr", str(lr), "--flip", "0.5",
                "--keep", "last", "--seed", str(seed), "--threads", threads])
            accuracies.append(100 * run["accuracy"])
        means[name] = sum(accuracies) / len(accuracies)
        each = ", ".join(f"{a:.1f}" for a in accuracies)
        print(f"{name:10} lr {lr:<6} mean {means[name]:.1f} % ({each}); PyTorch {torch_accuracy} %",
              flush=True)
    return means


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pocketune")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", default="0")
    parser.add_argument("--only", default=",".join([*RECIPES, "fashion"]))
    args = parser.parse_args()
    names = args.only.split(",")
    failures, ran = [], False
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        if (args.data / "images/trashnet_160x120.tar").exists():
            ran = True
            means = trashnet(args.pocketune, args.data, work, [n for n in names if n in RECIPES],
                             args.seeds, args.threads)
            for name, mean in means.items():
                if mean < RECIPES[name][1] - 3:
                    failures.append(f"{name}: {mean:.1f} % is over 3 points below PyTorch")
                if name in ("blocks:4", "sparse") and "head" in means and mean < means["head"] + 5:
                    failures.append(f"{name}: {mean:.1f} % is not 5 points above head")
        if "fashion" in names and FASHION.exists():
            ran = True
            run = train(args.pocketune, str(work / "fashion"), [
                "--model", "small-cnn", "--data", str(FASHION), "--epochs", "12", "--batch", "64",
                "--lr", "0.05", "--flip", "0.5", "--threads", args.threads])
            print(f"small-cnn on Fashion-MNIST from scratch: {100 * run['accuracy']:.1f} %")
            if run["accuracy"] < 0.9:
                failures.append("small-cnn: below 90 % on Fashion-MNIST")
    if not ran:
        print(f"skipped: no data at {args.data} nor at {FASHION}")
        return SKIPPED
    print("\n".join(failures) or "passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
