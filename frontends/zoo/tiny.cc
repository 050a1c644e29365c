// The smallest models: MLPerf Tiny's keyword spotter and autoencoder, and two for a first try.
#include <string>

#include "frontends/zoo/models.h"
#include "frontends/zoo/net_builder.h"

namespace pocketune {

absl::StatusOr<Graph> BuildDsCnn(const ModelSpec& spec) {
  NetBuilder net(spec, 1e-3);
  Tensor x = net.Image(49, 10, spec.input_channels);
  x = net.Conv(x, {.name = "stem.conv",
                   .norm = "stem.bn",
                   .out = 64,
                   .kernel = {10, 4},
                   .stride = 2,
                   .padding = Padding::kSame,
                   .act = Activation::kRelu});
  for (int i = 0; i < 4; ++i) {
    net.NextBlock();
    const std::string prefix = "blocks." + std::to_string(i);
    x = net.Depthwise(x, {.name = prefix + ".depthwise",
                          .norm = prefix + ".depthwise_bn",
                          .kernel = {3, 3},
                          .padding = Padding::kSame,
                          .act = Activation::kRelu});
    x = net.Conv(x, {.name = prefix + ".pointwise",
                     .norm = prefix + ".pointwise_bn",
                     .out = 64,
                     .act = Activation::kRelu});
  }
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "classifier"));
}

// 640-128-128-128-128-8-128-128-128-128-640. The last layer stands for the classifier.
absl::StatusOr<Graph> BuildAdAutoencoder(const ModelSpec& spec) {
  static constexpr int kHidden[] = {128, 128, 128, 128, 8, 128, 128, 128, 128};
  NetBuilder net(spec, 1e-3);
  Tensor x = net.Flatten(net.Image(1, 1, spec.input_channels));
  int layer = 0;
  for (int width : kHidden) {
    net.NextBlock();
    const std::string name = "layers." + std::to_string(layer++);
    x = net.Linear(x, name, width, name + "_bn", Activation::kRelu);
  }
  return net.Finish(net.Classifier(x, "output"));
}

absl::StatusOr<Graph> BuildMlp(const ModelSpec& spec) {
  NetBuilder net(spec, 1e-5);
  Tensor x = net.Flatten(net.Image(spec.resolution, spec.resolution, spec.input_channels));
  for (int i = 0; i < 2; ++i) {
    net.NextBlock();
    x = net.Linear(x, "layers." + std::to_string(i), i == 0 ? 256 : 128, "", Activation::kRelu);
  }
  return net.Finish(net.Classifier(x, "classifier"));
}

absl::StatusOr<Graph> BuildSmallCnn(const ModelSpec& spec) {
  static constexpr int kChannels[] = {32, 64, 64};
  NetBuilder net(spec, 1e-5);
  Tensor x = net.Image(spec.resolution, spec.resolution, spec.input_channels);
  x = net.Conv(x, {.name = "stem.conv",
                   .norm = "stem.bn",
                   .out = 16,
                   .kernel = {3, 3},
                   .act = Activation::kRelu});
  x = net.MaxPool(x, 2, 2);
  for (int i = 0; i < 3; ++i) {
    net.NextBlock();
    const std::string prefix = "blocks." + std::to_string(i);
    x = net.Conv(x, {.name = prefix + ".conv",
                     .norm = prefix + ".bn",
                     .out = kChannels[i],
                     .kernel = {3, 3},
                     .act = Activation::kRelu});
    if (i == 0) x = net.MaxPool(x, 2, 2);
  }
  return net.Finish(net.Classifier(net.GlobalAveragePool(x), "classifier"));
}

}  // namespace pocketune
