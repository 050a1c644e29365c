// Values in 16 and 8 bits: float arithmetic throughout, whatever they are narrowed from, since the
// format says to the bit what comes out.
#include "engine/ops/narrow.h"

#include <bit>
#include <cstring>

#include "backends/reference/reference_ops.h"

namespace pocketune::reference {
namespace {

uint16_t ToBfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

float FromBfloat16(uint16_t x) { return std::bit_cast<float>(uint32_t{x} << 16); }

// What is not finite has no place among bytes: its scale alone tells.
int8_t ToByte(float x, float scale) {
  if (!(scale >= kLeastScale) || !std::isfinite(scale)) return 0;
  return static_cast<int8_t>(std::nearbyint(x * (1.0f / scale)));
}

// Largest magnitude of `n` values that lie `stride` apart; NaN beats all.
template <typename T>
float Magnitude(const T* x, int64_t n, int64_t stride) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float a = std::fabs(static_cast<float>(x[i * stride]));
    if (!(a <= most)) most = a;
    if (std::isnan(most)) break;
  }
  return most;
}

template <typename T>
void ToBytes(const Shape& shape, const T* x, uint8_t* packed) {
  const int64_t channels = NarrowChannels(shape), rows = shape.elems() / channels;
  float* scales = reinterpret_cast<float*>(packed);
  uint8_t* bytes = packed + NarrowGroups(shape) * channels * int64_t{sizeof(float)};
  for (int64_t row = 0; row < rows; row += NarrowRows(channels), scales += channels) {
    const int64_t count = std::min(NarrowRows(channels), rows - row);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t first = row * channels + c;
      scales[c] = Magnitude(x + first, count, channels) / kNarrowMax;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = first + i * channels;
        bytes[at] = static_cast<uint8_t>(ToByte(static_cast<float>(x[at]), scales[c]));
      }
    }
  }
}

void FromBytes(const Shape& shape, const uint8_t* packed, float* y) {
  const int64_t channels = NarrowChannels(shape);
  const float* scales = reinterpret_cast<const float*>(packed);
  const uint8_t* bytes = packed + NarrowGroups(shape) * channels * int64_t{sizeof(float)};
  for (int64_t i = 0; i < shape.elems(); ++i) {
    const int64_t group = i / channels / NarrowRows(channels);
    y[i] =
        static_cast<float>(static_cast<int8_t>(bytes[i])) * scales[group * channels + i % channels];
  }
}

}  // namespace

PT_REFERENCE(Narrow) {
  const Shape& shape = args.operands[0].shape;
  const T* x = In<T>(args, 0);
  if (args.Attr<NarrowAttrs>().bits == 8) return ToBytes(shape, x, Out<uint8_t>(args, 0));
  uint16_t* packed = Out<uint16_t>(args, 0);
  for (int64_t i = 0; i < shape.elems(); ++i) packed[i] = ToBfloat16(static_cast<float>(x[i]));
}

void RunWiden(const KernelArgs& args) {
  if (!AnyResult(args)) return;
  const Shape& shape = args.results[0].shape;
  float* y = Out<float>(args, 0);
  if (args.Attr<WidenAttrs>().bits == 8) return FromBytes(shape, In<uint8_t>(args, 0), y);
  const uint16_t* packed = In<uint16_t>(args, 0);
  for (int64_t i = 0; i < shape.elems(); ++i) y[i] = FromBfloat16(packed[i]);
}

}  // namespace pocketune::reference
