#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/packed_weights.h"

namespace pocketune {
namespace {

// y[.., M, N] = op(a) op(b) + bias. A b that all products share makes them one product with more
// rows, unless a's rows lie across.
GemmProblem MatmulProblem(const Shape& a, const Shape& b, const Shape& y,
                          const MatmulAttrs& attrs) {
  GemmProblem p;
  p.m = y[-2];
  p.n = y[-1];
  p.k = attrs.trans_a ? a[-2] : a[-1];
  p.batch = p.m * p.n == 0 ? 0 : y.elems() / (p.m * p.n);
  const bool shared_b = b.rank() == 2;
  if (shared_b && !attrs.trans_a) {
    p.m *= p.batch;
    p.batch = 1;
  }
  p.a = MatrixOperand(nullptr, attrs.trans_a ? p.m : p.k, attrs.trans_a);
  p.a.batch_step = p.m * p.k;
  p.b = MatrixOperand(nullptr, attrs.trans_b ? p.k : p.n, !attrs.trans_b);
  p.b.batch_step = shared_b ? 0 : p.n * p.k;
  p.c = MatrixOutput(nullptr, p.n);
  p.c.batch_step = p.m * p.n;
  p.act = attrs.act;
  return p;
}

GemmProblem ProblemOf(const KernelQuery& query) {
  return MatmulProblem(query.operands[0].shape, query.operands[1].shape, query.results[0].shape,
                       std::get<MatmulAttrs>(*query.attrs));
}

GemmProblem ProblemOf(const KernelArgs& args) {
  const TensorView& a = args.operands[0];
  const TensorView& b = args.operands[1];
  const TensorView& y = args.results[0];
  GemmProblem p = MatmulProblem(a.shape, b.shape, y.shape, args.Attr<MatmulAttrs>());
  p.a.data = a.as<float>();
  p.b.data = b.as<float>();
  p.c.data = y.as<float>();
  p.bias = args.operands.size() > 2 ? args.operands[2].as<float>() : nullptr;
  return p;
}

}  // namespace

int64_t ScratchMatmul(const KernelQuery& query) {
  return GemmScratchBytes(ProblemOf(query), query.slots);
}

void RunMatmul(const KernelArgs& args) { Gemm(ProblemOf(args), args.scratch, args.pool); }

// Of one product: several would each have a copy of the weights.
bool PackedMatmul::Supports(const KernelQuery& query) {
  if (!HasFrozenWeights(query)) return false;
  const GemmProblem p = ProblemOf(query);
  return p.batch == 1 && PackingPays(p);
}
int64_t PackedMatmul::ScratchBytes(const KernelQuery& query) {
  return PackedScratchBytes(ProblemOf(query), query.slots);
}
int64_t PackedMatmul::StateBytes(const KernelQuery& query) {
  return PackedStateBytes(ProblemOf(query));
}
Status PackedMatmul::Prepare(const KernelArgs& args, void** state) {
  return PrepareGemm(ProblemOf(args), state);
}
void PackedMatmul::Run(const KernelArgs& args) { RunPreparedGemm(ProblemOf(args), args); }

}  // namespace pocketune
