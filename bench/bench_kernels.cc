// Own kernels and XNNPACK's on the shapes of small vision models, one thread. GFLOP/s count a
// multiply-accumulate as two.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "backends/cpu/cpu_kernels.h"

namespace pocketune {
namespace {

struct Case {
  const char* name;
  OpKind op;
  Attrs attrs;
  std::vector<TensorType> operands;
};

ConvAttrs Window(int stride, int pad) {
  ConvAttrs a;
  a.stride[0] = a.stride[1] = stride;
  for (int32_t& p : a.pad) p = pad;
  return a;
}

ConvGradAttrs GradWindow(int stride, int pad, int size) {
  ConvGradAttrs a;
  a.stride[0] = a.stride[1] = stride;
  for (int32_t& p : a.pad) p = pad;
  a.size[0] = a.size[1] = size;
  return a;
}

std::vector<Case> Cases() {
  const MatmulAttrs nn{false, false, Act::kNone}, nt{false, true, Act::kNone},
      tn{true, false, Act::kNone};
  const TensorType square{{512, 512}};
  const TensorType x56{{8, 56, 56, 144}}, x28{{8, 28, 28, 144}}, x64{{8, 56, 56, 64}};
  return {
      {"512x512x512/nn", OpKind::kMatmul, nn, {square, square}},
      {"512x512x512/nt", OpKind::kMatmul, nt, {square, square}},
      {"512x512x512/tn", OpKind::kMatmul, tn, {square, square}},
      {"784x96x576/nt", OpKind::kMatmul, nt, {{{784, 576}}, {{96, 576}}}},
      {"8x1000x512/nt", OpKind::kMatmul, nt, {{{8, 512}}, {{1000, 512}}}},
      {"pointwise_56_24_144",
       OpKind::kConv2d,
       Window(1, 0),
       {{{8, 56, 56, 24}}, {{144, 1, 1, 24}}}},
      {"pointwise_56_24_144",
       OpKind::kConv2dGradInput,
       GradWindow(1, 0, 56),
       {x56, {{144, 1, 1, 24}}}},
      {"pointwise_56_24_144",
       OpKind::kConv2dGradFilter,
       GradWindow(1, 0, 1),
       {x56, {{8, 56, 56, 24}}}},
      {"3x3_56_64_64", OpKind::kConv2d, Window(1, 1), {x64, {{64, 3, 3, 64}}}},
      {"3x3_56_64_64", OpKind::kConv2dGradInput, GradWindow(1, 1, 56), {x64, {{64, 3, 3, 64}}}},
      {"3x3_56_64_64", OpKind::kConv2dGradFilter, GradWindow(1, 1, 3), {x64, x64}},
      {"3x3_56_144", OpKind::kDepthwiseConv2d, Window(1, 1), {x56, {{3, 3, 144}}}},
      {"3x3_56_144", OpKind::kDepthwiseConv2dGradInput, GradWindow(1, 1, 56), {x56, {{3, 3, 144}}}},
      {"3x3_56_144", OpKind::kDepthwiseConv2dGradFilter, GradWindow(1, 1, 3), {x56, x56}},
      {"3x3_56_144_s2",
       OpKind::kDepthwiseConv2dGradInput,
       GradWindow(2, 1, 56),
       {x28, {{3, 3, 144}}}},
      {"7x7_28_144", OpKind::kDepthwiseConv2d, Window(1, 3), {x28, {{7, 7, 144}}}},
      {"7x7_28_144", OpKind::kDepthwiseConv2dGradFilter, GradWindow(1, 3, 7), {x28, x28}},
  };
}

// 64-byte aligned, with room that XNNPACK may read past the end.
struct Buffer {
  explicit Buffer(int64_t floats) : data(static_cast<size_t>(floats) + 64, 0.5f) {}
  void* aligned() {
    return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(data.data()) + 63) / 64 * 64);
  }
  std::vector<float> data;
};

void RunCase(benchmark::State& state, const Case& c, const KernelInfo* kernel) {
  std::vector<TensorType> results(1);
  if (!InferShapes(c.op, c.operands, c.attrs, results).ok()) {
    state.SkipWithError("shapes do not fit");
    return;
  }
  const KernelQuery query{c.op, c.operands, results, &c.attrs, ~1u, Isa::kAuto, 1};
  std::vector<Buffer> buffers;
  std::vector<TensorView> views;
  for (const TensorType& t : c.operands) buffers.emplace_back(t.shape.elems());
  buffers.emplace_back(results[0].shape.elems());
  buffers.emplace_back(kernel->scratch_bytes != nullptr ? kernel->scratch_bytes(query) / 4 + 1 : 1);
  for (const TensorType& t : c.operands) {
    views.push_back({buffers[views.size()].aligned(), t.shape, t.dtype});
  }
  const TensorView result{buffers[views.size()].aligned(), results[0].shape, results[0].dtype};
  ThreadPool pool(1);
  KernelArgs args;
  args.operands = views;
  args.results = {&result, 1};
  args.attrs = AttrsBytes(c.attrs).data();
  args.scratch = buffers.back().aligned();
  args.pool = &pool;
  if (kernel->prepare != nullptr && !kernel->prepare(args, &args.state).ok()) {
    state.SkipWithError("cannot be prepared");
    return;
  }
  for (auto _ : state) kernel->run(args);
  if (kernel->release != nullptr) kernel->release(args.state);
  const double flops = 2.0 * static_cast<double>(MacsOf(c.op, c.operands, results, c.attrs));
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void RegisterAll() {
  for (const Case& c : Cases()) {
    for (const KernelInfo& row : CpuKernels()) {
      if (row.op != c.op) continue;
      std::vector<TensorType> results(1);
      const bool valid = InferShapes(c.op, c.operands, c.attrs, results).ok();
      const KernelQuery query{c.op, c.operands, results, &c.attrs, ~1u, Isa::kAuto, 1};
      if (!valid || (row.supports != nullptr && !row.supports(query))) continue;
      benchmark::RegisterBenchmark((std::string(row.name) + "/" + c.name).c_str(),
                                   [c, &row](benchmark::State& state) { RunCase(state, c, &row); })
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace pocketune

int main(int argc, char** argv) {
  pocketune::RegisterAll();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
