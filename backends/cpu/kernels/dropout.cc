// Dropout with a mask from the counter-based generator.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/dropout.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include <cmath>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

using U32 = hn::ScalableTag<uint32_t>;
using VU = hn::Vec<U32>;

// The upper halves of the 64-bit products a * b.
HWY_INLINE VU MulHigh(VU a, VU b) {
  const U32 d;
  const hn::Repartition<uint64_t, U32> d64;
  const VU odd = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, a)));
  const VU low = hn::BitCast(d, hn::ShiftRight<32>(hn::MulEven(a, b)));
  return hn::OddEven(hn::BitCast(d, hn::MulEven(odd, b)), low);
}

// Philox (engine/base/rng.h) of one block per lane: words[4 l + w] is word w of block + l. The low
// halves of the blocks' numbers do not wrap around between lanes.
HWY_INLINE void PhiloxBlocks(uint64_t key, uint64_t stream, uint64_t block, uint32_t* words) {
  const U32 d;
  const VU m0 = hn::Set(d, 0xD2511F53u), m1 = hn::Set(d, 0xCD9E8D57u);
  VU c0 = hn::Iota(d, static_cast<uint32_t>(block));
  VU c1 = hn::Set(d, static_cast<uint32_t>(block >> 32));
  VU c2 = hn::Set(d, static_cast<uint32_t>(stream));
  VU c3 = hn::Set(d, static_cast<uint32_t>(stream >> 32));
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const VU n0 = hn::Xor(hn::Xor(MulHigh(c2, m1), c1), hn::Set(d, k0));
    const VU n2 = hn::Xor(hn::Xor(MulHigh(c0, m0), c3), hn::Set(d, k1));
    c1 = hn::Mul(c2, m1);
    c3 = hn::Mul(c0, m0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  hn::StoreInterleaved4(c0, c1, c2, c3, d, words);
}

void RunDropout(const KernelArgs& args) {
  const auto& attrs = args.Attr<DropoutAttrs>();
  const float* x = args.operands[0].as<float>();
  float* y = args.results[0].as<float>();
  const uint64_t seed = args.page->seed;
  const uint64_t stream = DropoutStream(attrs.salt, args.page->step);
  // Uniform(i) >= rate, compared as the integer that Uniform scales by 2^-24.
  const auto threshold = static_cast<int32_t>(std::ceil(attrs.rate * 0x1p24));
  const auto scale = static_cast<float>(1.0 / (1.0 - attrs.rate));
  ParallelPieces(args.pool, args.results[0].shape.elems(), kItemElems,
                 [&](int64_t begin, int64_t end) HWY_ATTR {
                   const F32 d;
                   const hn::RebindToSigned<F32> di;
                   const hn::RebindToUnsigned<F32> du;
                   const int64_t lanes = FloatLanes();
                   HWY_ALIGN uint32_t words[HWY_MAX_BYTES];
                   for (int64_t i = begin; i < end; i += 4 * lanes) {
                     PhiloxBlocks(seed, stream, static_cast<uint64_t>(i / 4), words);
                     for (int64_t j = 0; j < 4 * lanes && i + j < end; j += lanes) {
                       const auto bits =
                           hn::BitCast(di, hn::ShiftRight<8>(hn::Load(du, words + j)));
                       const auto drop = hn::RebindMask(d, hn::Lt(bits, hn::Set(di, threshold)));
                       const auto keep = [&](F32, VF v) HWY_ATTR {
                         return hn::IfThenZeroElse(drop, hn::Mul(v, hn::Set(d, scale)));
                       };
                       Map(keep, std::min(lanes, end - i - j), y + i + j, Array{x + i + j});
                     }
                   }
                 });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(Dropout)
}  // namespace pocketune
#endif  // HWY_ONCE
