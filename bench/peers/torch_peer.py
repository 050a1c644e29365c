#!/usr/bin/env python3
"""PyTorch. Usage: torch_peer.py eager|channels-last|compile|double (double: the reference)."""

import sys

import numpy as np
import torch
import torch.nn.functional as F

import common
import models


class TorchNet:
    """Layers in NCHW on the arrays of `params`; makes those that are missing, if `make` is given."""

    def __init__(self, params, train, momentum=0.1, make=None):
        self.params = params
        self.train = train
        self.momentum = momentum
        self.make = make

    def param(self, name, shape, fan_in=None, fill=0.0):
        if name not in self.params:
            self.params[name] = self.make(name, shape, fan_in, fill)
        return self.params[name]

    def channels(self, x):
        return x.shape[1]

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None):
        """`out` None: depthwise."""
        channels = x.shape[1]
        groups, width = (channels, 1) if out is None else (1, channels)
        out = out or channels
        weight = self.param(name + ".weight", (out, width, *kernel),
                            width * kernel[0] * kernel[1])
        (top, bottom), (left, right) = (models.pads(x.shape[2 + i], kernel[i], stride, self.same)
                                        for i in (0, 1))
        if top != bottom or left != right:
            x = F.pad(x, (left, right, top, bottom))
            top = left = 0
        for part, fill in (("running_mean", 0), ("running_var", 1), ("weight", 1), ("bias", 0)):
            self.param(f"{norm}.{part}", (out,), fill=float(fill))
        x = self.conv_norm(x, weight, stride, (top, left), groups, norm)
        return self.act(x, act) if act else x

    def conv_norm(self, x, weight, stride, padding, groups, norm):
        x = F.conv2d(x, weight, None, stride, padding, groups=groups)
        mean, var, scale, shift = (self.params[f"{norm}.{part}"] for part in
                                   ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, scale, shift, self.train, self.momentum, self.eps)

    def act(self, x, name):
        return F.relu6(x, inplace=True) if name == "relu6" else F.relu(x, inplace=True)

    def max_pool(self, x, kernel, stride, pad):
        return F.max_pool2d(x, kernel, stride, pad)

    def classifier(self, x, name, classes):
        x = x.mean((2, 3))
        return F.linear(x, self.param(name + ".weight", (classes, x.shape[1]), x.shape[1]),
                        self.param(name + ".bias", (classes,)))


def make_sgd(learned, lr):
    try:
        return torch.optim.SGD(learned, lr, fused=True)
    except (TypeError, RuntimeError):  # older versions have none for the CPU
        return torch.optim.SGD(learned, lr)


class TorchPeer:
    version = "torch " + torch.__version__

    def __init__(self, kind):
        self.kind = kind
        self.dtype = torch.float64 if kind == "double" else torch.float32

    def warm_up(self):
        weight = torch.ones(1, 1, 3, 3, requires_grad=True)
        F.conv2d(torch.ones(1, 1, 8, 8), weight).sum().backward()
        make_sgd([weight], 0.1).step()

    def setup(self, setup):
        torch.set_num_threads(setup["threads"])
        torch.manual_seed(1)
        layout = torch.channels_last if self.kind == "channels-last" else torch.contiguous_format
        image, label = common.read_inputs(setup)
        self.x = torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
        self.x = self.x.to(self.dtype).contiguous(memory_format=layout)
        self.y = torch.from_numpy(label).long()
        self.values = {}
        for name, array in common.read_safetensors(setup["weights"]).items():
            value = torch.from_numpy(array.copy()).to(self.dtype)
            self.values[name] = value.to(memory_format=layout) if value.dim() == 4 else value
        learned = [self.values[name].requires_grad_(True) for name in setup["trainable"]]
        self.optimizer = make_sgd(learned, setup["lr"])
        forward = models.MODELS[setup["model"]]
        train = setup["batch_norm"] == "train"

        def loss(values, x, y):
            return F.cross_entropy(forward(TorchNet(values, train), x), y)

        self.loss = torch.compile(loss) if self.kind == "compile" else loss

    def step(self):
        self.optimizer.zero_grad()
        loss = self.loss(self.values, self.x, self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def params(self):
        return {name: value.detach().contiguous().numpy() for name, value in self.values.items()}


if __name__ == "__main__":
    common.serve(TorchPeer(sys.argv[1]))
