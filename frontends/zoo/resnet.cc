// ResNets (He et al., CVPR 2016): torchvision's 18 and 50 (stride on the 3x3), MLPerf Tiny's 8.
#include <string>

#include "frontends/zoo/models.h"
#include "frontends/zoo/net_builder.h"

namespace pocketune {
namespace {

struct BlockShape {
  std::string prefix;
  int64_t width;  // of the 3x3 convolutions
  int64_t out;
  int stride;
};

Tensor Shortcut(NetBuilder& net, Tensor x, const BlockShape& b) {
  if (b.stride == 1 && net.channels(x) == b.out) return x;
  return net.Conv(x, {.name = b.prefix + ".downsample.0",
                      .norm = b.prefix + ".downsample.1",
                      .out = b.out,
                      .stride = b.stride});
}

Tensor BasicBlock(NetBuilder& net, Tensor x, const BlockShape& b) {
  Tensor y = net.Conv(x, {.name = b.prefix + ".conv1",
                          .norm = b.prefix + ".bn1",
                          .out = b.width,
                          .kernel = {3, 3},
                          .stride = b.stride,
                          .act = Activation::kRelu});
  y = net.Conv(
      y, {.name = b.prefix + ".conv2", .norm = b.prefix + ".bn2", .out = b.out, .kernel = {3, 3}});
  return net.Activate(net.Add(y, Shortcut(net, x, b)), Activation::kRelu);
}

Tensor Bottleneck(NetBuilder& net, Tensor x, const BlockShape& b) {
  Tensor y = net.Conv(x, {.name = b.prefix + ".conv1",
                          .norm = b.prefix + ".bn1",
                          .out = b.width,
                          .act = Activation::kRelu});
  y = net.Conv(y, {.name = b.prefix + ".conv2",
                   .norm = b.prefix + ".bn2",
                   .out = b.width,
                   .kernel = {3, 3},
                   .stride = b.stride,
                   .act = Activation::kRelu});
  y = net.Conv(y, {.name = b.prefix + ".conv3", .norm = b.prefix + ".bn3", .out = b.out});
  return net.Activate(net.Add(y, Shortcut(net, x, b)), Activation::kRelu);
}

absl::StatusOr<Graph> BuildResNet(const ModelSpec& spec, const int (&depths)[4], int expansion,
                                  Tensor (*block)(NetBuilder&, Tensor, const BlockShape&)) {
  NetBuilder net(spec, 1e-5);
  Tensor x = net.Image(spec.resolution, spec.resolution, spec.input_channels);
  x = net.Conv(x, {.name = "conv1",
                   .norm = "bn1",
                   .out = 64,
                   .kernel = {7, 7},
                   .stride = 2,
                   .act = Activation::kRelu});
  x = net.MaxPool(x, 3, 2, 1);
  for (int layer = 0; layer < 4; ++layer) {
    const int64_t width = int64_t{64} << layer;
    for (int i = 0; i < depths[layer]; ++i) {
      net.NextBlock();
      x = block(net, x,
                {"layer" + std::to_string(layer + 1) + "." + std::to_string(i), width,
                 width * expansion, i == 0 && layer > 0 ? 2 : 1});
    }
  }
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "fc"));
}

}  // namespace

absl::StatusOr<Graph> BuildResNet18(const ModelSpec& spec) {
  return BuildResNet(spec, {2, 2, 2, 2}, 1, BasicBlock);
}

absl::StatusOr<Graph> BuildResNet50(const ModelSpec& spec) {
  return BuildResNet(spec, {3, 4, 6, 3}, 4, Bottleneck);
}

// TensorFlow SAME padding; the 1x1 shortcuts have a bias and no batch norm.
absl::StatusOr<Graph> BuildResNet8(const ModelSpec& spec) {
  NetBuilder net(spec, 1e-3);
  Tensor x = net.Image(spec.resolution, spec.resolution, spec.input_channels);
  const auto conv = [&](Tensor in, const std::string& name, int64_t out, int stride,
                        Activation act) {
    return net.Conv(in, {.name = name,
                         .norm = name + "_bn",
                         .out = out,
                         .kernel = {3, 3},
                         .stride = stride,
                         .padding = Padding::kSame,
                         .act = act});
  };
  x = conv(x, "stem", 16, 1, Activation::kRelu);
  for (int stack = 0; stack < 3; ++stack) {
    net.NextBlock();
    const std::string prefix = "stack" + std::to_string(stack + 1);
    const int64_t out = int64_t{16} << stack;
    const int stride = stack == 0 ? 1 : 2;
    Tensor y = conv(x, prefix + ".conv1", out, stride, Activation::kRelu);
    y = conv(y, prefix + ".conv2", out, 1, Activation::kNone);
    if (stride != 1) {
      x = net.Conv(
          x,
          {.name = prefix + ".shortcut", .out = out, .stride = stride, .padding = Padding::kSame});
    }
    x = net.Activate(net.Add(x, y), Activation::kRelu);
  }
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "classifier"));
}

}  // namespace pocketune
