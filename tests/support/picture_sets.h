// A small set of pictures that a small network learns within a few epochs.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/rng.h"
#include "tests/apps/data/data_test_util.h"

namespace pocketune::test {

// Grey pictures of 28x28 with a bright bar at the height of their class, of `classes` <= 4, in
// noise.
inline void WriteIdxSplit(const std::string& prefix, int count, int classes, uint64_t seed) {
  data::Bytes pixels = data::Noise(size_t(count) * 28 * 28, seed), labels;
  for (int i = 0; i < count; ++i) {
    const int label = i % classes;
    labels.push_back(uint8_t(label));
    for (int y = 0; y < 28; ++y) {
      const bool bar = y / 6 == label;
      for (int x = 0; x < 28; ++x) {
        uint8_t& pixel = pixels[(size_t(i) * 28 + y) * 28 + x];
        pixel = uint8_t(pixel / 4 + (bar ? 160 : 0));
      }
    }
  }
  data::WriteFile(prefix + "-images-idx3-ubyte",
                  data::MakeIdx(0x803, {uint32_t(count), 28, 28}, pixels));
  data::WriteFile(prefix + "-labels-idx1-ubyte", data::MakeIdx(0x801, {uint32_t(count)}, labels));
}

// An IDX folder of `train` and 20 test pictures in three classes.
inline void WriteIdxFolder(const std::string& folder, int train = 53) {
  WriteIdxSplit(folder + "/train", train, 3, 1);
  WriteIdxSplit(folder + "/t10k", 20, 3, 2);
}

}  // namespace pocketune::test
