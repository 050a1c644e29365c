// Floats packed into 16 or 8 bits and back, in the formats of engine/ops/narrow.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/narrow.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/simd-inl.h"
#include "engine/ops/narrow.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

using U32 = hn::Rebind<uint32_t, F32>;
using I32 = hn::Rebind<int32_t, F32>;
using U16 = hn::Rebind<uint16_t, F32>;
using I8 = hn::Rebind<int8_t, F32>;

// The first n <= Lanes elements of narrow vectors. Touches nothing beyond them.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadFirst(D d, const T* p, int64_t n) {
  if (n == FloatLanes()) return hn::LoadU(d, p);
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)] = {};
  std::memcpy(lanes, p, static_cast<size_t>(n) * sizeof(T));
  return hn::Load(d, lanes);
}
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void StoreFirst(hn::Vec<D> v, D d, T* p, int64_t n) {
  if (n == FloatLanes()) return hn::StoreU(v, d, p);
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(v, d, lanes);
  std::memcpy(p, lanes, static_cast<size_t>(n) * sizeof(T));
}

HWY_INLINE hn::Vec<U16> ToBfloat16(VF x) {
  const U32 u;
  const auto bits = hn::BitCast(u, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(u, 0x7FFF)));
  const auto quiet = hn::Or(bits, hn::Set(u, 0x400000));
  const auto kept = hn::IfThenElse(hn::RebindMask(u, hn::IsNaN(x)), quiet, rounded);
  return hn::DemoteTo(U16(), hn::BitCast(I32(), hn::ShiftRight<16>(kept)));
}

HWY_INLINE VF FromBfloat16(hn::Vec<U16> x) {
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(U32(), x)));
}

// fn(access, n, c) for each vector of channels, of n lanes, from channel c on.
template <class Fn>
HWY_INLINE void ForLanes(int64_t channels, const Fn& fn) {
  ForEachVector(channels, [&](auto access, int64_t c)
                              HWY_ATTR { fn(access, std::min(FloatLanes(), channels - c), c); });
}

// One group of rows. As integers magnitudes stand in their order, NaN above all.
HWY_INLINE void PackGroup(int64_t rows, int64_t channels, const float* x, float* scales,
                          int8_t* bytes) {
  ForLanes(channels, [&](auto access, int64_t n, int64_t c) HWY_ATTR {
    const F32 d;
    const I32 i;
    auto most = hn::Zero(i);
    for (int64_t row = 0; row < rows; ++row) {
      most = hn::Max(most, hn::BitCast(i, hn::Abs(access.Load(x + row * channels + c))));
    }
    const VF scale = hn::Div(hn::BitCast(d, most), hn::Set(d, kNarrowMax));
    access.Store(scale, scales + c);
    const auto usable = hn::And(hn::Ge(scale, hn::Set(d, kLeastScale)), hn::IsFinite(scale));
    const VF inverse = hn::IfThenElseZero(usable, hn::Div(hn::Set(d, 1.0f), scale));
    for (int64_t row = 0; row < rows; ++row) {
      const VF v = hn::IfThenElseZero(usable, access.Load(x + row * channels + c));
      const auto nearest = hn::NearestInt(hn::Mul(v, inverse));
      StoreFirst(hn::DemoteTo(I8(), nearest), I8(), bytes + row * channels + c, n);
    }
  });
}

HWY_INLINE void UnpackGroup(int64_t rows, int64_t channels, const float* scales,
                            const int8_t* bytes, float* y) {
  ForLanes(channels, [&](auto access, int64_t n, int64_t c) HWY_ATTR {
    const VF scale = access.Load(scales + c);
    for (int64_t row = 0; row < rows; ++row) {
      const auto byte = LoadFirst(I8(), bytes + row * channels + c, n);
      const VF v = hn::ConvertTo(F32(), hn::PromoteTo(I32(), byte));
      access.Store(hn::Mul(v, scale), y + row * channels + c);
    }
  });
}

// fn(rows, offset of their first element, of their scales) for each group, in parallel.
template <class Fn>
void ForGroups(ThreadPool* pool, const Shape& shape, const Fn& fn) {
  const int64_t channels = NarrowChannels(shape), rows = shape.elems() / channels;
  const int64_t size = NarrowRows(channels);
  ParallelPieces(pool, rows, size, [&](int64_t row, int64_t end) {
    fn(end - row, row * channels, row / size * channels);
  });
}

int64_t ScaleBytes(const Shape& shape) {
  return NarrowGroups(shape) * NarrowChannels(shape) * int64_t{sizeof(float)};
}

void RunNarrow(const KernelArgs& args) {
  const Shape& shape = args.operands[0].shape;
  const float* x = args.operands[0].as<float>();
  if (args.Attr<NarrowAttrs>().bits == 8) {
    float* scales = args.results[0].as<float>();
    int8_t* bytes = args.results[0].as<int8_t>() + ScaleBytes(shape);
    return ForGroups(args.pool, shape, [&](int64_t rows, int64_t at, int64_t scale) HWY_ATTR {
      PackGroup(rows, NarrowChannels(shape), x + at, scales + scale, bytes + at);
    });
  }
  uint16_t* packed = args.results[0].as<uint16_t>();
  ParallelPieces(args.pool, shape.elems(), kItemElems, [&](int64_t from, int64_t end) HWY_ATTR {
    ForLanes(end - from, [&](auto access, int64_t n, int64_t i) HWY_ATTR {
      StoreFirst(ToBfloat16(access.Load(x + from + i)), U16(), packed + from + i, n);
    });
  });
}

void RunWiden(const KernelArgs& args) {
  const Shape& shape = args.results[0].shape;
  float* y = args.results[0].as<float>();
  if (args.Attr<WidenAttrs>().bits == 8) {
    const float* scales = args.operands[0].as<const float>();
    const int8_t* bytes = args.operands[0].as<const int8_t>() + ScaleBytes(shape);
    return ForGroups(args.pool, shape, [&](int64_t rows, int64_t at, int64_t scale) HWY_ATTR {
      UnpackGroup(rows, NarrowChannels(shape), scales + scale, bytes + at, y + at);
    });
  }
  const uint16_t* packed = args.operands[0].as<const uint16_t>();
  ParallelPieces(args.pool, shape.elems(), kItemElems, [&](int64_t from, int64_t end) HWY_ATTR {
    ForLanes(end - from, [&](auto access, int64_t n, int64_t i) HWY_ATTR {
      access.Store(FromBfloat16(LoadFirst(U16(), packed + from + i, n)), y + from + i);
    });
  });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(Narrow)
PT_CPU_DISPATCH(Widen)
}  // namespace pocketune
#endif  // HWY_ONCE
