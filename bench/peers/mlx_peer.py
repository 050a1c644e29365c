#!/usr/bin/env python3
"""MLX on the CPU: one compiled step, NHWC. Its CPU kernels run on one thread, whatever --threads."""

import importlib.metadata

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import common
import models


class MlxNet(models.Net):
    """Layers in NHWC, filters OHWI."""

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None):
        before, after = zip(*(models.pads(x.shape[1 + i], kernel[i], stride, self.same)
                              for i in (0, 1)))
        x = mx.conv_general(x, self.params[name + ".weight"], stride,
                            (list(before), list(after)),
                            groups=x.shape[-1] if out is None else 1)
        x = self.batch_norm(x, norm)
        return self.act(x, act) if act else x

    def batch_norm(self, x, name):
        mean, var = (self.params[f"{name}.running_{what}"] for what in ("mean", "var"))
        if self.train:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            self.keep_statistics(name, x.size // x.shape[-1], mean, var)
        scale = self.params[name + ".weight"] * mx.rsqrt(var + self.eps)
        return x * scale + (self.params[name + ".bias"] - mean * scale)

    def act(self, x, name):
        return nn.relu6(x) if name == "relu6" else nn.relu(x)

    def max_pool(self, x, kernel, stride, pad):
        return nn.MaxPool2d(kernel, stride, pad)(x)

    def classifier(self, x, name, classes):
        x = x.mean((1, 2))
        return x @ self.params[name + ".weight"].T + self.params[name + ".bias"]


class MlxPeer:
    version = "mlx " + importlib.metadata.version("mlx")

    def warm_up(self):
        mx.eval(mx.ones((4, 4)) @ mx.ones((4, 4)))

    def setup(self, setup):
        image, label = (mx.array(array) for array in common.read_inputs(setup))
        train = setup["batch_norm"] == "train"
        forward = models.MODELS[setup["model"]]
        move = set(setup["trainable"])
        params = {}
        for name, array in common.read_safetensors(setup["weights"]).items():
            value = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
            params[name] = mx.array(np.ascontiguousarray(value))
            if train and ".running_" in name:
                move.add(name)
        self.moving = {name: value for name, value in params.items() if name in move}
        frozen = {name: value for name, value in params.items() if name not in move}

        def loss(learned, moving):
            net = MlxNet({**frozen, **moving, **learned}, train)
            logits = forward(net, image)
            return nn.losses.cross_entropy(logits, label, reduction="mean"), net.statistics

        def step(moving):
            learned = {name: moving[name] for name in setup["trainable"]}
            (value, statistics), grads = mx.value_and_grad(loss)(learned, moving)
            learned = {name: learned[name] - setup["lr"] * grads[name] for name in learned}
            return {**statistics, **learned}, value

        self.frozen = frozen
        self.compiled = mx.compile(step)

    def step(self):
        self.moving, loss = self.compiled(self.moving)
        mx.eval(self.moving, loss)
        return loss.item()

    def params(self):
        values = {name: np.array(v) for name, v in {**self.moving, **self.frozen}.items()}
        return {name: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for name, v in values.items()}


if __name__ == "__main__":
    common.serve(MlxPeer())
