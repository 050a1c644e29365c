// Patches of few channels are read from strips, per instruction set: copies of the image rows that
// some neighbouring grid points need, padding written out, so that every patch is whole. See
// StripOf.
#if defined(POCKETUNE_PATCH_STRIP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_PATCH_STRIP_INL_H_
#undef POCKETUNE_PATCH_STRIP_INL_H_
#else
#define POCKETUNE_PATCH_STRIP_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backends/cpu/gemm_blocking.h"
#include "backends/cpu/gemm_kernels-inl.h"
#include "engine/base/math.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

// Row h of an image, with its padding.
HWY_INLINE void CopyStripRow(const PatchGrid& g, const float* image, int64_t h, int64_t pitch,
                             float* to) {
  if (h < 0 || h >= g.height) return ZeroFloats(to, pitch);
  const int64_t pixels = pitch / g.channels;
  const int64_t first = std::clamp<int64_t>(-g.origin_w, 0, pixels);
  const int64_t last = std::clamp<int64_t>(g.width - g.origin_w, first, pixels);
  ZeroFloats(to, first * g.channels);
  const int64_t from = (h * g.width + g.origin_w + first) * g.channels;
  CopyFloats(image + from, to + first * g.channels, (last - first) * g.channels);
  ZeroFloats(to + last * g.channels, (pixels - last) * g.channels);
}

// Fills the strip of grid points [p0, p0 + count) of `images`; the patch of point p0 + i begins at
// starts[i].
HWY_NOINLINE inline void FillStrip(const PatchGrid& g, const float* images, int64_t p0,
                                   int64_t count, float* strip, const float** starts) {
  const StripShape shape = StripOf(g);
  const int64_t last_row = (g.taps_h - 1) * g.step_h;  // of a patch
  while (count > 0) {                                  // image by image
    const GridCursor at(g, p0);
    const int64_t points = std::min(count, (g.rows - at.i) * g.cols - at.j);
    const int64_t rows = CeilDiv(at.j + points, g.cols);
    const float* const image = images + at.n * g.height * g.width * g.channels;
    const int64_t h = at.i * g.stride_h + g.origin_h;
    for (int64_t r = 0; r <= (rows - 1) * g.stride_h + last_row; ++r) {
      CopyStripRow(g, image, h + r, shape.pitch, strip + r * shape.pitch);
    }
    const float* row = strip;
    for (int64_t k = 0, j = at.j; k < points; ++k, ++j) {
      if (j == g.cols) {
        j = 0;
        row += g.stride_h * shape.pitch;
      }
      *starts++ = row + j * g.stride_w * g.channels;
    }
    strip += ((rows - 1) * g.stride_h + shape.span) * shape.pitch;
    p0 += points;
    count -= points;
  }
}

// to[0, taps_h * run) = the rows of a patch, each `run` floats, `step` from one to the next. Writes
// up to a vector more, and reads as much more.
template <class D>
HWY_INLINE void CopyPatch(D d, const float* from, int64_t rows, int64_t run, int64_t step,
                          float* to) {
  for (int64_t s = 0; s < rows; ++s, from += step, to += run) {
    for (int64_t i = 0; i < run; i += hn::MaxLanes(D())) {
      hn::StoreU(hn::LoadU(d, from + i), d, to + i);
    }
  }
}

// The whole patches that start at starts[0, count), to_step floats from one to the next.
HWY_NOINLINE inline void CopyPatches(const PatchGrid& g, const float* const* starts, int64_t count,
                                     int64_t to_step, float* to) {
  const int64_t run = g.taps_w * g.channels;
  const int64_t step = g.step_h * StripOf(g).pitch;
  for (int64_t k = 0; k < count; ++k, to += to_step) {
    if (run <= 4) {
      CopyPatch(Quad(), starts[k], g.taps_h, run, step, to);
    } else {
      CopyPatch(F32(), starts[k], g.taps_h, run, step, to);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#endif  // POCKETUNE_PATCH_STRIP_INL_H_
