// Values packed into 16 and 8 bits: how far they come back from what they were, at every
// instruction-set level, and that all levels write the reference's bytes.
#include "engine/ops/narrow.h"

#include <cmath>
#include <limits>
#include <string>

#include "backends/cpu/cpu_kernels.h"
#include "backends/reference/reference_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Channels of very different size: channel c times 4^(c % 9 - 4); some are all zeros.
TensorData Uneven(const Shape& shape) {
  TensorData x = TensorData::Uniform({shape}, "x", -3, 3);
  const int64_t channels = NarrowChannels(shape);
  for (int64_t i = 0; i < x.elems(); ++i) {
    const int64_t c = i % channels;
    x.Set(i, c % 11 == 10 ? 0.0 : x[i] * std::exp2(2 * (c % 9) - 8));
  }
  return x;
}

const Shape kShapes[] = {{},         {1},           {7},      {3, 5},
                         {131, 1},   {2, 9, 7, 19}, {67, 64}, {3, 41, 37, 24},
                         {70, 1031}, {40009, 3}};

class NarrowTest : public IsaTest {
 protected:
  TensorData Packed(const TensorData& x, int bits) {
    return cpu_.Run1(OpKind::kNarrow, {x}, NarrowAttrs{bits});
  }
  TensorData ThereAndBack(const TensorData& x, int bits) {
    return cpu_.Run1(OpKind::kWiden, {Packed(x, bits)}, WidenAttrs{bits, x.shape()});
  }

  KernelRunner cpu_{CpuKernels(), 2};
};

TEST_P(NarrowTest, SixteenBitsAreWithinHalfAUnitInTheEighthPlace) {
  for (const Shape& shape : kShapes) {
    const TensorData x = Uneven(shape), y = ThereAndBack(x, 16);
    for (int64_t i = 0; i < x.elems(); ++i) {
      ASSERT_LE(std::abs(y[i] - x[i]), std::exp2(-8) * std::abs(x[i])) << x[i];
    }
  }
}

TEST_P(NarrowTest, EightBitsAreWithinHalfA127thOfTheLargestInTheGroupsChannel) {
  for (const Shape& shape : kShapes) {
    const TensorData x = Uneven(shape), y = ThereAndBack(x, 8);
    const int64_t channels = NarrowChannels(shape), size = NarrowRows(channels) * channels;
    for (int64_t begin = 0; begin < x.elems(); begin += size) {
      const int64_t end = std::min(begin + size, x.elems());
      for (int64_t c = 0; c < channels; ++c) {
        double most = 0, furthest = 0;
        for (int64_t i = begin + c; i < end; i += channels) {
          most = std::max(most, std::abs(x[i]));
          furthest = std::max(furthest, std::abs(y[i] - x[i]));
        }
        ASSERT_LE(furthest, most / 254 * 1.0001) << "channel " << c;
      }
    }
  }
}

TEST_P(NarrowTest, BytesAreThoseOfTheReference) {
  KernelRunner reference(ReferenceKernels());
  for (const int bits : {16, 8}) {
    for (const Shape& shape : kShapes) {
      const TensorData x = Uneven(shape), packed = Packed(x, bits);
      EXPECT_TRUE(packed == reference.Run1(OpKind::kNarrow, {x}, NarrowAttrs{bits}));
      const WidenAttrs attrs{bits, shape};
      EXPECT_TRUE(cpu_.Run1(OpKind::kWiden, {packed}, attrs) ==
                  reference.Run1(OpKind::kWiden, {packed}, attrs));
    }
  }
}

TEST_P(NarrowTest, SixteenBitsKeepWhatIsNotFiniteAndRoundTiesToEven) {
  const TensorData x({8}, {kInf, -kInf, std::nan(""), -0.0, 1 + 0x1p-8, 1 + 0x3p-8, 3.3e38, 1e-40});
  const TensorData y = ThereAndBack(x, 16);
  EXPECT_EQ(y[0], kInf);
  EXPECT_EQ(y[1], -kInf);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_TRUE(std::signbit(y[3]) && y[3] == 0);
  EXPECT_EQ(y[4], 1);
  EXPECT_EQ(y[5], 1 + 0x1p-6);
  EXPECT_NEAR(y[6] / 3.3e38, 1, std::exp2(-9));
  EXPECT_NEAR(y[7], 1e-40, 1e-40);
}

TEST_P(NarrowTest, EightBitsMakeNaNOfAChannelThatIsNotFiniteAndLeaveTheOthers) {
  const TensorData x({2, 4}, {1, kInf, std::nan(""), 1e-38, -2, 1, 1, 1e-39});
  const TensorData y = ThereAndBack(x, 8);
  for (const int64_t row : {0, 4}) {
    EXPECT_NEAR(y[row], x[row], 2.0 / 254);
    EXPECT_TRUE(std::isnan(y[row + 1]));
    EXPECT_TRUE(std::isnan(y[row + 2]));
    EXPECT_EQ(y[row + 3], 0);  // below the least scale
  }
}

PT_INSTANTIATE_FOR_ISA_LEVELS(NarrowTest);

}  // namespace
}  // namespace pocketune::test
