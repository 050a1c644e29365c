// EfficientNet-Lite (Google, 2020): EfficientNet (Tan and Le, ICML 2019) without squeeze-excite and
// with ReLU6. Names are those of the published PyTorch weights.
#include <cmath>
#include <string>

#include "frontends/zoo/models.h"
#include "frontends/zoo/net_builder.h"

namespace pocketune {
namespace {

struct Scaling {
  const char* name;
  double width;
  double depth;
};

constexpr Scaling kScalings[] = {{"efficientnet_lite0", 1.0, 1.0},
                                 {"efficientnet_lite1", 1.0, 1.1},
                                 {"efficientnet_lite2", 1.1, 1.2}};

const Scaling& ScalingOf(const std::string& name) {
  for (const Scaling& scaling : kScalings) {
    if (name == scaling.name) return scaling;
  }
  return kScalings[0];  // not reached: the zoo lists no other name
}

struct Row {
  int expand, channels, repeat, stride, kernel;
};

constexpr Row kRows[] = {{1, 16, 1, 1, 3},  {6, 24, 2, 2, 3},  {6, 40, 2, 2, 5}, {6, 80, 3, 2, 3},
                         {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5}, {6, 320, 1, 1, 3}};

Tensor Block(NetBuilder& net, Tensor x, const std::string& prefix, const Row& row, int64_t out,
             int stride) {
  const Tensor input = x;
  const int64_t in = net.channels(x);
  if (row.expand != 1) {
    x = net.Conv(x, {.name = prefix + "._expand_conv",
                     .norm = prefix + "._bn0",
                     .out = in * row.expand,
                     .act = Activation::kRelu6});
  }
  x = net.Depthwise(x, {.name = prefix + "._depthwise_conv",
                        .norm = prefix + "._bn1",
                        .kernel = {row.kernel, row.kernel},
                        .stride = stride,
                        .padding = Padding::kSame,
                        .act = Activation::kRelu6});
  x = net.Conv(x, {.name = prefix + "._project_conv", .norm = prefix + "._bn2", .out = out});
  return stride == 1 && in == out ? net.Add(input, x) : x;
}

}  // namespace

absl::StatusOr<Graph> BuildEfficientNetLite(const ModelSpec& spec) {
  const Scaling& scaling = ScalingOf(spec.name);
  NetBuilder net(spec, 1e-3);
  Tensor x = net.Image(spec.resolution, spec.resolution, spec.input_channels);
  x = net.Conv(x, {.name = "_conv_stem",
                   .norm = "_bn0",
                   .out = 32,
                   .kernel = {3, 3},
                   .stride = 2,
                   .padding = Padding::kSame,
                   .act = Activation::kRelu6});
  int block = 0;
  for (const Row& row : kRows) {
    // Stem, head and the depths of the first and the last stage are not scaled.
    const bool scaled = &row != std::begin(kRows) && &row + 1 != std::end(kRows);
    const int repeat =
        scaled ? static_cast<int>(std::ceil(row.repeat * scaling.depth)) : row.repeat;
    for (int i = 0; i < repeat; ++i) {
      net.NextBlock();
      x = Block(net, x, "_blocks." + std::to_string(block++), row,
                MakeDivisible(row.channels * scaling.width), i == 0 ? row.stride : 1);
    }
  }
  net.EnterTail();
  x = net.Conv(x, {.name = "_conv_head", .norm = "_bn1", .out = 1280, .act = Activation::kRelu6});
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "_fc"));
}

}  // namespace pocketune
