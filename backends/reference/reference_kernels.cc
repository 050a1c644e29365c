#include "backends/reference/reference_kernels.h"

#include "backends/reference/reference_ops.h"

namespace pocketune {
namespace {

// One double per element of result 0: the sums before they are rounded.
int64_t SumsOfResult(const KernelQuery& query) {
  return query.results[0].shape.elems() * int64_t{sizeof(double)};
}
// One double per element of operand 0, the gradient of a reduction.
int64_t SumsOfOperand(const KernelQuery& query) {
  return query.operands[0].shape.elems() * int64_t{sizeof(double)};
}

using ScratchBytes = int64_t (*)(const KernelQuery&);
constexpr ScratchBytes ScratchOf(OpKind kind) {
  switch (kind) {
    case OpKind::kConv2d:
    case OpKind::kDepthwiseConv2d:
    case OpKind::kConv2dGradInput:
    case OpKind::kConv2dGradFilter:
    case OpKind::kDepthwiseConv2dGradInput:
    case OpKind::kDepthwiseConv2dGradFilter:
    case OpKind::kReduceSum:
    case OpKind::kReduceMean:
    case OpKind::kReduceMax:
    case OpKind::kMaxPoolGrad:
    case OpKind::kAvgPoolGrad:
      return SumsOfResult;
    case OpKind::kReduceMaxGrad:
      return SumsOfOperand;
    default:
      return nullptr;
  }
}

constexpr KernelInfo kRows[] = {
#define PT_OP(kind, name, ...) \
  {"reference." name, OpKind::k##kind, reference::Run##kind, nullptr, ScratchOf(OpKind::k##kind)},
#include "engine/ops/ops.def"
#undef PT_OP
};

}  // namespace

KernelTable ReferenceKernels() { return kRows; }

}  // namespace pocketune
