// MobileNetV1 (Howard et al., 2017, table 1) and MobileNetV2 (Sandler et al., CVPR 2018, table 2).
#include <string>

#include "frontends/zoo/models.h"
#include "frontends/zoo/net_builder.h"

namespace pocketune {
namespace {

// One inverted residual under torchvision's names: "features.N.conv.*".
Tensor InvertedResidual(NetBuilder& net, Tensor x, const std::string& prefix, int expand,
                        int64_t out, int stride) {
  const Tensor input = x;
  const int64_t in = net.channels(x);
  int index = 0;
  const auto sub = [&](int i) { return prefix + ".conv." + std::to_string(i); };
  if (expand != 1) {
    x = net.Conv(x, {.name = sub(0) + ".0",
                     .norm = sub(0) + ".1",
                     .out = in * expand,
                     .act = Activation::kRelu6});
    ++index;
  }
  x = net.Depthwise(x, {.name = sub(index) + ".0",
                        .norm = sub(index) + ".1",
                        .kernel = {3, 3},
                        .stride = stride,
                        .act = Activation::kRelu6});
  x = net.Conv(x, {.name = sub(index + 1), .norm = sub(index + 2), .out = out});
  return stride == 1 && in == out ? net.Add(input, x) : x;
}

}  // namespace

absl::StatusOr<Graph> BuildMobileNetV2(const ModelSpec& spec) {
  struct Row {
    int expand, channels, repeat, stride;
  };
  static constexpr Row kRows[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  NetBuilder net(spec, 1e-5);
  Tensor x = net.Image(spec.resolution, spec.resolution, spec.input_channels);
  x = net.Conv(x, {.name = "features.0.0",
                   .norm = "features.0.1",
                   .out = MakeDivisible(32 * spec.width),
                   .kernel = {3, 3},
                   .stride = 2,
                   .act = Activation::kRelu6});
  int feature = 1;
  for (const Row& row : kRows) {
    for (int i = 0; i < row.repeat; ++i) {
      net.NextBlock();
      x = InvertedResidual(net, x, "features." + std::to_string(feature++), row.expand,
                           MakeDivisible(row.channels * spec.width), i == 0 ? row.stride : 1);
    }
  }
  net.EnterTail();
  x = net.Conv(x, {.name = "features.18.0",
                   .norm = "features.18.1",
                   .out = MakeDivisible(1280 * std::max(1.0, spec.width)),
                   .act = Activation::kRelu6});
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "classifier.1"));
}

absl::StatusOr<Graph> BuildMobileNetV1(const ModelSpec& spec) {
  struct Row {
    int channels, stride;
  };
  static constexpr Row kRows[] = {{64, 1},  {128, 2},  {128, 1}, {256, 2}, {256, 1},
                                  {512, 2}, {512, 1},  {512, 1}, {512, 1}, {512, 1},
                                  {512, 1}, {1024, 2}, {1024, 1}};
  const auto scaled = [&](int channels) {
    return std::max<int64_t>(1, static_cast<int64_t>(channels * spec.width));
  };
  NetBuilder net(spec, 1e-3);
  Tensor x = net.Image(spec.resolution, spec.resolution, spec.input_channels);
  x = net.Conv(x, {.name = "stem.conv",
                   .norm = "stem.bn",
                   .out = scaled(32),
                   .kernel = {3, 3},
                   .stride = 2,
                   .padding = Padding::kSame,
                   .act = Activation::kRelu});
  int block = 0;
  for (const Row& row : kRows) {
    net.NextBlock();
    const std::string prefix = "blocks." + std::to_string(block++);
    x = net.Depthwise(x, {.name = prefix + ".depthwise",
                          .norm = prefix + ".depthwise_bn",
                          .kernel = {3, 3},
                          .stride = row.stride,
                          .padding = Padding::kSame,
                          .act = Activation::kRelu});
    x = net.Conv(x, {.name = prefix + ".pointwise",
                     .norm = prefix + ".pointwise_bn",
                     .out = scaled(row.channels),
                     .act = Activation::kRelu});
  }
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "classifier"));
}

}  // namespace pocketune
