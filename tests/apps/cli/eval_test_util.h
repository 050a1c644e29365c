// Grey pictures and a network that tells them apart without training, so that answers are known.
#pragma once

#include <string>
#include <vector>

#include "frontends/weights/safetensors.h"
#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {

inline constexpr int kGreyClasses = 3;
inline constexpr int kGreySide = 4;
inline constexpr const char* kGreyNames[] = {"ant", "bee", "cat"};

// From 0 (black) to 255.
inline int GreyLevel(int label) { return 40 + 80 * label; }

// Weights of an mlp that answers `label` best where the mean of the pixels, in 0 to 1, is near that
// class's level m: of 400 (2 m x - m^2) the largest is that of the nearest m.
inline std::vector<SafetensorsTensor> GreyTensors() {
  constexpr int64_t kInputs = kGreySide * kGreySide;
  const auto zeros = [](const std::string& name, std::vector<int64_t> shape) {
    int64_t elems = 1;
    for (const int64_t dim : shape) elems *= dim;
    return SafetensorsTensor{name, std::move(shape), std::vector<float>(size_t(elems), 0.0f)};
  };
  std::vector<SafetensorsTensor> tensors = {zeros("layers.0.weight", {256, kInputs}),
                                            zeros("layers.0.bias", {256}),
                                            zeros("layers.1.weight", {128, 256}),
                                            zeros("layers.1.bias", {128}),
                                            zeros("classifier.weight", {kGreyClasses, 128}),
                                            zeros("classifier.bias", {kGreyClasses})};
  for (int64_t i = 0; i < kInputs; ++i) tensors[0].values[size_t(i)] = 1.0f / kInputs;
  tensors[2].values[0] = 1;
  for (int label = 0; label < kGreyClasses; ++label) {
    const float level = float(GreyLevel(label)) / 255;
    tensors[4].values[size_t(label) * 128] = 800 * level;
    tensors[5].values[size_t(label)] = -400 * level * level;
  }
  return tensors;
}

// `count` pictures of the class's grey below `folder`; they are taken for that class wherever they
// lie.
inline void WriteGrey(const std::string& folder, int label, int count) {
  data::Image image;
  image.Reset(kGreySide, kGreySide, 1);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t(GreyLevel(label)));
  for (int i = 0; i < count; ++i) {
    data::WriteFile(folder + "/" + std::to_string(i) + ".png", data::EncodePng(image));
  }
}

// The model's flags but --checkpoint or --model.
inline std::vector<std::string> GreyFlags() {
  return {"--resolution", std::to_string(kGreySide), "--input-channels", "1", "--threads", "1"};
}

inline std::vector<std::string> Plus(std::vector<std::string> args,
                                     const std::vector<std::string>& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

}  // namespace pocketune::test
