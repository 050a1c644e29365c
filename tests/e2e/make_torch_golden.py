#!/usr/bin/env python3
"""Writes tests/golden/torch/*.bin: three steps of training in PyTorch, in double.

The models are written here from the zoo's tables, layer by layer, under the zoo's names; weights,
images and labels come from the engine's counter-based generator, repeated below. Needs NumPy and
PyTorch (Debian: python3-numpy, python3-torch), and only to make the files anew:

    tests/e2e/make_torch_golden.py

A file is a sequence of records, little-endian: the name with a newline behind it; the number of
elements as int64; as float64 the largest magnitude, the L2 norm, the dot product with the stream
"<name>.dot", and the sampled elements: all of them up to SAMPLES, else SAMPLES at the indices of
the stream "<name>.at". Elements are counted in the engine's layouts (OHWI, depthwise HWC). The
records are "loss/1".."loss/3", "logits" and "grad/<parameter>" of the first step, and
"param/<parameter>" after the third, running statistics included.
"""

import math
import pathlib
import struct

import numpy as np
import torch
import torch.nn.functional as F

CLASSES = 7
STEPS = 3
LEARNING_RATE = 0.003
MOMENTUM = 0.9
SAMPLES = 64
# Ranges of batch norms: most inputs of activations are off the kinks, 4 to 19 % below 0.
SCALE = (0.25, 0.75)
SHIFT = (0.5, 1.5)
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "torch"

U32 = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def hash_name(name):
    """FNV-1a, 64 bit (HashName of engine/base/rng.h)."""
    h = 14695981039346656037
    for byte in name.encode():
        h = (h ^ byte) * 1099511628211 % 2**64
    return h


