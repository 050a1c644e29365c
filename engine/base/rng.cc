#include "engine/base/rng.h"

#include <cmath>
#include <numbers>

namespace pocketune {

double RandomStream::Normal(uint64_t i) const {
  // (0, 1], so that the logarithm is finite.
  const double u = (double(Bits(2 * i)) + 1.0) * 0x1p-32;
  const double v = double(Bits(2 * i + 1)) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace pocketune
