#!/usr/bin/env python3
"""Times training steps of pocketune and of its peers in turns, and checks that they agree.

    ninja -C build/release bench_steps && bench/peers/install.sh
    bench/run.py --quick
    bench/run.py --json results.json && bench/table.py results.json

Every engine is a process of its own that answers one-line commands (bench_steps.cc, peers/). For
each workload, scheme and number of threads all of them get the same weights, inputs, learning
parameters and CPUs. After one step their parameters must equal PyTorch's in double; who computes
something else is reported as wrong and not timed. A peer whose warm-up is slower than --slow times
the fastest peer's is not timed further: its figure is the warm-up's. The others then take turns,
A B C A B C ..., so that a disturbance hits all of them alike. The first step of each turn, with
cold caches, is not counted.

With --json the file is written after each case; where it has cases already, of the same machine
and options, the run goes on after them. Cases where pocketune failed are run again.
"""

import argparse
import collections
import json
import math
import os
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile

from case import BENCH, OURS, PEERS, Case

Workload = collections.namedtuple("Workload", "name model shape batch sparse")  # shape: H,W,C


def workload(name, model, shape, batch, sparse="pockengine"):
    """`sparse`: what the scheme "pockengine" stands for."""
    return name, Workload(name, model, shape, batch, sparse)


WORKLOADS = dict((
    workload("ds-cnn-b32", "ds-cnn", (49, 10, 1), 32,  # the paper has none for it
             "blocks.[23].*=bias,blocks.[23].pointwise.weight=all"),
    workload("mbv2-w0.35-b8", "mbv2-w0.35", (128, 128, 3), 8),
    workload("mbv2-w0.35-b1", "mbv2-w0.35", (128, 128, 3), 1),
    workload("mcunet-5fps-b8", "mcunet-5fps", (128, 128, 3), 8),
    workload("mcunet-5fps-b1", "mcunet-5fps", (128, 128, 3), 1),
    workload("mobilenet_v2-b8", "mobilenet_v2", (224, 224, 3), 8),
    workload("mobilenet_v2-b1", "mobilenet_v2", (224, 224, 3), 1),
    workload("resnet50-b4", "resnet50", (224, 224, 3), 4),
))
SCHEMES = ("full", "bias", "pockengine", "head")
HOPELESS = 4  # times the fastest peer: more than another scheme or number of threads makes up for
QUICK = ("ds-cnn-b32", "mcunet-5fps-b1")


def show(case):
    print(f"\n{case['workload']}  {case['scheme']}  {case['threads']} threads", flush=True)
    for name, r in case["engines"].items():
        if "median_ms" in r:
            print(f"  {name:14} {r['median_ms']:9.2f} ms +- {r['mad_ms']:<7.2f}"
                  f" {r['peak_bytes'] / 1e6:8.1f} MB   first step after {r['first_step_s']:6.2f} s"
                  f"   error {r['error']:.1e} {r['param']}")
        elif "about_ms" in r:
            print(f"  {name:14} {r['about_ms']:9.2f} ms, slow: not timed further")
        else:
            print(f"  {name:14} {r['status']}: {r['reason']}")
    if "ratio" in case:
        print(f"  ratio {case['ratio']:.2f} to {case['best_peer']}"
              + (", disturbed" if case["disturbed"] else ""), flush=True)


def absent(record, workload, scheme):
    """Peers not to start again, with what to report of them: an earlier case has told enough.

    That is a case with another number of threads where the peer was wrong or failed, or one of any
    scheme where it was hopelessly slow or did not answer in time (compiling, mostly).
    """
    found = {}
    for case in record["cases"]:
        if case["workload"] != workload:
            continue
        where = f"{case['scheme']}, {case['threads']} threads"
        for name, r in case["engines"].items():
            broken = r["status"] in ("wrong", "failed") and case["scheme"] == scheme
            lost = broken or r.get("timed_out") or is_hopeless(case, r)
            if name != OURS and lost and name not in found:
                found[name] = {"status": r["status"], "untried": True,
                               "reason": f"as under {where}: {r.get('reason', r['status'])}"}
    return found


