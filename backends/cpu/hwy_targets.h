// Which of Highway's targets exist: exactly SSE4, AVX2, AVX3 (AVX-512) on x86 and NEON on Arm,
// whatever the compiler could do, less those that the build leaves out (POCKETUNE_ISAS). Include
// before any header of Highway.
#pragma once

// The baseline of dispatch, which is not the compiler's where the build leaves out that one.
#ifdef POCKETUNE_LOWEST_TARGET
#define HWY_BASELINE_TARGETS POCKETUNE_LOWEST_TARGET
#endif
#ifndef POCKETUNE_LEFT_OUT_TARGETS
#define POCKETUNE_LEFT_OUT_TARGETS 0
#endif
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS                                                                 \
  (POCKETUNE_LEFT_OUT_TARGETS | HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | \
   HWY_SVE2_128)
#endif
