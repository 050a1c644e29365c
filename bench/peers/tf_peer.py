#!/usr/bin/env python3
"""TensorFlow: the step as one tf.function graph, NHWC."""

import numpy as np
import tensorflow as tf

import common
import models


class TfNet:
    """Layers in NHWC, filters HWIO. With `train`, updates running statistics."""

    def __init__(self, params, train):
        self.params = params
        self.train = train

    def channels(self, x):
        return x.shape[-1]

    def conv(self, x, name, norm, out, kernel=(1, 1), stride=1, act=None):
        (top, bottom), (left, right) = (models.pads(x.shape[1 + i], kernel[i], stride, self.same)
                                        for i in (0, 1))
        whole = stride == 1 or self.same  # TensorFlow's SAME is this padding
        if not whole and (top or left):
            x = tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]])
        padding = "SAME" if whole else "VALID"
        weight = self.params[name + ".weight"]
        if out is None:
            weight = tf.reshape(weight, [*kernel, -1, 1])  # from [.., 1, C]
            x = tf.nn.depthwise_conv2d(x, weight, [1, stride, stride, 1], padding)
        else:
            x = tf.nn.conv2d(x, weight, stride, padding)
        x = self.batch_norm(x, norm)
        return self.act(x, act) if act else x

    def batch_norm(self, x, name):
        mean, var = (self.params[f"{name}.running_{what}"] for what in ("mean", "var"))
        scale, shift = self.params[name + ".weight"], self.params[name + ".bias"]
        if not self.train:
            return tf.compat.v1.nn.fused_batch_norm(x, scale, shift, mean, var, self.eps,
                                                    is_training=False)[0]
        x, batch_mean, batch_var = tf.compat.v1.nn.fused_batch_norm(
            x, scale, shift, epsilon=self.eps, is_training=True)
        mean.assign_sub(0.1 * (mean - batch_mean))
        var.assign_sub(0.1 * (var - batch_var))  # the kernel's is the unbiased one
        return x

    def act(self, x, name):
        return tf.nn.relu6(x) if name == "relu6" else tf.nn.relu(x)

    def max_pool(self, x, kernel, stride, pad):
        return tf.nn.max_pool2d(x, kernel, stride, [[0, 0], [pad, pad], [pad, pad], [0, 0]])

    def classifier(self, x, name, classes):
        x = tf.reduce_mean(x, (1, 2))
        return tf.matmul(x, self.params[name + ".weight"], transpose_b=True) \
            + self.params[name + ".bias"]


class TfPeer:
    version = "tensorflow " + tf.__version__

    def warm_up(self):
        tf.config.threading.set_inter_op_parallelism_threads(1)

    def setup(self, setup):
        tf.config.threading.set_intra_op_parallelism_threads(setup["threads"])
        image, label = (tf.constant(array) for array in common.read_inputs(setup))
        train = setup["batch_norm"] == "train"
        forward = models.MODELS[setup["model"]]
        values = {}
        for name, array in common.read_safetensors(setup["weights"]).items():
            if array.ndim == 4:
                array = np.ascontiguousarray(array.transpose(2, 3, 1, 0))
            moves = name in setup["trainable"] or (train and ".running_" in name)
            values[name] = tf.Variable(array) if moves else tf.constant(array)
        learned = [values[name] for name in setup["trainable"]]
        self.values = values

        @tf.function
        def step():
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(learned)
                logits = forward(TfNet(values, train), image)
                loss = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits))
            for value, grad in zip(learned, tape.gradient(loss, learned)):
                value.assign_sub(setup["lr"] * grad)
            return loss

        self.graph = step

    def step(self):
        return float(self.graph().numpy())

    def params(self):
        arrays = {name: value.numpy() for name, value in self.values.items()}
        return {name: a.transpose(3, 2, 0, 1) if a.ndim == 4 else a for name, a in arrays.items()}


if __name__ == "__main__":
    common.serve(TfPeer())
