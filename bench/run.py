#!/usr/bin/env python3
"""Times training steps of pocketune and of its peers in turns, and checks that they agree.

    ninja -C build/release bench_steps && bench/peers/install.sh
    bench/run.py --quick
    bench/run.py --json results.json && bench/table.py results.json

Every engine is a process of its own that answers one-line commands (bench_steps.cc, peers/). For
each workload and scheme all of them get the same weights, inputs, learning parameters and CPUs.
After one step their parameters must equal PyTorch's in double; who computes something else is
reported as wrong and not timed. The others then take turns, A B C A B C ..., so that a disturbance
hits all of them alike. The first step of each turn, with cold caches, is not counted.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
OURS = "pocketune"
# Name: program below peers/, its argument.
PEERS = {
    "torch": ("torch_peer.py", "eager"),
    "torch-cl": ("torch_peer.py", "channels-last"),
    "torch-compile": ("torch_peer.py", "compile"),
    "jax": ("jax_peer.py", ""),
    "tensorflow": ("tf_peer.py", ""),
    "onnxruntime": ("ort_peer.py", ""),
}
# Name: model, image [H,W,C], batch. Size 0 stands for a model with one shape only.
WORKLOADS = {
    "ds-cnn-b32": ("ds-cnn", (49, 10, 1), 32),
    "mbv2-w0.35-b8": ("mbv2-w0.35", (128, 128, 3), 8),
    "mbv2-w0.35-b1": ("mbv2-w0.35", (128, 128, 3), 1),
    "mcunet-5fps-b8": ("mcunet-5fps", (128, 128, 3), 8),
    "mcunet-5fps-b1": ("mcunet-5fps", (128, 128, 3), 1),
    "mobilenet_v2-b8": ("mobilenet_v2", (224, 224, 3), 8),
    "mobilenet_v2-b1": ("mobilenet_v2", (224, 224, 3), 1),
    "resnet50-b4": ("resnet50", (224, 224, 3), 4),
}
SCHEMES = ("full", "bias", "pockengine", "head")
QUICK = ("ds-cnn-b32", "mcunet-5fps-b1")
LEARNING_RATE = 0.001  # on one batch for hundreds of steps: no loss may leave the finite
# Of the error in compare.py. Another algorithm (padding, statistics, what is frozen) is off by tens
# of percent; rounding, where it flips a few ReLUs, by up to four.
TOLERANCE = 0.1
DISTURBED = 0.1  # deviation, of the median, above which a ratio says little


class EngineError(Exception):
    pass


class Engine:
    """A process that answers commands; on `cpus` alone."""

    def __init__(self, name, command, cpus, log, timeout):
        self.name, self.timeout = name, timeout
        env = dict(os.environ, OMP_NUM_THREADS=str(len(cpus)), TF_CPP_MIN_LOG_LEVEL="2")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    def ask(self, command, argument=""):
        try:
            self.process.stdin.write(f"{command} {argument}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise EngineError("the process ended")
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            raise EngineError(f"no answer to {command} within {self.timeout:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise EngineError(f"the process ended at {command}")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        if not math.isfinite(answer.get("loss", 0)):
            raise EngineError(f"{command}: the loss is not finite")
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()


class Case:
    """One workload under one scheme."""

    def __init__(self, options, workload, scheme, folder, log):
        self.options, self.folder, self.log = options, folder, log
        self.workload, self.scheme = workload, scheme
        self.started, self.engines, self.results = [], [], {}
        model, shape, batch = WORKLOADS[workload]
        self.setup = {
            "model": model, "size": shape[0] if shape[0] == shape[1] else 0, "batch": batch,
            "shape": [batch, *shape], "threads": options.threads, "lr": LEARNING_RATE,
            "scheme": scheme if scheme != "pockengine" else str(BENCH / f"schemes/{model}.json"),
            "batch_norm": "train" if scheme == "full" else "frozen",
            "weights": f"{folder}/weights.safetensors", "image": f"{folder}/image.f32",
            "label": f"{folder}/label.i32", "plan": f"{folder}/{scheme}.ptplan"}

    def start(self, name, timeout):
        if name == OURS:
            command = [self.options.bench_steps]
        else:
            program, argument = PEERS.get(name, ("torch_peer.py", name))
            command = [self.options.python, "-B", str(BENCH / "peers" / program), argument]
        cpus = sorted(os.sched_getaffinity(0))[:self.options.threads]
        self.started.append(Engine(name, command, cpus, self.log, timeout))
        return self.started[-1]

    def after_one_step(self, engine):
        """The file of the parameters, and what setup answered."""
        answer = engine.ask("setup", json.dumps(self.setup))
        begin = time.monotonic()
        answer["loss"] = engine.ask("step", 1)["loss"]
        answer["first_step_s"] = time.monotonic() - begin
        path = f"{self.folder}/{engine.name}.safetensors"
        engine.ask("params", path)
        return path, answer

    def admit(self, name, reference):
        """Starts an engine and, where its first step is right, lets it take part."""
        engine = self.start(name, self.options.timeout)
        result = self.results[name] = {}
        try:
            path, answer = self.after_one_step(engine)
            if reference is None:  # ours, the first: the reference follows what it trains
                self.setup["trainable"] = answer.pop("trainable")
                double = self.start("double", 600)
                reference, _ = self.after_one_step(double)
                double.close()
            result.update(answer)
            verdict = json.loads(subprocess.run(
                [self.options.python, "-B", str(BENCH / "peers/compare.py"),
                 self.setup["weights"], reference, path],
                check=True, stdout=subprocess.PIPE).stdout)
            result.update(verdict, status="ok" if verdict["error"] <= TOLERANCE else "wrong")
        except EngineError as error:
            result.update(status="failed", reason=str(error))
        if result["status"] == "ok":
            self.engines.append(engine)
        else:
            engine.close()
        return reference

    def drop(self, engine, error):
        """Takes an engine out that failed after its first step."""
        self.results[engine.name].update(status="failed", reason=str(error))
        self.engines.remove(engine)
        engine.close()

    def take_turns(self):
        times, counts = {}, {}
        for engine in list(self.engines):  # warm-up, which also says how many steps make a turn
            try:
                step = statistics.median(engine.ask("step", 3)["ns"]) * 1e-9
            except EngineError as error:
                self.drop(engine, error)
                continue
            times[engine.name] = []
            counts[engine.name] = 1 + min(100, max(1, round(self.options.turn / step)))
        end = time.monotonic() + self.options.seconds
        rounds = 0
        while rounds < self.options.rounds or time.monotonic() < end:
            for engine in list(self.engines):
                try:
                    answer = engine.ask("step", counts[engine.name])
                except EngineError as error:
                    self.drop(engine, error)
                    continue
                times[engine.name] += [ns * 1e-6 for ns in answer["ns"][1:]]
                time.sleep(0.02)  # the idle threads of the one before go to sleep
            rounds += 1
        for engine in self.engines:
            ms = times[engine.name]
            median = statistics.median(ms)
            self.results[engine.name].update(
                median_ms=median, mad_ms=statistics.median(abs(t - median) for t in ms),
                min_ms=min(ms), steps=len(ms), **engine.ask("memory"))

    def run(self):
        try:
            reference = self.admit(OURS, None)
            if self.results[OURS]["status"] != "failed":
                for name in self.options.peers:
                    self.admit(name, reference)
            self.take_turns()
        finally:
            for engine in self.started:
                engine.close()
        case = {"workload": self.workload, "scheme": self.scheme, "engines": self.results,
                "threads": self.options.threads}
        peers = {name: r["median_ms"] for name, r in self.results.items()
                 if name != OURS and "median_ms" in r}
        if peers and "median_ms" in self.results[OURS]:
            case["best_peer"] = min(peers, key=peers.get)
            case["ratio"] = peers[case["best_peer"]] / self.results[OURS]["median_ms"]
            compared = (self.results[OURS], self.results[case["best_peer"]])
            case["disturbed"] = any(r["mad_ms"] > DISTURBED * r["median_ms"] for r in compared)
        return case


def show(case):
    print(f"\n{case['workload']}  {case['scheme']}  {case['threads']} threads", flush=True)
    for name, r in case["engines"].items():
        if "median_ms" in r:
            print(f"  {name:14} {r['median_ms']:9.2f} ms +- {r['mad_ms']:<7.2f}"
                  f" {r['peak_bytes'] / 1e6:8.1f} MB   error {r['error']:.1e} {r['param']}")
        else:
            print(f"  {name:14} {r['status']}: {r.get('reason') or r.get('error')}"
                  f" {r.get('param', '')}")
    if "ratio" in case:
        print(f"  ratio {case['ratio']:.2f} to {case['best_peer']}"
              + (", disturbed" if case["disturbed"] else ""), flush=True)


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


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=names(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--schemes", type=names(SCHEMES), default=list(SCHEMES))
    parser.add_argument("--peers", type=names(PEERS), default=["torch", "torch-cl"],
                        help="of " + ", ".join(PEERS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=5, help="of turns for each case")
    parser.add_argument("--turn", type=float, default=0.1, help="seconds of one engine's turn")
    parser.add_argument("--rounds", type=int, default=3, help="at least so many")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for an engine's answer")
    parser.add_argument("--quick", action="store_true", help="two small workloads, short")
    parser.add_argument("--json", help="file to write")
    parser.add_argument("--bench-steps", default=str(BENCH.parent / "build/release/bin/bench_steps"))
    parser.add_argument("--python", default=str(BENCH / ".venv/bin/python"),
                        help="interpreter that has the peers")
    options = parser.parse_args()
    if options.quick:
        options.workloads, options.seconds = list(QUICK), 1
    if not 1 <= options.threads <= len(os.sched_getaffinity(0)):
        parser.error("--threads: this process has not so many CPUs")
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the engines too
    record = {"cpu": cpu_name(), "machine": platform.machine(), "threads": options.threads,
              "load_before": os.getloadavg()[0], "cases": []}
    with tempfile.TemporaryDirectory() as root, open(f"{root}/log", "wb+") as log:
        for workload in options.workloads:
            model, shape, batch = WORKLOADS[workload]
            folder = pathlib.Path(root, workload)
            folder.mkdir()
            subprocess.run([options.python, "-B", str(BENCH / "peers/make_case.py"), model,
                            str(batch), *map(str, shape), str(folder)], check=True)
            for scheme in options.schemes:
                if scheme == "pockengine" and not (BENCH / f"schemes/{model}.json").exists():
                    continue
                case = Case(options, workload, scheme, folder, log).run()
                show(case)
                record["cases"].append(case)
                record["isa"] = case["engines"][OURS].get("isa", record.get("isa"))
                if options.json:
                    pathlib.Path(options.json).write_text(json.dumps(record, indent=1) + "\n")
        log.seek(max(0, log.tell() - 4000))
        tail = log.read().decode(errors="replace")
    if any(r["status"] != "ok" for case in record["cases"] for r in case["engines"].values()):
        print("\nThe engines' last words:\n" + tail, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
