// Golden files of make_torch_golden.py: what PyTorch computes in double, and how far from it we
// are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/rng.h"

namespace pocketune::test {

// Element i from element i of the stream called `name`, rounded to f32.
inline std::vector<float> UniformData(uint64_t seed, std::string_view name, int64_t n, double low,
                                      double high) {
  const RandomStream stream(seed, name);
  std::vector<float> data(n);
  for (int64_t i = 0; i < n; ++i) {
    data[i] = static_cast<float>(low + (high - low) * double{stream.Uniform(i)});
  }
  return data;
}

// Classes in [0, limit).
inline std::vector<int32_t> LabelData(uint64_t seed, std::string_view name, int64_t n,
                                      uint32_t limit) {
  const RandomStream stream(seed, name);
  std::vector<int32_t> data(n);
  for (int64_t i = 0; i < n; ++i) data[i] = static_cast<int32_t>(stream.Below(i, limit));
  return data;
}

// The records of one file, and which of them have been compared. Not thread-safe.
class TorchGolden {
 public:
  // Reads tests/golden/torch/<name>.bin, made from `seed`; throws where there is none.
  TorchGolden(const std::string& name, uint64_t seed) : seed_(seed) {
    const std::string path = POCKETUNE_SOURCE_DIR "/tests/golden/torch/" + name + ".bin";
    std::ifstream in(path, std::ios::binary);
    for (std::string key; std::getline(in, key);) {
      Record& record = records_[key];
      in.read(reinterpret_cast<char*>(&record.elems), sizeof(record.elems));
      record.max = ReadNumber(in);
      record.norm = ReadNumber(in);
      record.dot = ReadNumber(in);
      const int64_t samples = std::min(record.elems, kSamples);
      for (int64_t i = 0; i < samples; ++i) record.samples.push_back(ReadNumber(in));
      if (!in) throw std::runtime_error(path + ": ends within a record");
      if (key.rfind("grad/", 0) == 0) largest_gradient_ = std::max(largest_gradient_, record.max);
    }
    if (records_.empty()) throw std::runtime_error(path + ": cannot be read");
  }

  uint64_t seed() const { return seed_; }

  // The largest of: difference of a sampled element and of the maximum, each over the largest
  // magnitude of the record; difference of the L2 norm and of the dot product, over the norm.
  // A gradient that is zero but for rounding is measured against the largest of all gradients.
  // Infinite where there is no such record, sizes differ or a number is not finite.
  double ErrorOf(const std::string& name, const std::vector<double>& values) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const auto found = records_.find(name);
    if (found == records_.end()) return kInfinity;
    const Record& want = found->second;
    const int64_t n = static_cast<int64_t>(values.size());
    if (n != want.elems) return kInfinity;
    compared_.insert(name);

    double max = 0, squares = 0, dot = 0;
    const std::vector<float> direction = UniformData(seed_, name + ".dot", n, -1, 1);
    for (int64_t i = 0; i < n; ++i) {
      if (!std::isfinite(values[i])) return kInfinity;
      max = std::max(max, std::abs(values[i]));
      squares += values[i] * values[i];
      dot += values[i] * double{direction[i]};
    }
    double difference = std::abs(max - want.max);
    const RandomStream at(seed_, name + ".at");
    for (size_t i = 0; i < want.samples.size(); ++i) {
      const uint32_t index = n > kSamples ? at.Below(i, static_cast<uint32_t>(n)) : i;
      difference = std::max(difference, std::abs(values[index] - want.samples[i]));
    }
    const double sums =
        std::max(std::abs(std::sqrt(squares) - want.norm), std::abs(dot - want.dot));
    if (want.max < kVanishes * largest_gradient_) {
      return std::max(difference, sums) / largest_gradient_;
    }
    return std::max(difference / want.max, sums / want.norm);
  }

  // Names that nobody has compared yet.
  std::vector<std::string> Remaining() const {
    std::vector<std::string> names;
    for (const auto& [name, record] : records_) {
      if (compared_.count(name) == 0) names.push_back(name);
    }
    return names;
  }

 private:
  static constexpr int64_t kSamples = 64;
  // Of the largest gradient: below it, a gradient is rounding alone. With batch statistics, that of
  // a shift is so whose readers are all 1x1 convolutions before another batch norm.
  static constexpr double kVanishes = 1e-12;

  struct Record {
    int64_t elems = 0;
    double max = 0, norm = 0, dot = 0;
    std::vector<double> samples;
  };

  static double ReadNumber(std::istream& in) {
    double number = 0;
    in.read(reinterpret_cast<char*>(&number), sizeof(number));
    return number;
  }

  uint64_t seed_;
  std::map<std::string, Record> records_;
  std::set<std::string> compared_;
  double largest_gradient_ = 0;
};

}  // namespace pocketune::test
