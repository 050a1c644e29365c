// The transformations of Winograd's F(4x4, 3x3) (winograd.h), a vector of channels at a time.
#if defined(POCKETUNE_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_WINOGRAD_INL_H_
#undef POCKETUNE_WINOGRAD_INL_H_
#else
#define POCKETUNE_WINOGRAD_INL_H_
#endif

#include <cstdint>

#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/simd-inl.h"
#include "backends/cpu/kernels/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// The points are 0, +-kA, +-kB and infinity; kA * kB = 1.
inline constexpr float kA = 0.70710678118654752f, kB = 1.41421356237309505f;
inline constexpr float kA2 = 0.5f, kB2 = 2.0f, kA3 = kA2 * kA, kB3 = kB2 * kB;
// Products of the differences to the other points.
inline constexpr float kNormA = 2 * kA2 * (kA2 - kB2), kNormB = 2 * kB2 * (kB2 - kA2);

HWY_INLINE VF Times(VF x, float factor) { return hn::Mul(x, hn::Set(F32(), factor)); }
HWY_INLINE VF PlusTimes(VF sum, VF x, float factor) {
  return hn::MulAdd(x, hn::Set(F32(), factor), sum);
}

// Six inputs to six values.
struct InputLine {
  static constexpr int kFrom = 6, kTo = 6;
  HWY_INLINE void operator()(const VF (&d)[6], VF (&v)[6]) const {
    const VF even_a = PlusTimes(d[4], d[2], -kB2), odd_a = PlusTimes(d[3], d[1], -kB2);
    const VF even_b = PlusTimes(d[4], d[2], -kA2), odd_b = PlusTimes(d[3], d[1], -kA2);
    v[0] = PlusTimes(hn::Add(d[0], d[4]), d[2], -(kA2 + kB2));
    v[1] = PlusTimes(even_a, odd_a, kA);
    v[2] = PlusTimes(even_a, odd_a, -kA);
    v[3] = PlusTimes(even_b, odd_b, kB);
    v[4] = PlusTimes(even_b, odd_b, -kB);
    v[5] = PlusTimes(hn::Add(d[1], d[5]), d[3], -(kA2 + kB2));
  }
};

// Three weights to six values.
struct WeightLine {
  static constexpr int kFrom = 3, kTo = 6;
  HWY_INLINE void operator()(const VF (&g)[3], VF (&u)[6]) const {
    const VF even_a = Times(PlusTimes(g[0], g[2], kA2), 1 / kNormA);
    const VF even_b = Times(PlusTimes(g[0], g[2], kB2), 1 / kNormB);
    u[0] = g[0];
    u[1] = PlusTimes(even_a, g[1], kA / kNormA);
    u[2] = PlusTimes(even_a, g[1], -kA / kNormA);
    u[3] = PlusTimes(even_b, g[1], kB / kNormB);
    u[4] = PlusTimes(even_b, g[1], -kB / kNormB);
    u[5] = g[2];
  }
};

// Six products to four outputs.
struct OutputLine {
  static constexpr int kFrom = 6, kTo = 4;
  HWY_INLINE void operator()(const VF (&m)[6], VF (&y)[4]) const {
    const VF even_a = hn::Add(m[1], m[2]), odd_a = hn::Sub(m[1], m[2]);
    const VF even_b = hn::Add(m[3], m[4]), odd_b = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(m[0], hn::Add(even_a, even_b));
    y[1] = PlusTimes(Times(odd_a, kA), odd_b, kB);
    y[2] = PlusTimes(Times(even_a, kA2), even_b, kB2);
    y[3] = PlusTimes(PlusTimes(m[5], odd_a, kA3), odd_b, kB3);
  }
};

