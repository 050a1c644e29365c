#include "engine/base/rng.h"

#include <cmath>
#include <numbers>

namespace pocketune {

double RandomStream::Normal(uint64_t i) const {
  const std::array<uint32_t, 4> words = Philox(seed_, stream_, i / 2);
  const size_t first = 2 * (i % 2);
  // (0, 1], so that the logarithm is finite.
  const double u = (double(words[first]) + 1.0) * 0x1p-32;
  const double v = double(words[first + 1]) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace pocketune
