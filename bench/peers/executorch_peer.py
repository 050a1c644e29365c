#!/usr/bin/env python3
"""ExecuTorch: forward and backward exported ahead of time with PyTorch, its SGD.

It has no kernel for a batch norm in training mode, so that one is made of simpler operations; frozen
ones are folded into the filter and bias of the convolution.
"""

import importlib.metadata
import warnings

import torch
import torch.nn.functional as F
from executorch.exir import to_edge
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.extension.training import (_load_for_executorch_for_training_from_buffer,
                                           get_sgd_optimizer)
from torch.export import export
from torch.export.experimental import _export_forward_backward

import common
import models
import torch_peer


class EtNet(torch_peer.TorchNet):
    """With `train`, `statistics` collects the batch's."""

    def __init__(self, params, train):
        super().__init__(params, train)
        self.statistics = {}

    def conv_norm(self, x, weight, stride, padding, groups, norm):
        mean, var, scale, shift = (self.params[f"{norm}.{part}"] for part in
                                   ("running_mean", "running_var", "weight", "bias"))
        if not self.train:
            factor = scale * torch.rsqrt(var + self.eps)
            return F.conv2d(x, weight * factor.reshape(-1, 1, 1, 1), shift - mean * factor, stride,
                            padding, groups=groups)
        x = F.conv2d(x, weight, None, stride, padding, groups=groups)
        mean = x.mean((0, 2, 3), keepdim=True)
        x = x - mean
        var = (x * x).mean((0, 2, 3), keepdim=True)
        n = x.numel() // x.shape[1]
        for what, batch in (("mean", mean), ("var", var * (n / (n - 1)))):
            self.statistics[f"{norm}.running_{what}"] = batch.detach().flatten()
        factor = torch.rsqrt(var + self.eps) * scale.reshape(1, -1, 1, 1)
        return x * factor + shift.reshape(1, -1, 1, 1)


def identifier(name):
    return name.replace(".", "__")


class Model(torch.nn.Module):
    """The loss, then the batch's statistics in the order of `order`."""

    def __init__(self, values, trainable, forward, train):
        super().__init__()
        self.names, self.model, self.training_norms = list(values), forward, train
        for name, value in values.items():
            if name in trainable:
                self.register_parameter(identifier(name), torch.nn.Parameter(value))
            else:
                self.register_buffer(identifier(name), value)

    def forward(self, image, label):
        net = EtNet({name: getattr(self, identifier(name)) for name in self.names},
                    self.training_norms)
        loss = F.cross_entropy(self.model(net, image), label)
        self.order = list(net.statistics)
        return loss, *net.statistics.values()


class EtPeer:
    version = "executorch " + importlib.metadata.version("executorch")

    def warm_up(self):
        warnings.simplefilter("ignore")

    def setup(self, setup):
        _unsafe_reset_threadpool(setup["threads"])
        image, label = common.read_inputs(setup)
        image = torch.from_numpy(image.transpose(0, 3, 1, 2).copy())  # its strides must be NCHW's
        self.inputs = (image, torch.from_numpy(label).long())
        weights = common.read_safetensors(setup["weights"])
        self.values = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
        model = Model(self.values, setup["trainable"], models.MODELS[setup["model"]],
                      setup["batch_norm"] == "train")
        joint = _export_forward_backward(export(model, self.inputs))
        self.order = model.order
        self.program = to_edge(joint).to_executorch().buffer  # the module reads it without owning it
        self.module = _load_for_executorch_for_training_from_buffer(self.program)
        self.lr = setup["lr"]
        self.optimizer = None

    def step(self):
        loss, *statistics = self.module.forward_backward("forward", self.inputs)
        for name, batch in zip(self.order, statistics):
            self.values[name].mul_(0.9).add_(batch, alpha=0.1)
        if self.optimizer is None:  # the parameters are known after the first pass only
            self.optimizer = get_sgd_optimizer(self.module.named_parameters(), self.lr)
        self.optimizer.step(self.module.named_gradients())
        return loss.item()

    def params(self):
        learned = self.module.named_parameters()
        return {name: learned.get(identifier(name), value).detach().numpy()
                for name, value in self.values.items()}


if __name__ == "__main__":
    common.serve(EtPeer())
