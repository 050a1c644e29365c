#!/usr/bin/env python3
"""tinygrad on the CPU: one TinyJit step, NCHW, kernels built by clang, no search (BEAM)."""

import importlib.metadata
import os

os.environ["DEV"] = "CPU"
os.environ["NUM_CPU_THREADS"] = str(len(os.sched_getaffinity(0)))

import numpy as np
from tinygrad import Context, Tensor, TinyJit, nn

import common
import models


class TinyNet(models.Net):
    """Layers in NCHW."""

    channel_axis = 1

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None):
        (top, bottom), (left, right) = (models.pads(x.shape[2 + i], kernel[i], stride, self.same)
                                        for i in (0, 1))
        x = x.conv2d(self.params[name + ".weight"], None, x.shape[1] if out is None else 1, stride,
                     padding=(left, right, top, bottom))
        x = self.batch_norm(x, norm)
        return self.act(x, act) if act else x

    def batch_norm(self, x, name):
        mean, var = (self.params[f"{name}.running_{what}"] for what in ("mean", "var"))
        if self.train:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            self.keep_statistics(name, x.numel() // x.shape[1], mean.detach(), var.detach())
        return x.batchnorm(self.params[name + ".weight"], self.params[name + ".bias"], mean,
                           (var + self.eps).rsqrt())

    def act(self, x, name):
        return x.relu6() if name == "relu6" else x.relu()

    def max_pool(self, x, kernel, stride, pad):
        return x.max_pool2d(kernel, stride, padding=pad)

    def classifier(self, x, name, classes):
        x = x.mean((2, 3))
        return x.linear(self.params[name + ".weight"].T, self.params[name + ".bias"])


class TinyPeer:
    version = "tinygrad " + importlib.metadata.version("tinygrad")

    def warm_up(self):
        (Tensor.ones(4, 4).contiguous() @ Tensor.ones(4, 4).contiguous()).realize()

    def setup(self, setup):
        image, label = common.read_inputs(setup)
        image = Tensor(np.ascontiguousarray(image.transpose(0, 3, 1, 2))).realize()
        label = Tensor(label).realize()
        train = setup["batch_norm"] == "train"
        forward = models.MODELS[setup["model"]]
        self.values = {name: Tensor(array.copy()).realize()
                       for name, array in common.read_safetensors(setup["weights"]).items()}
        for name in setup["trainable"]:
            self.values[name].is_param_()
        optimizer = nn.optim.SGD([self.values[name] for name in setup["trainable"]], setup["lr"])

        @TinyJit
        def step():
            optimizer.zero_grad()
            net = TinyNet(self.values, train)
            loss = forward(net, image).sparse_categorical_crossentropy(label).backward()
            updates = [self.values[name].assign(v) for name, v in net.statistics.items()]
            return loss.realize(*optimizer.schedule_step(), *updates)

        self.jitted = step

    def step(self):
        with Context(TRAINING=1):
            return self.jitted().item()

    def params(self):
        return {name: value.numpy() for name, value in self.values.items()}


if __name__ == "__main__":
    common.serve(TinyPeer())