def is_hopeless(case, result):
    """Was a peer HOPELESS times slower than the fastest?"""
    fastest = min((r["median_ms"] for name, r in case["engines"].items()
                   if name != OURS and "median_ms" in r), default=math.inf)
    return result.get("about_ms", 0) > HOPELESS * fastest


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def names(known):
    def parse(text):
        chosen = text.split(",") if text else []
        unknown = sorted(set(chosen) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"got {unknown[0]}, want of {', '.join(known)}")
        return chosen
    return parse


def numbers(text):
    return [int(part) for part in text.split(",")]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument("--workloads", type=names(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--schemes", type=names(SCHEMES), default=list(SCHEMES))
    parser.add_argument("--peers", type=names(PEERS), default=["torch", "torch-cl"],
                        help="of " + ", ".join(PEERS))
    parser.add_argument("--threads", type=numbers, default=[cpus], help="e.g. 1,2")
    parser.add_argument("--seconds", type=float, default=5, help="of turns for each case")
    parser.add_argument("--turn", type=float, default=0.1, help="seconds of one engine's turn")
    parser.add_argument("--rounds", type=int, default=3, help="at least so many")
    parser.add_argument("--slow", type=float, default=5, help="times the fastest peer")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for an engine's answer")
    parser.add_argument("--quick", action="store_true", help="two small workloads, short")
    parser.add_argument("--json", help="file to write, or to go on with")
    parser.add_argument("--bench-steps", default=str(BENCH.parent / "build/release/bin/bench_steps"))
    parser.add_argument("--python", default=str(BENCH / ".venv/bin/python"),
                        help="interpreter that has the peers")
    options = parser.parse_args()
    if options.quick:
        options.workloads, options.seconds = list(QUICK), 1
    if not all(1 <= threads <= cpus for threads in options.threads):
        parser.error(f"--threads: this process has {cpus} CPUs")
    return options


def open_record(options):
    """What is in the file of --json, or a record without cases."""
    kept = ("peers", "seconds", "turn", "rounds", "slow", "timeout")
    record = {"cpu": cpu_name(), "machine": platform.machine(),
              "options": {key: getattr(options, key) for key in kept}, "cases": []}
    path = pathlib.Path(options.json) if options.json else None
    if path is None or not path.exists():
        return record
    old = json.loads(path.read_text())
    for key in ("cpu", "machine", "options"):
        if old.get(key) != record[key]:
            sys.exit(f"{path}: from a run with another {key} (got {old.get(key)},"
                     f" want {record[key]}); move it away or name another file")
    old["cases"] = [case for case in old["cases"] if case["engines"][OURS]["status"] == "ok"]
    return old


def save(record, path):
    """All or nothing: a run that is killed keeps what it had."""
    temporary = pathlib.Path(path + ".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    temporary.replace(path)


def run_workload(options, workload, cases, record, root, log):
    folder = pathlib.Path(root, workload.name)
    folder.mkdir()
    subprocess.run([options.python, "-B", str(BENCH / "peers/make_case.py"), workload.model,
                    str(workload.batch), *map(str, workload.shape), str(folder)], check=True)
    for scheme, threads in cases:
        left_out = absent(record, workload.name, scheme)
        case = Case(options, workload, scheme, threads, folder, log, left_out).run()
        show(case)
        record["cases"].append(case)
        record["isa"] = case["engines"][OURS].get("isa", record.get("isa"))
        if options.json:
            save(record, options.json)


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the engines too
    record = open_record(options)
    done = {(case["workload"], case["scheme"], case["threads"]) for case in record["cases"]}
    before = len(record["cases"])
    with tempfile.TemporaryDirectory() as root, open(f"{root}/log", "wb+") as log:
        for workload in map(WORKLOADS.get, options.workloads):
            cases = [(scheme, threads) for scheme in options.schemes for threads in options.threads
                     if (workload.name, scheme, threads) not in done]
            if cases:
                run_workload(options, workload, cases, record, root, log)
        log.seek(max(0, log.tell() - 4000))
        tail = log.read().decode(errors="replace")
    ran = [case["engines"] for case in record["cases"][before:]]
    if any(r["status"] in ("wrong", "failed") for case in ran for r in case.values()):
        print("\nThe engines' last words:\n" + tail, file=sys.stderr)
    return 0 if all(case[OURS]["status"] == "ok" for case in ran) else 1


if __name__ == "__main__":
    sys.exit(main())
