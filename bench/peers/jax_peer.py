#!/usr/bin/env python3
"""JAX: one jitted step with donated parameters, NHWC."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
from jax import lax
import numpy as np

import common
import models


class JaxNet(models.Net):
    """Layers in NHWC, filters HWIO."""

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None):
        padding = [models.pads(x.shape[1 + i], kernel[i], stride, self.same) for i in (0, 1)]
        x = lax.conv_general_dilated(
            x, self.params[name + ".weight"], (stride, stride), padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[-1] if out is None else 1)
        x = self.batch_norm(x, norm)
        return self.act(x, act) if act else x

    def batch_norm(self, x, name):
        mean, var = (self.params[f"{name}.running_{what}"] for what in ("mean", "var"))
        if self.train:
            mean = x.mean((0, 1, 2))
            var = jnp.square(x - mean).mean((0, 1, 2))
            self.keep_statistics(name, x.size // x.shape[-1], mean, var)
        scale = self.params[name + ".weight"] * lax.rsqrt(var + self.eps)
        return x * scale + (self.params[name + ".bias"] - mean * scale)

    def act(self, x, name):
        return jnp.clip(x, 0, 6) if name == "relu6" else jax.nn.relu(x)

    def max_pool(self, x, kernel, stride, pad):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, kernel, kernel, 1),
                                 (1, stride, stride, 1), ((0, 0), (pad, pad), (pad, pad), (0, 0)))

    def classifier(self, x, name, classes):
        x = x.mean((1, 2))
        return x @ self.params[name + ".weight"].T + self.params[name + ".bias"]


def cross_entropy(logits, label):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], 1).mean()


class JaxPeer:
    version = "jax " + jax.__version__

    def warm_up(self):
        jax.jit(lambda x: x @ x)(jnp.ones((4, 4))).block_until_ready()

    def setup(self, setup):
        image, label = (jnp.asarray(array) for array in common.read_inputs(setup))
        params = common.read_safetensors(setup["weights"])
        train = setup["batch_norm"] == "train"
        forward = models.MODELS[setup["model"]]
        move = {name for name in params if train and ".running_" in name} | set(setup["trainable"])
        moving, frozen = {}, {}
        for name, array in params.items():
            value = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
            (moving if name in move else frozen)[name] = jnp.asarray(np.ascontiguousarray(value))
        lr = setup["lr"]

        def loss(learned, moving, frozen):
            net = JaxNet({**frozen, **moving, **learned}, train)
            return cross_entropy(forward(net, image), label), net.statistics

        def step(moving, frozen):
            learned = {name: moving[name] for name in setup["trainable"]}
            (value, statistics), grads = jax.value_and_grad(loss, has_aux=True)(learned, moving,
                                                                              frozen)
            learned = {name: learned[name] - lr * grads[name] for name in learned}
            return {**statistics, **learned}, value

        self.moving, self.frozen = moving, frozen
        self.jitted = jax.jit(step, donate_argnums=0)

    def step(self):
        self.moving, loss = self.jitted(self.moving, self.frozen)
        return float(loss.block_until_ready())

    def params(self):
        values = {name: np.asarray(v) for name, v in {**self.moving, **self.frozen}.items()}
        return {name: v.transpose(3, 2, 0, 1) if v.ndim == 4 else v for name, v in values.items()}


if __name__ == "__main__":
    common.serve(JaxPeer())
