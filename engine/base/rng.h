// Counter-based random numbers: the same (key, counter) gives the same bits on any machine, any
// thread, in any order. Philox4x32-10 of Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC 2011, section 4.3.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace pocketune {

// FNV-1a, 64 bit: turns a tensor's name into a stream number.
constexpr uint64_t HashName(std::string_view name) {
  uint64_t h = 14695981039346656037ull;
  for (char c : name) h = (h ^ static_cast<uint8_t>(c)) * 1099511628211ull;
  return h;
}

// Four words from a 64-bit key and a 128-bit counter (stream, block).
constexpr std::array<uint32_t, 4> Philox(uint64_t key, uint64_t stream, uint64_t block) {
  uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32);
  uint32_t c2 = uint32_t(stream), c3 = uint32_t(stream >> 32);
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c0 = n0;
    c1 = uint32_t(p1);
    c2 = n2;
    c3 = uint32_t(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

// A stream of numbers addressed by index: element i never depends on how many were drawn before.
class RandomStream {
 public:
  constexpr RandomStream(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  constexpr RandomStream(uint64_t seed, std::string_view name)
      : RandomStream(seed, HashName(name)) {}

  // 32 uniform bits.
  constexpr uint32_t Bits(uint64_t i) const { return Philox(seed_, stream_, i / 4)[i % 4]; }
  // Uniform in [0, 1), a multiple of 2^-24, exact in float.
  constexpr float Uniform(uint64_t i) const { return float(Bits(i) >> 8) * 0x1p-24f; }
  // Uniform in [0, n), by multiplication (bias below n / 2^32). n > 0.
  constexpr uint32_t Below(uint64_t i, uint32_t n) const {
    return uint32_t((uint64_t{Bits(i)} * n) >> 32);
  }
  // Standard normal (Box and Muller, 1958, cosine branch) from words 2i and 2i + 1, in double.
  double Normal(uint64_t i) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

}  // namespace pocketune
