"""The workloads' models, layer by layer, for any framework, under the engine's parameter names.

A `net` makes the layers: see TorchNet in torch_peer.py. Its convolutions are without bias where a
batch norm follows; `pads` says how they are padded.
"""


class Net:
    """For frameworks whose parameters are values in a dictionary: `params`.

    With `train`, `statistics` collects the new running ones.
    """

    channel_axis = -1

    def __init__(self, params, train):
        self.params, self.train = params, train
        self.statistics = {}

    def channels(self, x):
        return x.shape[self.channel_axis]

    def keep_statistics(self, name, count, mean, var):
        """Moves the running ones a tenth towards those of `count` values a channel."""
        for what, batch in (("mean", mean), ("var", var * (count / (count - 1)))):
            key = f"{name}.running_{what}"
            self.statistics[key] = 0.9 * self.params[key] + 0.1 * batch


def pads(size, kernel, stride, same):
    """Elements before and after one dimension: TensorFlow's SAME, or half the kernel."""
    if not same:
        return kernel // 2, kernel // 2
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def mobilenet_v2(net, x):
    net.eps, net.same = 1e-5, False
    x = net.conv(x, "features.0.0", "features.0.1", 32, (3, 3), 2, "relu6")
    feature = 1
    for expand, out, repeat, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2),
                                        (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                                        (6, 320, 1, 1)):
        for i in range(repeat):
            residual, prefix, at = x, f"features.{feature}.conv.", 0
            channels = net.channels(x)
            if expand != 1:
                x = net.conv(x, prefix + "0.0", prefix + "0.1", channels * expand, act="relu6")
                at = 1
            s = stride if i == 0 else 1
            x = net.conv(x, f"{prefix}{at}.0", f"{prefix}{at}.1", None, (3, 3), s, "relu6")
            x = net.conv(x, f"{prefix}{at + 1}", f"{prefix}{at + 2}", out)
            if s == 1 and channels == out:
                x = residual + x
            feature += 1
    x = net.conv(x, "features.18.0", "features.18.1", 1280, act="relu6")
    return net.classifier(x, "classifier.1", 1000)


# Kernel, middle channels, output channels, stride of each block.
MCUNET_5FPS = (
    (3, 16, 8, 1), (3, 32, 16, 2), (3, 48, 16, 1), (7, 48, 24, 2), (3, 120, 24, 1),
    (3, 120, 40, 2), (7, 160, 40, 1), (5, 160, 48, 1), (3, 144, 48, 1), (3, 192, 48, 1),
    (7, 240, 96, 2), (5, 384, 96, 1), (5, 384, 96, 1), (3, 576, 160, 1))
MBV2_W035 = (
    (3, 16, 8, 1), (3, 48, 8, 2), (3, 48, 8, 1), (3, 48, 16, 2), (3, 96, 16, 1), (3, 96, 16, 1),
    (3, 96, 24, 2), (3, 144, 24, 1), (3, 144, 24, 1), (3, 144, 24, 1), (3, 144, 32, 1),
    (3, 192, 32, 1), (3, 192, 32, 1), (3, 192, 56, 2), (3, 336, 56, 1), (3, 336, 56, 1),
    (3, 336, 112, 1))


def inverted_residuals(net, x, blocks):
    net.eps, net.same = 1e-5, False
    x = net.conv(x, "first_conv", "first_conv.bn", 16, (3, 3), 2, "relu6")
    for i, (kernel, mid, out, stride) in enumerate(blocks):
        residual, channels = x, net.channels(x)
        expand, depthwise, project = (f"blocks.{i}.{name}"
                                      for name in ("pointwise1", "depthwise", "pointwise2"))
        if i > 0:
            x = net.conv(x, expand, expand + ".bn", mid, act="relu6")
        x = net.conv(x, depthwise, depthwise + ".bn", None, (kernel, kernel), stride, "relu6")
        x = net.conv(x, project, project + ".bn", out)
        if i > 0 and stride == 1 and channels == out:
            x = residual + x
    return net.classifier(x, "classifier", 1000)


def resnet50(net, x):
    net.eps, net.same = 1e-5, False
    x = net.conv(x, "conv1", "bn1", 64, (7, 7), 2, "relu")
    x = net.max_pool(x, 3, 2, 1)
    for layer, depth in enumerate((3, 4, 6, 3), 1):
        width = 32 << layer
        for i in range(depth):
            prefix = f"layer{layer}.{i}."
            stride = 2 if i == 0 and layer > 1 else 1
            y = net.conv(x, prefix + "conv1", prefix + "bn1", width, act="relu")
            y = net.conv(y, prefix + "conv2", prefix + "bn2", width, (3, 3), stride, "relu")
            y = net.conv(y, prefix + "conv3", prefix + "bn3", 4 * width)
            if i == 0:
                x = net.conv(x, prefix + "downsample.0", prefix + "downsample.1", 4 * width,
                             stride=stride)
            x = net.act(x + y, "relu")
    return net.classifier(x, "fc", 1000)


def ds_cnn(net, x):
    net.eps, net.same = 1e-3, True
    x = net.conv(x, "stem.conv", "stem.bn", 64, (10, 4), 2, "relu")
    for i in range(4):
        prefix = f"blocks.{i}."
        x = net.conv(x, prefix + "depthwise", prefix + "depthwise_bn", None, (3, 3), act="relu")
        x = net.conv(x, prefix + "pointwise", prefix + "pointwise_bn", 64, act="relu")
    return net.classifier(x, "classifier", 12)


MODELS = {
    "ds-cnn": ds_cnn,
    "mbv2-w0.35": lambda net, x: inverted_residuals(net, x, MBV2_W035),
    "mcunet-5fps": lambda net, x: inverted_residuals(net, x, MCUNET_5FPS),
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
}
