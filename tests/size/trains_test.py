#!/usr/bin/env python3
"""Trains with a small build, and with the release build for comparison.

  trains_test.py TRAIN_PLAN RELEASE_FOLDER KERNELS_FILE [--selected]

The plan is the one that KERNELS_FILE was made of. The loss must fall, and the checkpoints of both
builds must be the same bytes. With --selected the build has those kernels alone: a plan with others
must be refused. Exits with 77, skipped, where the release build is not there.
"""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile


def run(*command, expected=0):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != expected:
        sys.exit(f"{shlex.join(map(str, command))}: exit code {result.returncode}, want {expected}\n"
                 f"{result.stdout}{result.stderr}")
    return result


def check_training(train_plan, release, plan, folder):
    small = run(train_plan, plan, "3", folder / "small")
    run(release / "train_plan", plan, "3", folder / "full")
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", small.stdout)]
    print(f"losses {losses}")
    if not losses[-1] < losses[0]:
        sys.exit("trains_test: the loss did not fall")
    if (folder / "small").read_bytes() != (folder / "full").read_bytes():
        sys.exit("trains_test: the parameters differ from the release build's")


def check_refusal(train_plan, plan):
    refused = run(train_plan, plan, expected=1)
    if "a step's kernel is not in this build" not in refused.stderr:
        sys.exit(f"trains_test: refused with another error ({refused.stderr})")


def main():
    train_plan, release, kernels_file = sys.argv[1:4]
    release = pathlib.Path(release)
    if not (release / "pocketune").exists() or not (release / "train_plan").exists():
        print(f"skipped: no release build in {release}")
        sys.exit(77)
    first = pathlib.Path(kernels_file).read_text().splitlines()[0]
    model, *flags = shlex.split(first.removeprefix("# pocketune inspect "))
    flags.remove("--kernels")

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        compile_plan = [release / "pocketune", "compile", "--quiet"]
        run(*compile_plan, "--model", model, *flags, "--out", folder / "plan")
        check_training(train_plan, release, folder / "plan", folder)
        if "--selected" in sys.argv:
            run(*compile_plan, "--model", "ds-cnn", "--scheme", "full", "--out", folder / "other")
            check_refusal(train_plan, folder / "other")


if __name__ == "__main__":
    main()
