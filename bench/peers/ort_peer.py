#!/usr/bin/env python3
"""ONNX Runtime's on-device training: artifacts made from an ONNX graph, SGD."""

import pathlib
import sys
import tempfile
import types

import numpy as np
from onnx import TensorProto, helper, numpy_helper

# The package imports PyTorch for parts that are not needed here.
for _part in ("amp", "optim"):
    sys.modules["onnxruntime.training." + _part] = types.ModuleType(_part)

import onnxruntime
from onnxruntime.training import api, artifacts

import common
import models


class OnnxValue:
    """A value of the graph: its name, channels, and [height, width]."""

    def __init__(self, net, name, channels, size):
        self.net, self.name, self.channels, self.size = net, name, channels, size

    def __add__(self, other):
        return self.net.node("Add", [self.name, other.name], self.channels, self.size)


class OnnxNet:
    """Collects the nodes of an NCHW graph, opset 17.

    The gradient of a frozen BatchNormalization is wrong in 1.19.2, without a message. So frozen
    batch norms become a factor and an offset, the factor folded into a filter that does not learn.
    The offset learns as the shift would; `offsets` says how far it is from the shift.
    """

    def __init__(self, weights, trainable, train):
        self.weights = dict(weights, zero=np.float32(0), six=np.float32(6))
        self.trainable, self.train = trainable, train
        self.nodes, self.offsets = [], {}

    def node(self, op, inputs, channels, size, outputs=(), **attributes):
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name, *outputs], name=name + "_node",
                                           **attributes))
        return OnnxValue(self, name, channels, size)

    def channels(self, x):
        return x.channels

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None):
        groups = x.channels if out is None else 1
        out = out or x.channels
        (top, bottom), (left, right) = (models.pads(x.size[i], kernel[i], stride, self.same)
                                        for i in (0, 1))
        size = [(x.size[0] + top + bottom - kernel[0]) // stride + 1,
                (x.size[1] + left + right - kernel[1]) // stride + 1]
        geometry = {"group": groups, "kernel_shape": kernel, "strides": [stride] * 2,
                    "pads": [top, left, bottom, right]}
        weight = name + ".weight"
        if self.train:
            x = self.node("Conv", [x.name, weight], out, size, **geometry)
            parts = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
            x = self.node("BatchNormalization", [x.name, *parts], out, size,
                          [part + "/new" for part in parts[2:]], epsilon=self.eps, momentum=0.9,
                          training_mode=1)
        else:
            factor = self.fold(norm)
            inputs = [x.name, weight]
            if weight in self.trainable:
                shape = (out, 1, 1)
                self.weights[norm + ".factor"] = factor.reshape(shape)
                self.weights[norm + ".bias"] = self.weights[norm + ".bias"].reshape(shape)
                x = self.node("Conv", inputs, out, size, **geometry)
                x = self.node("Mul", [x.name, norm + ".factor"], out, size)
                x = self.node("Add", [x.name, norm + ".bias"], out, size)
            else:
                self.weights[weight] = self.weights[weight] * factor.reshape(-1, 1, 1, 1)
                x = self.node("Conv", [*inputs, norm + ".bias"], out, size, **geometry)
        return self.act(x, act) if act else x

    def fold(self, norm):
        """Makes the shift the offset; the factor."""
        scale, shift, mean, var = (self.weights[f"{norm}.{part}"] for part in
                                   ("weight", "bias", "running_mean", "running_var"))
        factor = (scale / np.sqrt(var + self.eps)).astype("f4")
        self.offsets[norm + ".bias"] = -mean * factor
        self.weights[norm + ".bias"] = shift - mean * factor
        return factor

    def act(self, x, name):
        if name == "relu":
            return self.node("Relu", [x.name], x.channels, x.size)
        return self.node("Clip", [x.name, "zero", "six"], x.channels, x.size)

    def max_pool(self, x, kernel, stride, pad):
        size = [(s + 2 * pad - kernel) // stride + 1 for s in x.size]
        return self.node("MaxPool", [x.name], x.channels, size, kernel_shape=[kernel] * 2,
                         strides=[stride] * 2, pads=[pad] * 4)

    def classifier(self, x, name, classes):
        x = self.node("GlobalAveragePool", [x.name], x.channels, [1, 1])
        x = self.node("Flatten", [x.name], x.channels, [])
        return self.node("Gemm", [x.name, name + ".weight", name + ".bias"], classes, [], transB=1)


def build(setup, net, shape):
    logits = models.MODELS[setup["model"]](net, OnnxValue(net, "image", shape[1], shape[2:]))
    used = {name for node in net.nodes for name in node.input}
    graph = helper.make_graph(
        net.nodes, setup["model"],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(logits.name, TensorProto.FLOAT,
                                       [shape[0], logits.channels])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in net.weights.items()
         if name in used])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


class OrtPeer:
    version = "onnxruntime-training " + onnxruntime.__version__

    def warm_up(self):
        pass

    def setup(self, setup):
        image, label = common.read_inputs(setup)
        self.inputs = [np.ascontiguousarray(image.transpose(0, 3, 1, 2)), label.astype("i8")]
        self.weights = common.read_safetensors(setup["weights"])
        self.trainable = setup["trainable"]
        net = OnnxNet(self.weights, self.trainable, setup["batch_norm"] == "train")
        model = build(setup, net, self.inputs[0].shape)
        self.offsets = net.offsets
        frozen = [tensor.name for tensor in model.graph.initializer
                  if tensor.name not in self.trainable]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = setup["threads"]
        with tempfile.TemporaryDirectory() as folder:
            artifacts.generate_artifacts(
                model, requires_grad=self.trainable, frozen_params=frozen,
                loss=artifacts.LossType.CrossEntropyLoss, optimizer=artifacts.OptimType.SGD,
                artifact_directory=folder)
            path = pathlib.Path(folder)
            self.state = api.CheckpointState.load_checkpoint(str(path / "checkpoint"))
            self.module = api.Module(str(path / "training_model.onnx"), self.state,
                                     session_options=options)
            self.optimizer = api.Optimizer(str(path / "optimizer_model.onnx"), self.module)
        self.optimizer.set_learning_rate(setup["lr"])
        self.module.train()

    def step(self):
        loss = self.module(*self.inputs)
        self.optimizer.step()
        self.module.lazy_reset_grad()
        return float(loss)

    def params(self):
        values = dict(self.weights)
        for name, parameter in self.state.parameters:
            if name in self.trainable or ".running_" in name:
                values[name] = parameter.data.reshape(values[name].shape) - self.offsets.get(name, 0)
        return values


if __name__ == "__main__":
    common.serve(OrtPeer())
