"""What every peer shares: the line protocol of run.py, safetensors, memory figures."""

import contextlib
import ctypes
import json
import os
import sys
import time
import traceback

import numpy as np


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            arrays[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return arrays


def write_safetensors(path, arrays):
    header, offset = {}, 0
    arrays = {name: np.ascontiguousarray(array, "<f4") for name, array in arrays.items()}
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape,
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.tobytes())


def read_inputs(setup):
    """Image f32[N,H,W,C] and label i32[N]."""
    image = np.fromfile(setup["image"], "<f4").reshape(setup["shape"])
    return image, np.fromfile(setup["label"], "<i4")


def status_bytes(key):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return 0


class PeakMemory:
    """The highest resident size since start(), above that at start(), but for pauses."""

    def __init__(self):
        self.baseline = self.seen = 0

    def start(self):
        self.restart_mark()
        self.baseline = status_bytes("VmRSS")

    def bytes(self):
        self.seen = max(self.seen, status_bytes("VmHWM") - self.baseline)
        return self.seen

    @contextlib.contextmanager
    def paused(self):
        self.bytes()
        yield
        ctypes.CDLL(None).malloc_trim(0)  # gives back what was freed meanwhile
        self.restart_mark()

    @staticmethod
    def restart_mark():
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")


class Server:
    """Answers bench_steps' commands for a peer.

    A peer has `version`, warm_up(), which takes a tiny step so that what the framework loads late
    does not count as the workload's memory, setup(dict), step() -> loss, params() -> arrays.
    """

    def __init__(self, peer):
        self.peer = peer
        self.memory = PeakMemory()

    def answer(self, command, argument):
        if command == "setup":
            self.peer.warm_up()
            self.memory.start()
            begin = time.monotonic()
            self.peer.setup(json.loads(argument))
            return {"setup_s": time.monotonic() - begin, "version": self.peer.version}
        if command == "step":
            times = []
            for _ in range(int(argument)):
                begin = time.monotonic_ns()
                loss = self.peer.step()
                times.append(time.monotonic_ns() - begin)
            return {"ns": times, "loss": loss}
        if command == "params":
            with self.memory.paused():  # these copies are the harness's
                write_safetensors(argument, self.peer.params())
            return {}
        if command == "memory":
            return {"peak_bytes": self.memory.bytes()}
        raise ValueError(f"unknown command (got {command})")


def take_stdout():
    """What is stdout now, to answer on; what libraries print from here on goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(peer, answers=None):
    """`answers`: of take_stdout(), where the peer's libraries print while they are imported."""
    answers = answers or take_stdout()
    server = Server(peer)
    for line in sys.stdin:
        command, _, argument = line.rstrip("\n").partition(" ")
        try:
            answer = server.answer(command, argument)
        except Exception as error:  # a peer may fail in any way; the harness reports it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".split("\n")[0][:300]}
        print(json.dumps(answer), file=answers, flush=True)
