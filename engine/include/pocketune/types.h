// Element types, shapes and views: the words that every module shares.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace pocketune {

// Types of elements, in the byte order of the machine. The numbers stand in plans and checkpoints.
enum class DType : uint8_t {
  kF32 = 0,  // what plans compute in
  kF64 = 1,  // of tests and of the reference kernels alone
  kI32 = 2,  // labels and indices
  kU8 = 3,   // packed bits, and values kept in fewer bits
};

// Bytes of an element.
constexpr int64_t SizeOf(DType t) {
  switch (t) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF64:
      return 8;
    case DType::kU8:
      return 1;
  }
  return 0;
}

// As the text form of graphs writes it; a literal.
constexpr const char* NameOf(DType t) {
  switch (t) {
    case DType::kF32:
      return "f32";
    case DType::kF64:
      return "f64";
    case DType::kI32:
      return "i32";
    case DType::kU8:
      return "u8";
  }
  return "?";
}

// What an input or an output of a plan is for, whatever it is called. Inputs have one of the first
// three roles, outputs one of the others.
enum class PortRole : uint8_t {
  kData,          // a sample's own values: pixels, tokens, readings
  kLabel,         // what the loss compares answers with: a class, a target
  kSampleWeight,  // f32[N]: 1 for a sample, 0 for a place of the batch that stays empty
  kPrediction,    // the answers that learn: of classes their logarithms of odds
  kLoss,          // the number that training makes smaller
  kOther          // whatever else a prediction computes
};

// How the dimensions of a parameter stand here and in files of PyTorch's weights.
enum class ParamLayout : uint8_t {
  kRows,       // the same in both, of any rank
  kConv,       // a convolution's filter: [out, height, width, in] here, [out, in, height, width]
  kDepthwise,  // a depthwise one's: [height, width, channels] here, [channels, 1, height, width]
};

// Up to six non-negative dimensions, outermost first. Rank 0 is a scalar with one element.
// Activations are NHWC, linear weights [out, in]; filters have a ParamLayout.
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  // A scalar's.
  constexpr Shape() = default;
  // At most kMaxRank dimensions.
  constexpr Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) dims_[rank_++] = d;
  }
  // Takes at most kMaxRank dimensions; the rest is dropped.
  explicit constexpr Shape(std::span<const int64_t> dims) {
    for (int64_t d : dims) {
      if (rank_ < kMaxRank) dims_[rank_++] = d;
    }
  }

  constexpr int rank() const { return rank_; }
  // Dimension i in [-rank, rank); -1 is the innermost one.
  constexpr int64_t operator[](int i) const { return dims_[i < 0 ? i + rank_ : i]; }
  constexpr int64_t& operator[](int i) { return dims_[i < 0 ? i + rank_ : i]; }
  // Points into this shape and lives as long.
  constexpr std::span<const int64_t> dims() const { return {dims_.data(), size_t(rank_)}; }
  // Number of elements. The verifier has checked that it does not overflow.
  constexpr int64_t elems() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  // Behind the others; the rank is below kMaxRank.
  constexpr void Append(int64_t d) { dims_[rank_++] = d; }
  // The same rank and the same dimensions.
  friend constexpr bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a.dims_[i] != b.dims_[i]) return false;
    }
    return true;
  }

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int32_t rank_ = 0;
};

// A typed pointer into memory that somebody else owns, whose elements lie in row-major order
// without gaps, aligned to an element at least. Copying it copies no element. `data == nullptr`
// says "absent": an optional operand that was not given, or a result that nobody reads.
struct TensorView {
  void* data = nullptr;
  Shape shape;
  DType dtype = DType::kF32;

  // Of all elements.
  int64_t bytes() const { return shape.elems() * SizeOf(dtype); }
  // T is the type that `dtype` names; nothing checks it.
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

}  // namespace pocketune
