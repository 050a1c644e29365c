// Compiles a file once per instruction-set level with Google Highway. No include guard: it is
// read again in each of those passes. A kernel file looks so:
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "backends/cpu/kernels/relu.cc"
//   // clang-format off: first of all includes
//   #include "backends/cpu/hwy_common.h"
//   // clang-format on
//   #include "backends/cpu/cpu_kernel_functions.h"  // and other headers
//
//   HWY_BEFORE_NAMESPACE();
//   namespace pocketune {
//   namespace HWY_NAMESPACE {
//   namespace hn = hwy::HWY_NAMESPACE;
//   void Relu(const KernelArgs& args) { ... }  // a lambda here needs HWY_ATTR before its body
//   }  // namespace HWY_NAMESPACE
//   }  // namespace pocketune
//   HWY_AFTER_NAMESPACE();
//
//   #if HWY_ONCE
//   namespace pocketune {
//   HWY_EXPORT(Relu);
//   void RunRelu(const KernelArgs& args) { HWY_DYNAMIC_DISPATCH(Relu)(args); }
//   }  // namespace pocketune
//   #endif
//
// The build forbids contraction (-ffp-contract=off): write hn::MulAdd where one is wanted. On SSE4
// it is a product and a sum. Shared code for all levels goes into *-inl.h, guarded by
// HWY_TARGET_TOGGLE as in gemm_kernels-inl.h.

// clang-format off: each must come before the next.
#include "backends/cpu/hwy_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on
