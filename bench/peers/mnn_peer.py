#!/usr/bin/env python3
"""MNN: its expressions and autodiff, NC4HW4, the graph built anew for each step as in its examples.

MNN.expr's wrappers put a Cast before each matmul, reduction and unary function, and a Cast has no
gradient: what lies below it does not train, without a message. `ops` are the functions they wrap.
"""

import common

ANSWERS = common.take_stdout()  # importing MNN prints

import MNN
import MNN.expr as F
import MNN.nn
import MNN.optim
import numpy as np
from _mnncengine import _expr as ops

import models


def constant(array):
    return F.const(np.ascontiguousarray(array), list(array.shape), F.NCHW, F.float)


class MnnNet(models.Net):
    """Layers in NC4HW4."""

    channel_axis = 1

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None):
        before = [models.pads(x.shape[2 + i], kernel[i], stride, self.same)[0] for i in (0, 1)]
        mode = F.Padding_Mode.SAME if self.same else F.Padding_Mode.CAFFE
        weight = self.params[name + ".weight"]
        no_bias = constant(np.zeros(weight.shape[0], "f4"))
        x = F.conv2d(x, weight, no_bias, (stride, stride), before, (1, 1),
                     x.shape[1] if out is None else 1, mode)
        x = self.batch_norm(x, norm)
        return self.act(x, act) if act else x

    def batch_norm(self, x, name):
        """The formulas of its own batch norm module, whose parameters have no names."""
        scale, shift, mean, var = (F.reshape(self.params[f"{name}.{part}"], [1, -1, 1, 1])
                                   for part in ("weight", "bias", "running_mean", "running_var"))
        if self.train:
            x = F.convert(x, F.NCHW)
            mean = ops.reduce_mean(x, [0, 2, 3], True)
            x = x - mean
            var = ops.reduce_mean(ops.square(x), [0, 2, 3], True)
            self.keep_statistics(name, x.size // x.shape[1], F.reshape(mean, [-1]),
                                 F.reshape(var, [-1]))
            x = x * (scale * ops.rsqrt(var + self.eps)) + shift
            return F.convert(x, F.NC4HW4)
        factor = scale * ops.rsqrt(var + self.eps)
        return x * factor + (shift - mean * factor)

    def act(self, x, name):
        return F.relu6(x) if name == "relu6" else F.relu(x)

    def max_pool(self, x, kernel, stride, pad):
        """After a ReLU: pads with zeros itself, as MNN's own padding loses gradients."""
        x = F.convert(x, F.NCHW)
        for axis in (2, 3):
            shape = list(x.shape)
            after = (shape[axis] + 2 * pad - kernel) // stride * stride + kernel - pad - shape[axis]
            zeros = [constant(np.zeros([*shape[:axis], size, *shape[axis + 1:]], "f4"))
                     for size in (pad, after) if size > 0]
            x = F.concat([zeros[0], x, *zeros[1:]], axis)
        x = F.convert(x, F.NC4HW4)
        return F.max_pool(x, [kernel] * 2, [stride] * 2, F.Padding_Mode.VALID)

    def classifier(self, x, name, classes):
        x = ops.reduce_mean(F.convert(x, F.NCHW), [2, 3], False)
        x = ops.matmul(x, self.params[name + ".weight"], False, True)
        return x + self.params[name + ".bias"]


class Parameters(MNN.nn.Module):
    """What the optimizer learns."""

    def __init__(self, values):
        super().__init__()
        for value in values:
            value.fix_as_trainable()
            self._add_parameter(value)
        self.train(True)


class MnnPeer:
    version = "MNN " + MNN.version()

    def warm_up(self):
        F.lazy_eval(True)  # else nothing trains, without a message
        (constant(np.ones((4, 4), "f4")) * 2.0).read()

    def setup(self, setup):
        F.set_thread_number(setup["threads"])
        image, label = common.read_inputs(setup)
        self.image = F.convert(constant(image.transpose(0, 3, 1, 2)), F.NC4HW4)
        self.image.fix_as_const()
        weights = common.read_safetensors(setup["weights"])
        self.shapes = {name: array.shape for name, array in weights.items()}
        self.values = {name: constant(array) for name, array in weights.items()}
        classes = next(len(array) for array in weights.values() if array.ndim == 2)
        self.one_hot = constant(np.eye(classes, dtype="f4")[label])
        self.learned = Parameters([self.values[name] for name in setup["trainable"]])
        self.optimizer = MNN.optim.SGD(self.learned, setup["lr"], 0.0, 0.0)  # no momentum, decay
        self.forward = models.MODELS[setup["model"]]
        self.train = setup["batch_norm"] == "train"

    def step(self):
        net = MnnNet(self.values, self.train)
        logits = self.forward(net, self.image)
        loss = MNN.nn.loss.cross_entropy(F.softmax(logits, 1), self.one_hot)
        for name, value in net.statistics.items():
            value.fix_as_const()
            self.values[name] = value
        value = float(loss.read())
        if not self.optimizer.step(loss):
            raise RuntimeError("no parameter got a gradient")
        return value

    def params(self):
        return {name: value.read().reshape(self.shapes[name])
                for name, value in self.values.items()}


if __name__ == "__main__":
    common.serve(MnnPeer(), ANSWERS)
