#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/cpu_peak.cc"
// clang-format off: first of all includes
#include "backends/cpu/hwy_common.h"
// clang-format on
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "backends/cpu/cpu_peak.h"
#include "engine/base/clock.h"
#include "engine/base/pages.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums that do not wait for each other: more than latency times multiply-adds a cycle, as many as
// the registers hold.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
inline constexpr int kChains = 24;
#else
inline constexpr int kChains = 12;
#endif

template <int... I>
HWY_INLINE float RunChains(int64_t rounds, std::integer_sequence<int, I...>) {
  const hn::ScalableTag<float> d;
  const auto half = hn::Set(d, 0.5f);
  hn::Vec<decltype(d)> sums[] = {hn::Set(d, static_cast<float>(I))...};
  for (int64_t i = 0; i < rounds; ++i) ((sums[I] = hn::MulAdd(sums[I], half, half)), ...);
  auto sum = hn::Zero(d);
  ((sum = hn::Add(sum, sums[I])), ...);
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// `rounds` multiply-adds of all lanes of all chains. The result keeps the compiler from leaving
// them out.
float MultiplyAdds(int64_t rounds) {
  return RunChains(rounds, std::make_integer_sequence<int, kChains>());
}

int64_t FlopsPerRound() {
  return 2 * kChains * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
}

// With loads and stores as kernels use them, not memcpy's, which bypass the cache. `floats` is a
// multiple of 64.
void CopyBlock(const float* HWY_RESTRICT from, float* HWY_RESTRICT to, int64_t floats) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < floats; i += 4 * lanes) {
    for (int64_t j = i; j < i + 4 * lanes; j += lanes) hn::Store(hn::Load(d, from + j), d, to + j);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // else it becomes a call to memcpy
  }
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
namespace {

HWY_EXPORT(MultiplyAdds);
HWY_EXPORT(FlopsPerRound);
HWY_EXPORT(CopyBlock);

constexpr double kSeconds = 0.1;           // that each of the two takes at least
constexpr int64_t kRoundsPerItem = 20000;  // some 100 microseconds
constexpr int64_t kItemsPerThread = 8;     // so that a thread that wakes late costs little
constexpr int64_t kBlockFloats = 64 * 1024;
constexpr int64_t kMinArrayBytes = int64_t{64} << 20;
constexpr int64_t kMaxArrayBytes = int64_t{256} << 20;

// The shortest time that `run` took.
template <typename Fn>
double BestSeconds(const Fn& run) {
  const double start = NowSeconds();
  double best = 0;
  for (double begin = start; begin < start + kSeconds;) {
    run();
    const double end = NowSeconds();
    if (best == 0 || end - begin < best) best = end - begin;
    begin = end;
  }
  return best;
}

// Each array as large as the last cache: what one round leaves in it, the next has no use for.
int64_t ArrayBytes() {
#ifdef _SC_LEVEL3_CACHE_SIZE
  const int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#else
  const int64_t cache = 0;
#endif
  return std::clamp(cache, kMinArrayBytes, kMaxArrayBytes);
}

}  // namespace

double MeasureFmaGflops(ThreadPool& pool) {
  const int64_t items = pool.slots() * kItemsPerThread;
  std::atomic<float> sink{0.0f};
  const double seconds = BestSeconds([&] {
    pool.ParallelFor(items, [&](int64_t, int) {
      sink.store(HWY_DYNAMIC_DISPATCH(MultiplyAdds)(kRoundsPerItem), std::memory_order_relaxed);
    });
  });
  const int64_t flops = items * kRoundsPerItem * HWY_DYNAMIC_DISPATCH(FlopsPerRound)();
  return static_cast<double>(flops) / seconds * 1e-9;
}

Result<double> MeasureCopyGbs(ThreadPool& pool) {
  const int64_t blocks = ArrayBytes() / (kBlockFloats * int64_t{sizeof(float)});
  const int64_t bytes = blocks * kBlockFloats * int64_t{sizeof(float)};
  Result<Pages> from = Pages::Allocate(bytes, Pages::Size::kHuge);
  if (!from.ok()) return from.status();
  Result<Pages> to = Pages::Allocate(bytes, Pages::Size::kHuge);
  if (!to.ok()) return to.status();
  // Untouched pages are all the same page of zeros.
  std::fill_n(from->data(), bytes, uint8_t{1});
  const float* source = reinterpret_cast<const float*>(from->data());
  float* target = reinterpret_cast<float*>(to->data());
  const auto copy = [&] {
    pool.ParallelFor(blocks, [&](int64_t block, int) {
      const int64_t at = block * kBlockFloats;
      HWY_DYNAMIC_DISPATCH(CopyBlock)(source + at, target + at, kBlockFloats);
    });
  };
  copy();  // makes the target's pages resident
  return 2.0 * static_cast<double>(bytes) / BestSeconds(copy) * 1e-9;
}

Result<CpuPeak> MeasureCpuPeak(ThreadPool& pool) {
  const double gflops = MeasureFmaGflops(pool);
  const Result<double> copy = MeasureCopyGbs(pool);
  if (!copy.ok()) return copy.status();
  return CpuPeak{gflops, copy.value()};
}

}  // namespace pocketune
#endif  // HWY_ONCE