// Four gradients of outputs to six values: OutputLine the other way.
struct OutputGradLine {
  static constexpr int kFrom = 4, kTo = 6;
  HWY_INLINE void operator()(const VF (&g)[4], VF (&v)[6]) const {
    const VF even_a = PlusTimes(g[0], g[2], kA2), odd_a = PlusTimes(g[1], g[3], kA2);
    const VF even_b = PlusTimes(g[0], g[2], kB2), odd_b = PlusTimes(g[1], g[3], kB2);
    v[0] = g[0];
    v[1] = PlusTimes(even_a, odd_a, kA);
    v[2] = PlusTimes(even_a, odd_a, -kA);
    v[3] = PlusTimes(even_b, odd_b, kB);
    v[4] = PlusTimes(even_b, odd_b, -kB);
    v[5] = g[3];
  }
};

// Six sums of products to the gradients of three weights: WeightLine the other way.
struct WeightGradLine {
  static constexpr int kFrom = 6, kTo = 3;
  HWY_INLINE void operator()(const VF (&s)[6], VF (&g)[3]) const {
    const VF even_a = Times(hn::Add(s[1], s[2]), 1 / kNormA);
    const VF even_b = Times(hn::Add(s[3], s[4]), 1 / kNormB);
    const VF odd_a = hn::Sub(s[1], s[2]), odd_b = hn::Sub(s[3], s[4]);
    g[0] = hn::Add(s[0], hn::Add(even_a, even_b));
    g[1] = PlusTimes(Times(odd_a, kA / kNormA), odd_b, kB / kNormB);
    g[2] = PlusTimes(PlusTimes(s[5], even_a, kA2), even_b, kB2);
  }
};

// Transforms the columns, then the rows of a square: load(i, j) gives its values, store(i, j, v)
// takes the results.
template <class Line, class Load, class Store>
HWY_INLINE void TransformSquare(const Line& line, const Load& load, const Store& store) {
  constexpr int kFrom = Line::kFrom, kTo = Line::kTo;
  VF half[kTo][kFrom];
  PT_UNROLL for (int j = 0; j < kFrom; ++j) {
    VF from[kFrom], to[kTo];
    PT_UNROLL for (int i = 0; i < kFrom; ++i) from[i] = load(i, j);
    line(from, to);
    PT_UNROLL for (int i = 0; i < kTo; ++i) half[i][j] = to[i];
  }
  PT_UNROLL for (int i = 0; i < kTo; ++i) {
    VF to[kTo];
    line(half[i], to);
    PT_UNROLL for (int j = 0; j < kTo; ++j) store(i, j, to[j]);
  }
}

// Where a tile lies: its image, and the first of its outputs.
struct TilePlace {
  int64_t n, i, j;
  TilePlace(const WinogradConv& c, int64_t tile)
      : n(tile / (c.tiles_h() * c.tiles_w())),
        i(tile / c.tiles_w() % c.tiles_h() * kWinogradOut),
        j(tile % c.tiles_w() * kWinogradOut) {}
};

// Transforms channels [c0, c0 + count) of the square of an image whose first pixel is (top, left),
// to `to` in each of 36 planes. Pixels outside the image are read at `zeros`.
template <class Line>
HWY_INLINE void TransformPixels(const Line& line, const float* image, int64_t height, int64_t width,
                                int64_t channels, int64_t top, int64_t left, const float* zeros,
                                int64_t c0, int64_t count, int64_t plane, float* HWY_RESTRICT to) {
  constexpr int64_t kSide = Line::kFrom;
  const float* pixels[kSide * kSide];
  for (int64_t i = 0; i < kSide; ++i) {
    for (int64_t j = 0; j < kSide; ++j) {
      const int64_t h = top + i, w = left + j;
      const bool inside = h >= 0 && h < height && w >= 0 && w < width;
      pixels[i * kSide + j] = inside ? image + (h * width + w) * channels + c0 : zeros;
    }
  }
  ForEachVector(count, [&](const auto& access, int64_t k) HWY_ATTR {
    TransformSquare(
        line, [&](int i, int j) HWY_ATTR { return access.Load(pixels[i * kSide + j] + k); },
        [&](int i, int j, VF v)
            HWY_ATTR { access.Store(v, to + (i * kWinogradIn + j) * plane + k); });
  });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
