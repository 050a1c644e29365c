// A tensor that owns its memory, for tests of kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/math.h"
#include "engine/base/pages.h"
#include "engine/base/rng.h"
#include "engine/ops/op_info.h"
#include "pocketune/types.h"

namespace pocketune::test {

// Bytes on a 64-byte boundary, all 0xFF at first: NaN in f32 and f64, -1 in i32. Behind the last
// byte lies a guard of at least 64 bytes more, which a kernel may read but must not write.
class AlignedBytes {
 public:
  explicit AlignedBytes(int64_t bytes = 0) : size_(bytes) {
    const auto blocks = size_t(AlignUp(bytes) / kAlignment + 1);
    blocks_.reserve(blocks);
    UseHugePages(blocks_.data(), int64_t(blocks * sizeof(Block)));  // as in an arena
    blocks_.resize(blocks);
    Poison();
  }

  void Poison() { std::memset(blocks_.data(), 0xFF, blocks_.size() * sizeof(Block)); }
  uint8_t* data() { return blocks_[0].bytes; }
  const uint8_t* data() const { return blocks_[0].bytes; }
  int64_t size() const { return size_; }
  bool GuardIntact() const {
    return std::all_of(data() + size_, data() + int64_t(blocks_.size()) * kAlignment,
                       [](uint8_t b) { return b == 0xFF; });
  }

 private:
  struct alignas(kAlignment) Block {
    uint8_t bytes[kAlignment];
  };
  int64_t size_;
  std::vector<Block> blocks_;
};

class TensorData {
 public:
  TensorData() : TensorData(TensorType{}) {}
  explicit TensorData(const TensorType& type)
      : type_(type), bytes_(type.shape.elems() * SizeOf(type.dtype)) {}
  // `values` in row-major order, one per element, rounded to the element type.
  TensorData(const Shape& shape, const std::vector<double>& values, DType dtype = DType::kF32)
      : TensorData(TensorType{shape, dtype}) {
    for (int64_t i = 0; i < elems(); ++i) Set(i, values.at(size_t(i)));
  }

  // Uniform in [lo, hi), element i from element i of the stream called `name`.
  static TensorData Uniform(const TensorType& type, std::string_view name, double lo = -1,
                            double hi = 1) {
    TensorData tensor(type);
    const RandomStream random(1, name);
    for (int64_t i = 0; i < tensor.elems(); ++i) {
      tensor.Set(i, lo + (hi - lo) * double{random.Uniform(uint64_t(i))});
    }
    return tensor;
  }

  const TensorType& type() const { return type_; }
  const Shape& shape() const { return type_.shape; }
  int64_t elems() const { return type_.shape.elems(); }
  AlignedBytes& bytes() { return bytes_; }
  const AlignedBytes& bytes() const { return bytes_; }
  // Kernels take operands and results alike; nobody writes through the view of an operand.
  TensorView view() const {
    return {const_cast<uint8_t*>(bytes_.data()), type_.shape, type_.dtype};
  }

  double operator[](int64_t i) const {
    switch (type_.dtype) {
      case DType::kF32:
        return double{Load<float>(i)};
      case DType::kF64:
        return Load<double>(i);
      case DType::kI32:
        return Load<int32_t>(i);
      case DType::kU8:
        return Load<uint8_t>(i);
    }
    return 0;
  }
  void Set(int64_t i, double value) {
    switch (type_.dtype) {
      case DType::kF32:
        return Write(i, float(value));
      case DType::kF64:
        return Write(i, value);
      case DType::kI32:
        return Write(i, int32_t(value));
      case DType::kU8:
        return Write(i, uint8_t(value));
    }
  }
  std::vector<double> Values() const {
    std::vector<double> values;
    for (int64_t i = 0; i < elems(); ++i) values.push_back((*this)[i]);
    return values;
  }
  // The same values, rounded to another element type.
  TensorData As(DType dtype) const { return TensorData(shape(), Values(), dtype); }

  // Same type and the same bits.
  friend bool operator==(const TensorData& a, const TensorData& b) {
    return a.type_ == b.type_ &&
           std::memcmp(a.bytes_.data(), b.bytes_.data(), size_t(a.bytes_.size())) == 0;
  }

 private:
  template <typename T>
  T Load(int64_t i) const {
    return reinterpret_cast<const T*>(bytes_.data())[i];
  }
  template <typename T>
  void Write(int64_t i, T value) {
    reinterpret_cast<T*>(bytes_.data())[i] = value;
  }

  TensorType type_;
  AlignedBytes bytes_;
};

// max|a - b| / max|b|, the project's measure of agreement; max|a| where b is all zeros; infinite
// where the shapes differ or a number is not finite.
inline double RelativeError(const TensorData& a, const TensorData& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  double difference = 0, scale = 0;
  for (int64_t i = 0; i < b.elems(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      return std::numeric_limits<double>::infinity();
    }
    difference = std::max(difference, std::abs(a[i] - b[i]));
    scale = std::max(scale, std::abs(b[i]));
  }
  return scale > 0 ? difference / scale : difference;
}

// Sum of a[i] b[i].
inline double InnerProduct(const TensorData& a, const TensorData& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.elems(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace pocketune::test