class Streams:
    """RandomStream of engine/base/rng.h, a stream a name."""

    def __init__(self, seed):
        self.seed = seed

    def bits(self, name, n):
        """The first n words: Philox4x32-10."""
        stream = hash_name(name)
        block = np.arange((n + 3) // 4, dtype=np.uint64)
        c = [block & U32, block >> HALF]
        c += [np.full_like(block, stream & 0xFFFFFFFF), np.full_like(block, stream >> 32)]
        k0, k1 = self.seed & 0xFFFFFFFF, self.seed >> 32
        for _ in range(10):
            p0 = np.uint64(0xD2511F53) * c[0]
            p1 = np.uint64(0xCD9E8D57) * c[2]
            c = [(p1 >> HALF) ^ c[1] ^ np.uint64(k0), p1 & U32,
                 (p0 >> HALF) ^ c[3] ^ np.uint64(k1), p0 & U32]
            k0 = (k0 + 0x9E3779B9) % 2**32
            k1 = (k1 + 0xBB67AE85) % 2**32
        return np.stack(c, axis=1).reshape(-1)[:n]

    def uniform(self, name, n, low, high):
        """Uniform in [low, high), rounded to f32."""
        u = (self.bits(name, n) >> np.uint64(8)).astype(np.float64) * 2.0**-24
        return (low + (high - low) * u).astype(np.float32).astype(np.float64)

    def normal(self, name, n, stddev):
        """Normal, rounded to f32; the C library's log and cos, as in the engine."""
        words = self.bits(name, 2 * n).tolist()
        values = [math.sqrt(-2.0 * math.log((words[2 * i] + 1.0) * 2.0**-32)) *
                  math.cos(2.0 * math.pi * (words[2 * i + 1] * 2.0**-32)) for i in range(n)]
        return (stddev * np.array(values)).astype(np.float32).astype(np.float64)

    def below(self, name, n, limit):
        """Uniform in [0, limit)."""
        return ((self.bits(name, n) * np.uint64(limit)) >> HALF).astype(np.int64)


class Net:
    """Layers that make their parameters on first use, as NetBuilder does."""

    def __init__(self, streams, dtype, train, eps, same=False):
        self.streams = streams
        self.dtype = dtype
        self.train = train  # batch statistics?
        self.eps = eps
        self.same = same  # TensorFlow's SAME padding, else k / 2 on all sides
        self.weights = {}  # leaves that learn, by name
        self.statistics = {}
        self.layouts = {}  # by name: permutation from PyTorch's layout to ours
        self.activated = []  # of every activation yet: its input and its kinks

    def _leaf(self, table, name, values, shape):
        if name not in table:
            table[name] = torch.from_numpy(values()).reshape(shape).to(self.dtype)
            table[name].requires_grad_(table is self.weights)
        return table[name]

    def _filter(self, name, out, kernel, channels, depthwise):
        if depthwise:
            ours, to_torch, to_ours = (*kernel, out), (2, 0, 1), (2, 3, 0, 1)
        else:
            ours, to_torch, to_ours = (out, *kernel, channels), (0, 3, 1, 2), (0, 2, 3, 1)
        self.layouts[name] = to_ours
        n = math.prod(ours)
        shape = (out, 1 if depthwise else channels, *kernel)

        def values():
            drawn = self.streams.normal(name, n, math.sqrt(2.0 / (n / out))).reshape(ours)
            return np.ascontiguousarray(drawn.transpose(to_torch))

        return self._leaf(self.weights, name, values, shape)

    def _channels(self, table, name, c, low, high):
        return self._leaf(table, name, lambda: self.streams.uniform(name, c, low, high), (c,))

    def _pad(self, x, kernel, stride):
        if not self.same:
            return F.pad(x, (kernel[1] // 2,) * 2 + (kernel[0] // 2,) * 2)
        pads = []
        for size, k in ((x.shape[3], kernel[1]), (x.shape[2], kernel[0])):
            total = max((-(-size // stride) - 1) * stride + k - size, 0)
            pads += [total // 2, total - total // 2]
        return F.pad(x, pads)

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None, depthwise=False):
        channels = x.shape[1]
        weight = self._filter(name + ".weight", out, kernel, channels, depthwise)
        bias = None if norm else self._channels(self.weights, name + ".bias", out, -0.5, 0.5)
        x = F.conv2d(self._pad(x, kernel, stride), weight, bias, stride,
                     groups=channels if depthwise else 1)
        if norm:
            mean = self._channels(self.statistics, norm + ".running_mean", out, -0.5, 0.5)
            var = self._channels(self.statistics, norm + ".running_var", out, 0.5, 1.5)
            scale = self._channels(self.weights, norm + ".weight", out, *SCALE)
            shift = self._channels(self.weights, norm + ".bias", out, *SHIFT)
            x = F.batch_norm(x, mean, var, scale, shift, training=self.train, momentum=0.1,
                             eps=self.eps)
        return self.activation(x, act) if act else x

    def activation(self, x, act):
        self.activated.append((x.detach().double(), (0.0, 6.0) if act is F.relu6 else (0.0,)))
        return act(x)

    def depthwise(self, x, name, norm, kernel, stride=1, act=None):
        return self.conv(x, name, norm, x.shape[1], kernel, stride, act, depthwise=True)

    def classifier(self, x, name):
        x = x.mean((2, 3))
        shape = (CLASSES, x.shape[1])

        def values():
            return self.streams.normal(name + ".weight", math.prod(shape), 0.01)

        weight = self._leaf(self.weights, name + ".weight", values, shape)
        return F.linear(x, weight, self._channels(self.weights, name + ".bias", CLASSES, -0.5, 0.5))

    def in_our_layout(self, name, tensor):
        tensor = tensor.detach()
        if name in self.layouts:
            tensor = tensor.permute(self.layouts[name])
        return tensor.numpy().reshape(-1)


def make_divisible(v):
    rounded = max(8, int(v + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * v else rounded + 8


def mobilenet_v2(streams, dtype, train, width=0.35):
    net = Net(streams, dtype, train, 1e-5)

    def forward(x):
        x = net.conv(x, "features.0.0", "features.0.1", make_divisible(32 * width), (3, 3), 2,
                     F.relu6)
        feature = 1
        for expand, channels, repeat, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2),
                                                 (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                                                 (6, 320, 1, 1)):
            out = make_divisible(channels * width)
            for i in range(repeat):
                residual, prefix, at = x, f"features.{feature}.conv.", 0
                if expand != 1:
                    x = net.conv(x, prefix + "0.0", prefix + "0.1", x.shape[1] * expand,
                                 act=F.relu6)
                    at = 1
                x = net.depthwise(x, f"{prefix}{at}.0", f"{prefix}{at}.1", (3, 3),
                                  stride if i == 0 else 1, F.relu6)
                x = net.conv(x, f"{prefix}{at + 1}", f"{prefix}{at + 2}", out)
                if x.shape == residual.shape:
                    x = x + residual
                feature += 1
        x = net.conv(x, "features.18.0", "features.18.1", 1280, act=F.relu6)
        return net.classifier(x, "classifier.1")

    return net, forward


def mcunet_5fps(streams, dtype, train):
    net = Net(streams, dtype, train, 1e-5)
    rows = ((3, 16, 8, 1), (3, 32, 16, 2), (3, 48, 16, 1), (7, 48, 24, 2), (3, 120, 24, 1),
            (3, 120, 40, 2), (7, 160, 40, 1), (5, 160, 48, 1), (3, 144, 48, 1), (3, 192, 48, 1),
            (7, 240, 96, 2), (5, 384, 96, 1), (5, 384, 96, 1), (3, 576, 160, 1))

    def forward(x):
        x = net.conv(x, "first_conv", "first_conv.bn", 16, (3, 3), 2, F.relu6)
        for i, (kernel, mid, out, stride) in enumerate(rows):
            residual, prefix = x, f"blocks.{i}."
            if i > 0:
                x = net.conv(x, prefix + "pointwise1", prefix + "pointwise1.bn", mid, act=F.relu6)
            x = net.depthwise(x, prefix + "depthwise", prefix + "depthwise.bn", (kernel, kernel),
                              stride, F.relu6)
            x = net.conv(x, prefix + "pointwise2", prefix + "pointwise2.bn", out)
            if i > 0 and x.shape == residual.shape:
                x = x + residual
        return net.classifier(x, "classifier")

    return net, forward


def resnet8(streams, dtype, train):
    net = Net(streams, dtype, train, 1e-3, same=True)

    def forward(x):
        x = net.conv(x, "stem", "stem_bn", 16, (3, 3), act=F.relu)
        for stack in range(3):
            prefix, out, stride = f"stack{stack + 1}.", 16 << stack, 1 if stack == 0 else 2
            y = net.conv(x, prefix + "conv1", prefix + "conv1_bn", out, (3, 3), stride, F.relu)
            y = net.conv(y, prefix + "conv2", prefix + "conv2_bn", out, (3, 3))
            if stride != 1:
                x = net.conv(x, prefix + "shortcut", None, out, stride=stride)
            x = net.activation(x + y, F.relu)
        return net.classifier(x, "classifier")

    return net, forward


def ds_cnn(streams, dtype, train):
    net = Net(streams, dtype, train, 1e-3, same=True)

    def forward(x):
        x = net.conv(x, "stem.conv", "stem.bn", 64, (10, 4), 2, F.relu)
        for i in range(4):
            prefix = f"blocks.{i}."
            x = net.depthwise(x, prefix + "depthwise", prefix + "depthwise_bn", (3, 3), act=F.relu)
            x = net.conv(x, prefix + "pointwise", prefix + "pointwise_bn", 64, act=F.relu)
        return net.classifier(x, "classifier")

    return net, forward


class GoldenFile:
    def __init__(self, path, streams):
        self.file = open(path, "wb")
        self.streams = streams

    def add(self, name, values):
        n = len(values)
        at = self.streams.below(name + ".at", SAMPLES, n) if n > SAMPLES else np.arange(n)
        numbers = [np.abs(values).max(), math.sqrt((values * values).sum()),
                   (values * self.streams.uniform(name + ".dot", n, -1, 1)).sum(), *values[at]]
        self.file.write(name.encode() + b"\n" + struct.pack("<q", n))
        self.file.write(np.array(numbers, dtype="<f8").tobytes())


def train(build, image, streams, dtype, batch_statistics, add):
    """Three steps; gives every record to `add`. Returns the net."""
    net, forward = build(streams, dtype, batch_statistics)
    optimizer = None
    for step in range(1, STEPS + 1):
        x = streams.uniform(f"image/{step}", math.prod(image), -1, 1).reshape(image)
        x = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).to(dtype)
        labels = torch.from_numpy(streams.below(f"label/{step}", image[0], CLASSES))
        logits = forward(x)
        loss = F.cross_entropy(logits, labels)
        if optimizer is None:  # the first pass made the parameters
            optimizer = torch.optim.SGD(net.weights.values(), LEARNING_RATE, MOMENTUM)
        optimizer.zero_grad()
        loss.backward()
        add(f"loss/{step}", loss.detach().numpy().reshape(-1))
        if step == 1:
            add("logits", logits.detach().numpy().reshape(-1))
            for name, weight in net.weights.items():
                add("grad/" + name, net.in_our_layout(name, weight.grad))
        optimizer.step()
    for name, tensor in {**net.weights, **net.statistics}.items():
        add("param/" + name, net.in_our_layout(name, tensor))
    return net


def margin(exact, rounded):
    """How far all inputs of activations keep from a kink, in RMS errors that f32 makes there.

    An input on the other side of a kink in f32 changes gradients by far more than rounding, and
    says nothing about an engine: choose seeds that keep the margin above 10.
    """
    least = math.inf
    for (x, kinks), (y, _) in zip(exact.activated, rounded.activated):
        nearest = min((x - kink).abs().min().item() for kink in kinks)
        least = min(least, nearest / (x - y).square().mean().sqrt().item())
    return least


# File, model, image, seed, batch statistics?
CASES = (
    ("mobilenet_v2_train", mobilenet_v2, (4, 48, 48, 3), 7, True),
    ("mobilenet_v2_frozen", mobilenet_v2, (4, 48, 48, 3), 15, False),
    ("mcunet-5fps_train", mcunet_5fps, (4, 48, 48, 3), 5, True),
    ("mcunet-5fps_frozen", mcunet_5fps, (4, 48, 48, 3), 9, False),
    ("resnet8_train", resnet8, (3, 32, 32, 3), 11, True),
    ("resnet8_frozen", resnet8, (3, 32, 32, 3), 8, False),
    ("ds-cnn_train", ds_cnn, (3, 49, 10, 1), 2, True),
    ("ds-cnn_frozen", ds_cnn, (3, 49, 10, 1), 27, False),
)


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, build, image, seed, batch_statistics in CASES:
        streams = Streams(seed)
        golden = GoldenFile(GOLDEN / (name + ".bin"), streams)
        exact = train(build, image, streams, torch.float64, batch_statistics, golden.add)
        rounded = train(build, image, streams, torch.float32, batch_statistics, lambda *_: None)
        print(f"{name}: margin {margin(exact, rounded):.1f}")


if __name__ == "__main__":
    main()
