// What a clamp lets through, one bit for each element, and the gradient behind such a mask.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/gate.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// Elements whose bits are made or read at once: whole vectors and whole bytes.
inline constexpr int64_t kGroup = HWY_MAX(8, static_cast<int64_t>(hn::MaxLanes(F32())));
// What StoreMaskBits may write and LoadMaskBits may read of an array.
inline constexpr int64_t kMaskBytes = 8;

// The comparisons are false for NaN, as in the gradients of the activations.
struct OpenGate {  // lo < x < hi
  float lo, hi;
  HWY_INLINE auto operator()(F32 d, VF x) const {
    return hn::And(hn::Gt(x, hn::Set(d, lo)), hn::Lt(x, hn::Set(d, hi)));
  }
};
struct PositiveGate {
  HWY_INLINE auto operator()(F32 d, VF x) const { return hn::Gt(x, hn::Zero(d)); }
};
struct ClosedGate {  // lo <= x <= hi
  float lo, hi;
  HWY_INLINE auto operator()(F32 d, VF x) const {
    return hn::And(hn::Ge(x, hn::Set(d, lo)), hn::Le(x, hn::Set(d, hi)));
  }
};

// The bits of kGroup elements, in the first kGroup / 8 of kMaskBytes bytes.
template <class Gate>
HWY_INLINE void GroupBits(const Gate& gate, const float* x, uint8_t* bits) {
  const F32 d;
  hn::StoreMaskBits(d, gate(d, hn::LoadU(d, x)), bits);
  if (hn::MaxLanes(d) < kGroup) {
    uint8_t high[kMaskBytes];
    hn::StoreMaskBits(d, gate(d, hn::LoadU(d, x + kGroup / 2)), high);
    bits[0] = static_cast<uint8_t>(bits[0] | high[0] << 4);
  }
}

// `bits` belongs to x[0]. The bits behind the last element are 0.
template <class Gate>
HWY_INLINE void PackBits(const Gate& gate, int64_t n, const float* x, uint8_t* bits) {
  uint8_t group[kMaskBytes];
  int64_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    GroupBits(gate, x + i, group);
    std::memcpy(bits + i / 8, group, kGroup / 8);
  }
  if (i == n) return;
  float rest[kGroup];
  std::fill_n(rest, kGroup, __builtin_nanf(""));
  std::memcpy(rest, x + i, static_cast<size_t>(n - i) * sizeof(float));
  GroupBits(gate, rest, group);
  std::memcpy(bits + i / 8, group, static_cast<size_t>(CeilDiv(n - i, 8)));
}

// One vector of dy where the bits, the first one in bit `shift` of bits[0], are set.
HWY_INLINE VF Gated(const uint8_t* bits, int shift, VF dy) {
  uint8_t window[kMaskBytes] = {static_cast<uint8_t>(bits[0] >> shift), bits[1]};
  return PassWhere(hn::LoadMaskBits(F32(), window), dy);
}

// dx may be dy.
void Ungate(int64_t n, const float* dy, const uint8_t* bits, float* dx) {
  const F32 d;
  const int64_t lanes = FloatLanes();
  int64_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    uint8_t group[kMaskBytes] = {};
    std::memcpy(group, bits + i / 8, kGroup / 8);
    for (int64_t v = 0; v < kGroup; v += lanes) {
      hn::StoreU(Gated(group, static_cast<int>(v % 8), hn::LoadU(d, dy + i + v)), d, dx + i + v);
    }
  }
  for (; i < n; ++i) dx[i] = (bits[i / 8] >> i % 8 & 1) != 0 ? dy[i] : 0.0f;
}

template <class Gate>
void RunGate(const KernelArgs& args, const Gate& gate) {
  const float* x = args.operands[0].as<float>();
  uint8_t* mask = args.results[0].as<uint8_t>();
  static_assert(kItemElems % kGroup == 0);
  ParallelPieces(args.pool, args.operands[0].shape.elems(), kItemElems,
                 [&](int64_t i, int64_t end)
                     HWY_ATTR { PackBits(gate, end - i, x + i, mask + i / 8); });
}

void RunGateMask(const KernelArgs& args) {
  const auto& attrs = args.Attr<GateAttrs>();
  if (attrs.act == Act::kRelu) return RunGate(args, PositiveGate());
  if (attrs.act == Act::kRelu6) return RunGate(args, OpenGate{0.0f, 6.0f});
  RunGate(args, ClosedGate{static_cast<float>(attrs.lo), static_cast<float>(attrs.hi)});
}

void RunGateGrad(const KernelArgs& args) {
  const float* dy = args.operands[0].as<float>();
  const uint8_t* mask = args.operands[1].as<uint8_t>();
  float* dx = args.results[0].as<float>();
  ParallelPieces(args.pool, args.results[0].shape.elems(), kItemElems,
                 [&](int64_t i, int64_t end)
                     HWY_ATTR { Ungate(end - i, dy + i, mask + i / 8, dx + i); });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(GateMask)
PT_CPU_DISPATCH(GateGrad)
}  // namespace pocketune
#endif  // HWY_ONCE
