"""One workload under one scheme with some number of threads: who takes part, and the turns."""

import json
import math
import os
import pathlib
import select
import signal
import statistics
import subprocess
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
    "mnn": ("mnn_peer.py", ""),
    "mlx": ("mlx_peer.py", ""),
    "executorch": ("executorch_peer.py", ""),
    "tinygrad": ("tinygrad_peer.py", ""),
}
LEARNING_RATE = 0.001  # on one batch for hundreds of steps: no loss may leave the finite
# Of the error in compare.py. Another algorithm (padding, statistics, what is frozen) is off by tens
# of percent; rounding, where it flips a few ReLUs, by up to four.
TOLERANCE = 0.1
DISTURBED = 0.1  # deviation, of the median, above which a ratio says little
WARM_UP = 3  # steps; one less where they take over LONG_S. Some compile in the first of them
LONG_S = 30


class EngineError(Exception):
    pass


class TimedOut(EngineError):
    pass


class Engine:
    """A process that answers commands; on `cpus` alone, with `caches` for what it compiles."""

    def __init__(self, name, command, cpus, log, timeout, caches):
        self.name, self.timeout = name, timeout
        env = dict(os.environ, OMP_NUM_THREADS=str(len(cpus)), TF_CPP_MIN_LOG_LEVEL="2",
                   TMPDIR=caches, XDG_CACHE_HOME=caches)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env,
            start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    def ask(self, command, argument=""):
        try:
            self.process.stdin.write(f"{command} {argument}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise EngineError("the process ended")
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            raise TimedOut(f"no answer to {command} within {self.timeout:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise EngineError(f"the process ended at {command}")
        try:
            answer = json.loads(line)
        except ValueError:
            raise EngineError(f"answered {line[:80]!r}, want JSON")
        if "error" in answer:
            raise EngineError(answer["error"])
        if not math.isfinite(answer.get("loss", 0)):
            raise EngineError(f"{command}: the loss is not finite")
        return answer

    def pause(self):
        """With all its threads and helpers: those that spin would take CPUs from who has the turn."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Case:
    """`folder` has what make_case.py made; `absent` the results of peers that are not to start."""

    def __init__(self, options, workload, scheme, threads, folder, log, absent):
        self.options, self.folder, self.log, self.absent = options, folder, log, absent
        self.name, self.scheme, self.threads = workload.name, scheme, threads
        self.caches = f"{folder}/caches-{scheme}-{threads}"
        os.mkdir(self.caches)  # none of another case: the first step of each is a cold one
        self.started, self.engines, self.results = [], [], {}
        height, width, _ = workload.shape
        self.setup = {
            "model": workload.model, "size": height if height == width else 0,
            "batch": workload.batch, "shape": [workload.batch, *workload.shape],
            "threads": threads, "lr": LEARNING_RATE,
            "scheme": workload.sparse if scheme == "pockengine" else scheme,
            "batch_norm": "train" if scheme == "full" else "frozen",
            "weights": f"{folder}/weights.safetensors", "image": f"{folder}/image.f32",
            "label": f"{folder}/label.i32", "plan": f"{folder}/{scheme}.ptplan"}

    def start(self, name, timeout):
        if name == OURS:
            command = [self.options.bench_steps]
        else:
            program, argument = PEERS.get(name, ("torch_peer.py", name))
            command = [self.options.python, "-B", str(BENCH / "peers" / program), argument]
        cpus = sorted(os.sched_getaffinity(0))[:self.threads]
        self.started.append(Engine(name, command, cpus, self.log, timeout, self.caches))
        return self.started[-1]

    def after_one_step(self, engine, path):
        """Writes the parameters; what setup answered, and the time from the process's start."""
        answer = engine.ask("setup", json.dumps(self.setup))
        answer["loss"] = engine.ask("step", 1)["loss"]
        answer["first_step_s"] = time.monotonic() - engine.started
        engine.ask("params", path)
        return answer

    def reference(self):
        """The parameters after PyTorch's step in double: the same for any number of threads."""
        path = f"{self.folder}/double-{self.scheme}.safetensors"
        if not os.path.exists(path):
            double = self.start("double", 600)
            self.after_one_step(double, path)
            double.close()
        return path

    def admit(self, name):
        """Starts an engine and, where its first step is right, lets it take part."""
        engine = self.start(name, self.options.timeout)
        result = self.results[name] = {}
        path = f"{self.folder}/{name}.safetensors"
        try:
            result.update(self.after_one_step(engine, path))
            if name == OURS:  # the first: all others train what it trains
                self.setup["trainable"] = result.pop("trainable")
            verdict = json.loads(subprocess.run(
                [self.options.python, "-B", str(BENCH / "peers/compare.py"),
                 self.setup["weights"], self.reference(), path],
                check=True, stdout=subprocess.PIPE).stdout)
            result.update(verdict, status="ok")
            if not verdict["error"] <= TOLERANCE:
                result.update(status="wrong", reason=f"the update of {verdict['param']} is off by"
                                                     f" {verdict['error']:.0%}")
        except EngineError as error:
            self.fail(engine, error)
        if result["status"] == "ok":
            self.engines.append(engine)
            engine.pause()
        else:
            engine.close()

    def fail(self, engine, error):
        self.results[engine.name].update(status="failed", reason=str(error),
                                         timed_out=isinstance(error, TimedOut))
        self.take_out(engine)

    def take_out(self, engine):
        if engine in self.engines:
            self.engines.remove(engine)
        engine.close()

    def warm_up(self):
        """How many steps make a turn of each engine; takes out the peers that are too slow."""
        seconds = {}
        for engine in list(self.engines):
            try:
                engine.resume()
                steps = [ns * 1e-9 for ns in engine.ask("step", WARM_UP - 1)["ns"]]
                if sum(steps) < LONG_S:
                    steps += [ns * 1e-9 for ns in engine.ask("step", 1)["ns"]]
                seconds[engine.name] = min(steps)
                self.results[engine.name].update(**engine.ask("memory"))
                engine.pause()
            except (EngineError, ProcessLookupError) as error:
                self.fail(engine, error)
        best = min((s for name, s in seconds.items() if name != OURS), default=math.inf)
        for engine in list(self.engines):
            step = seconds[engine.name]
            if engine.name != OURS and step > self.options.slow * best:
                self.results[engine.name].update(status="slow", about_ms=step * 1e3)
                self.take_out(engine)
        return {name: 1 + min(100, max(1, round(self.options.turn / step)))
                for name, step in seconds.items()}

    def take_turns(self, counts):
        times = {engine.name: [] for engine in self.engines}
        end = time.monotonic() + self.options.seconds
        rounds = 0
        while rounds < self.options.rounds or time.monotonic() < end:
            for engine in list(self.engines):
                try:
                    engine.resume()
                    answer = engine.ask("step", counts[engine.name])
                    engine.pause()
                except (EngineError, ProcessLookupError) as error:
                    self.fail(engine, error)
                    continue
                times[engine.name] += [ns * 1e-6 for ns in answer["ns"][1:]]
            rounds += 1
        for engine in self.engines:
            engine.resume()
            ms = times[engine.name]
            median = statistics.median(ms)
            self.results[engine.name].update(
                median_ms=median, mad_ms=statistics.median(abs(t - median) for t in ms),
                min_ms=min(ms), steps=len(ms), **engine.ask("memory"))

    def run(self):
        load = os.getloadavg()[0]
        try:
            self.admit(OURS)
            if self.results[OURS]["status"] != "failed":
                for name in self.options.peers:
                    if name in self.absent:
                        self.results[name] = self.absent[name]
                    else:
                        self.admit(name)
            self.take_turns(self.warm_up())
        finally:
            for engine in self.started:
                engine.close()
        case = {"workload": self.name, "scheme": self.scheme, "threads": self.threads,
                "load_before": load, "engines": self.results}
        peers = {name: r["median_ms"] for name, r in self.results.items()
                 if name != OURS and "median_ms" in r}
        if peers and "median_ms" in self.results[OURS]:
            case["best_peer"] = min(peers, key=peers.get)
            case["ratio"] = peers[case["best_peer"]] / self.results[OURS]["median_ms"]
            compared = (self.results[OURS], self.results[case["best_peer"]])
            case["disturbed"] = any(r["mad_ms"] > DISTURBED * r["median_ms"] for r in compared)
        return case
