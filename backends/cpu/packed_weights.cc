#include "backends/cpu/packed_weights.h"

#include <algorithm>
#include <new>
#include <utility>

#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/gemm_blocking.h"
#include "engine/base/math.h"
#include "engine/base/pages.h"

namespace pocketune {
namespace {

constexpr int64_t kPackedRows = 256;        // above, packing takes less than 5 % of the product
constexpr int64_t kPackedFloats = 1 << 19;  // 2 MiB

// Stands before the panels, in the pages that it owns.
struct alignas(64) State {
  Pages pages;
  Isa isa;  // the width of the panels depends on it
};

float* PanelsOf(State* s) { return reinterpret_cast<float*>(s + 1); }

}  // namespace

bool IsPlain(const TensorType& type) { return type.dtype == DType::kF32 && type.shape.elems() > 0; }

bool HasFrozenWeights(const KernelQuery& query) {
  return (query.constant_operands & 2) != 0 &&
         std::all_of(query.operands.begin(), query.operands.end(), IsPlain);
}

bool PackingPays(const GemmProblem& p) {
  return p.m > kGemmDotRows && p.m <= kPackedRows && p.n * p.k <= kPackedFloats;
}

int64_t PackedScratchBytes(GemmProblem p, int slots) {
  p.b = PackedOperand(p, nullptr);
  return GemmScratchBytes(p, slots);
}

int64_t PackedStateBytes(const GemmProblem& p) {
  constexpr int64_t kPage = 4096;
  const int64_t floats = p.batch * PackedGemmFloats(p);
  return AlignUp(int64_t{sizeof(State)} + floats * int64_t{sizeof(float)}, kPage);
}

Status PrepareGemm(const GemmProblem& p, void** state) {
  Result<Pages> pages = Pages::Allocate(PackedStateBytes(p), Pages::Size::kHuge);
  if (!pages.ok()) return pages.status();
  State* s = new (pages->data()) State{Pages(), CurrentIsa()};
  s->pages = std::move(pages.value());
  PackGemmB(p, PanelsOf(s));
  *state = s;
  return OkStatus();
}

void RunPreparedGemm(GemmProblem p, const KernelArgs& args) {
  State* s = static_cast<State*>(args.state);
  if (s->isa != CurrentIsa()) return args.page->Raise(kFaultKernel);
  p.b = PackedOperand(p, PanelsOf(s));
  Gemm(p, args.scratch, args.pool);
}

void ReleasePacked(void* state) {
  if (state == nullptr) return;
  // The pages must not end within themselves.
  const Pages pages = std::move(static_cast<State*>(state)->pages);
}

}  // namespace pocketune
