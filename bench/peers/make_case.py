#!/usr/bin/env python3
"""Makes what all engines of a workload start from: weights.safetensors, image.f32, label.i32.

Usage: make_case.py MODEL N H W C FOLDER. Weights are random; the running statistics are near
those of the batch, as if the model had been trained: frozen batch norms then keep activations in
range, and running statistics have somewhere to go.
"""

import pathlib
import sys

import numpy as np
import torch

import common
import models
import torch_peer


def main():
    model, shape, folder = sys.argv[1], [int(s) for s in sys.argv[2:6]], pathlib.Path(sys.argv[6])
    rng = np.random.default_rng(1)
    image = rng.uniform(-1, 1, shape).astype("<f4")

    def make(name, size, fan_in, fill):
        if fan_in is None:
            return torch.full(size, fill)
        classifier = len(size) == 2
        values = rng.standard_normal(size) * (0.01 if classifier else (2 / fan_in) ** 0.5)
        return torch.from_numpy(values.astype("f4"))

    params = {}
    net = torch_peer.TorchNet(params, train=True, momentum=1.0, make=make)
    with torch.no_grad():
        logits = models.MODELS[model](net, torch.from_numpy(image).permute(0, 3, 1, 2))
    for name, value in params.items():
        if name.endswith(".running_var"):
            mean = params[name[:-3] + "mean"]
            mean += 0.2 * value.sqrt() * torch.from_numpy(rng.standard_normal(len(mean)))
            value *= torch.from_numpy(rng.uniform(0.7, 1.3, len(value)))
    label = rng.integers(0, logits.shape[1], shape[0]).astype("<i4")
    image.tofile(folder / "image.f32")
    label.tofile(folder / "label.i32")
    common.write_safetensors(folder / "weights.safetensors",
                             {name: value.numpy() for name, value in params.items()})


if __name__ == "__main__":
    main()
