// Every own kernel but those on the GEMM against the reference in double, at every instruction-set
// level: on memory poisoned with NaN, in place, with unread results, and with 1 to 4 threads.
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/cpu/cpu_kernels.h"
#include "backends/reference/reference_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

struct Case {
  OpKind op;
  Attrs attrs;
  std::vector<TensorData> operands;
};

// Uniform values; the operands of one case differ by their names.
TensorData X(const Shape& shape, const char* name = "x", double lo = -2, double hi = 2) {
  return TensorData::Uniform({shape}, name, lo, hi);
}
TensorData Y(const Shape& shape, double lo = -2, double hi = 2) { return X(shape, "y", lo, hi); }
// One of few values, so that maxima have ties.
TensorData Steps(const Shape& shape) {
  TensorData x = X(shape, "steps", 0, 4);
  for (int64_t i = 0; i < x.elems(); ++i) x.Set(i, static_cast<int>(x[i]));
  return x;
}
TensorData Labels(int64_t n, int64_t classes) {
  TensorData labels({{n}, DType::kI32});
  for (int64_t i = 0; i < n; ++i) labels.Set(i, double(i * 7 % classes));
  return labels;
}
// A random bit for each of n elements.
TensorData Bits(int64_t n) {
  return TensorData::Uniform({{CeilDiv(n, 8)}, DType::kU8}, "bits", 0, 256);
}
// Every third sample is padding.
TensorData Weights(int64_t n) {
  TensorData weights({{n}});
  for (int64_t i = 0; i < n; ++i) weights.Set(i, i % 3 == 2 ? 0 : 1);
  return weights;
}

// An index of every second of `n` slices.
TensorData SomeOf(int64_t n) {
  TensorData index({{n / 2}});
  for (int64_t i = 0; i < n / 2; ++i) index.Set(i, double(2 * i + 1));
  return index;
}

const Shape kFlatShapes[] = {{}, {1}, {3}, {17}, {2, 3, 5, 7}, {70001}};

void AddElementwise(std::vector<Case>* cases) {
  const ClampAttrs clamp{-0.5, 1.25};
  for (const Shape& s : kFlatShapes) {
    for (OpKind op :
         {OpKind::kRelu, OpKind::kRelu6, OpKind::kHardSwish, OpKind::kHardSigmoid, OpKind::kSilu,
          OpKind::kSigmoid, OpKind::kTanh, OpKind::kSoftplus, OpKind::kExp}) {
      cases->push_back({op, NoAttrs(), {X(s, "x", -8, 8)}});
    }
    for (OpKind op :
         {OpKind::kReluGrad, OpKind::kRelu6Grad, OpKind::kHardSwishGrad, OpKind::kHardSigmoidGrad,
          OpKind::kSiluGrad, OpKind::kSigmoidGrad, OpKind::kTanhGrad}) {
      cases->push_back({op, NoAttrs(), {X(s), Y(s, -8, 8)}});
    }
    cases->push_back({OpKind::kClamp, clamp, {X(s)}});
    cases->push_back({OpKind::kClampGrad, clamp, {X(s), Y(s)}});
    for (const GateAttrs& gate :
         {GateAttrs{Act::kRelu}, GateAttrs{Act::kRelu6}, GateAttrs{Act::kNone, -0.5, 1.25}}) {
      cases->push_back({OpKind::kGateMask, gate, {X(s, "x", -8, 8)}});
    }
    cases->push_back({OpKind::kGateGrad, NoAttrs(), {X(s), Bits(s.elems())}});
    cases->push_back({OpKind::kLog, NoAttrs(), {X(s, "x", 0.01, 8)}});
    cases->push_back({OpKind::kSqrt, NoAttrs(), {X(s, "x", 0, 8)}});
    cases->push_back({OpKind::kAffine, AffineAttrs{-1.5, 0.25}, {X(s)}});
    cases->push_back({OpKind::kDropout, DropoutAttrs{0.3, 5}, {X(s)}});
  }
  cases->push_back({OpKind::kDropout, DropoutAttrs{0.0, 5}, {X({257})}});
  const TensorData dy = X({9});
  const TensorData kinks({9}, {-4, -3, -0.5, -0.0, 0, 1.25, 3, 6, 7});
  for (OpKind op :
       {OpKind::kReluGrad, OpKind::kRelu6Grad, OpKind::kHardSwishGrad, OpKind::kHardSigmoidGrad}) {
    cases->push_back({op, NoAttrs(), {dy, kinks}});
  }
  cases->push_back({OpKind::kClampGrad, clamp, {dy, kinks}});
}

void AddNarrowing(std::vector<Case>* cases) {
  KernelRunner reference(ReferenceKernels());
  for (const Shape& s : {Shape{}, Shape{17}, Shape{2, 3, 5, 7}, Shape{3, 67, 71, 5}, Shape{211, 67},
                         Shape{7, 1031}}) {
    for (const int bits : {16, 8}) {
      const NarrowAttrs attrs{bits};
      cases->push_back({OpKind::kNarrow, attrs, {X(s)}});
      const TensorData packed = reference.Run1(OpKind::kNarrow, {X(s)}, attrs);
      cases->push_back({OpKind::kWiden, WidenAttrs{bits, s}, {packed}});
    }
  }
}

void AddBroadcasts(std::vector<Case>* cases) {
  const std::pair<Shape, Shape> pairs[] = {
      {{2, 3, 5, 7}, {2, 3, 5, 7}},  // same shape
      {{70001}, {70001}},
      {{2, 3, 5, 7}, {}},  // scalars
      {{}, {11, 13}},
      {{1}, {}},
      {{2, 3, 5, 7}, {7}},  // last dimension
      {{37}, {41, 53, 37}},
      {{3, 5, 7, 19}, {3, 1, 1, 19}},  // one value per image and channel
      {{3, 1, 1, 19}, {3, 5, 7, 19}},
      {{2, 3, 5, 1}, {2, 3, 5, 7}},  // the inner dimension stretches
      {{5, 1, 7, 1}, {3, 1, 11}},    // both stretch
      {{2, 1, 3, 1, 5, 1}, {1, 7, 1, 2, 1, 3}},
      {{1, 40009}, {3, 1}},  // long runs of one value
      {{1, 1, 1}, {1, 1, 1}},
  };
  for (const auto& [a, b] : pairs) {
    for (OpKind op : {OpKind::kAdd, OpKind::kSub, OpKind::kMul}) {
      cases->push_back({op, NoAttrs(), {X(a), Y(b)}});
    }
    cases->push_back({OpKind::kDiv, NoAttrs(), {X(a), Y(b, 0.5, 2)}});
  }
}

void AddNormalization(std::vector<Case>* cases) {
  for (const Shape& s : {Shape{2, 5, 7, 19}, Shape{1, 3}, Shape{131, 1}, Shape{3, 67, 71, 5},
                         Shape{211, 67}, Shape{7, 1031}}) {
    const Shape c{s[-1]};
    const TensorData scale = X(c, "scale", 0.5, 2), shift = X(c, "shift");
    const TensorData mean = X(c, "mean"), var = X(c, "var", 0.1, 2);
    for (int act = 0; act < kActCount; ++act) {
      const NormAttrs attrs{1e-3, static_cast<Act>(act)};
      cases->push_back({OpKind::kBatchNorm, attrs, {X(s, "x", -9, 9), scale, shift}});
      cases->push_back({OpKind::kBatchNormFrozen, attrs, {X(s), scale, shift, mean, var}});
    }
    const NormAttrs attrs{1e-3, Act::kNone};
    cases->push_back({OpKind::kBatchNormGrad, attrs, {X(s), Y(s), scale, mean, var}});
    for (Act act : {Act::kRelu, Act::kRelu6}) {
      cases->push_back({OpKind::kBatchNormGrad,
                        NormAttrs{1e-3, act},
                        {X(s), X(s, "x", -9, 9), scale, mean, var, shift}});
    }
    if (s.rank() > 2) cases->push_back({OpKind::kBatchNormMoments, NoAttrs(), {X(s, "x", 3, 9)}});
    cases->push_back({OpKind::kBatchNormStatistics,
                      MomentsAttrs{19},
                      {X(Shape{s[0], 2, s[-1]}, "moments", 0.1, 2)}});
    for (Act act : {Act::kNone, Act::kRelu, Act::kRelu6}) {
      std::vector<TensorData> operands = {X(s), X(s, "x", -9, 9), scale, mean, var};
      if (act != Act::kNone) operands.push_back(shift);
      cases->push_back({OpKind::kBatchNormGradParams, NormAttrs{1e-3, act}, operands});
      operands.insert(operands.begin() + 5, {X(c, "dscale"), X(c, "dshift")});
      cases->push_back({OpKind::kBatchNormGradInput, NormGradAttrs{1e-3, 977, act}, operands});
    }
    cases->push_back({OpKind::kBatchNormFrozenGradInput, attrs, {X(s), scale, var}});
    cases->push_back({OpKind::kBatchNormFrozenGradScale, attrs, {X(s), Y(s), mean, var}});
    cases->push_back({OpKind::kBatchNormUpdate,
                      NormUpdateAttrs{0.1, 17},
                      {X(c, "running"), X(c, "running_var", 0, 1), mean, var}});
  }
}

void AddReductions(std::vector<Case>* cases) {
  const std::pair<Shape, uint32_t> reductions[] = {
      {{3, 5, 7, 11}, 0b1111},  // everything
      {{3, 5, 7, 11}, 0b0111},  // into the last dimension
      {{3, 5, 7, 11}, 0b1000},  // over the last dimension
      {{3, 5, 7, 83}, 0b0110},  // height and width
      {{3, 5, 7, 11}, 0b1001},  // others
      {{3, 5, 7, 11}, 0b0101},
      {{3, 5, 7, 11}, 0b1010},
      {{2, 3, 2, 5, 3, 7}, 0b010101},
      {{2, 3, 2, 5, 3, 7}, 0b101010},
      {{3, 1, 7, 1}, 0b0010},
      {{3, 1, 7, 1}, 0b1100},
      {{1}, 1},
      {{1, 1}, 2},
      {{100003}, 1},
      {{3001, 67}, 1},
      {{5, 40009}, 2},
      {{3, 1031}, 1},
  };
  for (const auto& [s, axes] : reductions) {
    for (bool keep_dims : {false, true}) {
      const ReduceAttrs attrs{axes, keep_dims};
      // Positive, so that no sum is small against its terms.
      for (OpKind op : {OpKind::kReduceSum, OpKind::kReduceMean}) {
        cases->push_back({op, attrs, {X(s, "x", 0.5, 2)}});
      }
      cases->push_back({OpKind::kReduceMax, attrs, {X(s)}});
      KernelRunner reference(ReferenceKernels());
      const TensorData x = Steps(s);
      const TensorData y = reference.Run1(OpKind::kReduceMax, {x}, attrs);
      cases->push_back({OpKind::kReduceMaxGrad, attrs, {X(y.shape()), x, y}});
    }
  }
  for (const Shape& s : {Shape{1}, Shape{13}, Shape{7, 1}, Shape{37, 10}, Shape{2, 3, 1009},
                         Shape{2, 9001}, Shape{307, 1009}}) {
    cases->push_back({OpKind::kSoftmax, NoAttrs(), {X(s, "x", -9, 9)}});
    cases->push_back({OpKind::kLogSoftmax, NoAttrs(), {X(s, "x", -9, 9)}});
    cases->push_back({OpKind::kSoftmaxGrad, NoAttrs(), {X(s), Y(s, 0, 1)}});
    cases->push_back({OpKind::kLogSoftmaxGrad, NoAttrs(), {X(s), Y(s, -9, 0)}});
  }
}

void AddPooling(std::vector<Case>* cases) {
  struct Geometry {
    Shape x;
    PoolAttrs attrs;
  };
  std::vector<Geometry> geometries = {
      {{2, 7, 11, 19}, {{2, 2}, {2, 2}, {0, 0, 0, 0}}},
      {{2, 7, 11, 5}, {{3, 3}, {2, 2}, {1, 1, 1, 1}}},
      {{1, 13, 7, 67}, {{3, 2}, {1, 3}, {0, 1, 1, 0}}},
      {{3, 5, 5, 3}, {{3, 3}, {1, 1}, {1, 1, 1, 1}}},
      {{2, 37, 41, 19}, {{3, 3}, {2, 2}, {0, 1, 0, 1}}},
      {{2, 7, 7, 131}, {{7, 7}, {1, 1}, {0, 0, 0, 0}}},
      {{1, 11, 5, 1}, {{2, 2}, {3, 3}, {0, 0, 0, 0}}},  // some input is in no window
      {{1, 1, 1, 7}, {{1, 1}, {1, 1}, {0, 0, 0, 0}}},
  };
  for (Geometry& g : geometries) {
    for (bool count_include_pad : {false, true}) {
      g.attrs.count_include_pad = count_include_pad;
      g.attrs.size[0] = int32_t(g.x[1]);
      g.attrs.size[1] = int32_t(g.x[2]);
      TensorType y;
      ASSERT_TRUE(InferShapes(OpKind::kMaxPool, {{TensorType{g.x}}}, g.attrs, {&y, 1}).ok());
      cases->push_back({OpKind::kMaxPool, g.attrs, {X(g.x)}});
      cases->push_back({OpKind::kAvgPool, g.attrs, {X(g.x, "x", 0.5, 2)}});
      cases->push_back({OpKind::kMaxPoolGrad, g.attrs, {Y(y.shape), Steps(g.x)}});
      cases->push_back({OpKind::kAvgPoolGrad, g.attrs, {Y(y.shape)}});
    }
  }
}

void AddMoves(std::vector<Case>* cases) {
  cases->push_back({OpKind::kReshape, ShapeAttrs{{6, 5}}, {X({2, 3, 5})}});
  cases->push_back({OpKind::kFill, ShapeAttrs{{3, 40009}, 0.75}, {}});
  cases->push_back({OpKind::kFill, ShapeAttrs{{}, -2}, {}});
  const std::pair<Shape, Shape> broadcasts[] = {
      {{}, {3, 5}},
      {{7}, {3, 5, 7}},
      {{3, 1}, {2, 3, 5}},
      {{2, 1, 1, 19}, {2, 5, 7, 19}},
      {{3, 1, 5, 1}, {3, 2, 5, 7}},
      {{3, 5}, {3, 5}},
      {{1}, {70001}},
  };
  for (const auto& [from, to] : broadcasts) {
    cases->push_back({OpKind::kBroadcastTo, ShapeAttrs{to}, {X(from)}});
  }
  const std::pair<Shape, TransposeAttrs> transposes[] = {
      {{5, 7}, {{1, 0}}},
      {{211, 307}, {{1, 0}}},
      {{4, 8}, {{1, 0}}},
      {{1, 7}, {{1, 0}}},
      {{2, 3, 5, 19}, {{0, 3, 1, 2}}},
      {{2, 19, 3, 5}, {{0, 2, 3, 1}}},
      {{2, 3, 5, 7}, {{0, 2, 1, 3}}},
      {{2, 3, 5, 7}, {{3, 2, 1, 0}}},
      {{2, 3, 5, 7}, {{0, 1, 2, 3}}},
      {{2, 3, 2, 5, 3, 7}, {{5, 0, 4, 1, 3, 2}}},
  };
  for (const auto& [s, attrs] : transposes) {
    cases->push_back({OpKind::kTranspose, attrs, {X(s)}});
  }
  cases->push_back({OpKind::kConcat, AxisAttrs{0}, {X({2, 3}), Y({5, 3})}});
  cases->push_back({OpKind::kConcat, AxisAttrs{3}, {X({2, 3, 5, 7}), Y({2, 3, 5, 1})}});
  cases->push_back({OpKind::kConcat, AxisAttrs{1}, {X({3, 1}), Y({3, 2}), X({3, 40009}, "z")}});
  cases->push_back({OpKind::kConcat, AxisAttrs{0}, {X({1})}});
  PadAttrs pad{{0, 1, 2, 0}, {0, 0, 3, 1}, 0.5};
  cases->push_back({OpKind::kPad, pad, {X({2, 3, 5, 7})}});
  cases->push_back({OpKind::kPad, PadAttrs{{0, 2}, {1, 3}, -1}, {X({3, 1})}});
  const std::pair<Shape, int> gathers[] = {{{7}, 0},        {{5, 7, 11}, 2},      {{5, 7, 11}, 0},
                                           {{3, 11, 1}, 1}, {{2, 97, 103, 5}, 3}, {{3, 1009}, 1}};
  for (const auto& [s, axis] : gathers) {
    cases->push_back({OpKind::kGather, AxisAttrs{axis}, {X(s), SomeOf(s[axis])}});
  }
  // What no number of a slice is means the first one.
  cases->push_back(
      {OpKind::kGather, AxisAttrs{1}, {X({3, 5}), TensorData({4}, {2, -1, 5, std::nan("")})}});
  cases->push_back({OpKind::kSlice, SliceAttrs{{0, 1, 2, 3}, {2, 2, 1, 4}}, {X({2, 3, 5, 7})}});
  cases->push_back({OpKind::kSlice, SliceAttrs{{1, 2}, {2, 1}}, {X({3, 5})}});
  cases->push_back({OpKind::kSlice, SliceAttrs{{3}, {50021}}, {X({70001})}});
}

void AddLossesAndUpdates(std::vector<Case>* cases) {
  const TensorData dloss({}, {0.75});
  for (const auto& [n, classes] : {std::pair{1, 2}, {7, 10}, {37, 1009}, {64, 5}}) {
    for (double smoothing : {0.0, 0.1}) {
      const LossAttrs attrs{smoothing};
      const TensorData x = X({n, classes}, "x", -9, 9), labels = Labels(n, classes);
      cases->push_back({OpKind::kSoftmaxCrossEntropy, attrs, {x, labels, Weights(n)}});
      cases->push_back({OpKind::kSoftmaxCrossEntropyGrad, attrs, {dloss, x, labels, Weights(n)}});
    }
  }
  for (const Shape& s : {Shape{1}, Shape{5, 7}, Shape{3, 5, 7, 11}, Shape{3, 40009}}) {
    const TensorData weights = Weights(s[0]);
    cases->push_back({OpKind::kMeanSquaredError, NoAttrs(), {X(s), Y(s), weights}});
    cases->push_back({OpKind::kMeanSquaredErrorGrad, NoAttrs(), {dloss, X(s), Y(s), weights}});
  }
  const TensorData none({3}, {0, 0, 0});
  cases->push_back({OpKind::kMeanSquaredError, NoAttrs(), {X({3, 2}), Y({3, 2}), none}});
  OptimizerAttrs plain{0.5, 0.01, 0.9};
  OptimizerAttrs nesterov = plain;
  nesterov.nesterov = true;
  for (const Shape& s : kFlatShapes) {
    const TensorData w = X(s, "w"), g = X(s, "g"), m = X(s, "m"), v = X(s, "v", 0, 1);
    cases->push_back({OpKind::kSgd, plain, {w, g}});
    cases->push_back({OpKind::kMomentum, plain, {w, m, g}});
    cases->push_back({OpKind::kMomentum, nesterov, {w, m, g}});
    cases->push_back({OpKind::kAdamW, plain, {w, m, v, g}});
  }
  for (const auto& [s, axis] : {std::pair{Shape{5, 3, 3, 7}, 3},
                                {Shape{11, 67}, 0},
                                {Shape{3, 2003}, 1},
                                {Shape{40009, 3}, 1}}) {
    Shape part = s;
    part[axis] = s[axis] / 2;
    const TensorData w = X(s, "w"), index = SomeOf(s[axis]), g = X(part, "g");
    const TensorData m = X(part, "m"), v = X(part, "v", 0, 1);
    cases->push_back({OpKind::kSgd, plain, {w, g, index}});
    cases->push_back({OpKind::kMomentum, nesterov, {w, m, g, index}});
    cases->push_back({OpKind::kAdamW, plain, {w, m, v, g, index}});
  }
}

const std::vector<Case>& AllCases() {
  static const std::vector<Case>* cases = [] {
    auto* all = new std::vector<Case>;
    AddElementwise(all);
    AddNarrowing(all);
    AddBroadcasts(all);
    AddNormalization(all);
    AddReductions(all);
    AddPooling(all);
    AddMoves(all);
    AddLossesAndUpdates(all);
    return all;
  }();
  return *cases;
}

std::string Describe(const Case& c, size_t index) {
  std::string text = std::string(InfoOf(c.op).name) + ", case " + std::to_string(index) + ":";
  for (const TensorData& operand : c.operands) {
    text += " [";
    for (int64_t d : operand.shape().dims()) text += std::to_string(d) + ",";
    text += "]";
  }
  return text;
}

std::vector<TensorData> RunCase(KernelRunner* runner, const Case& c,
                                const RunOptions& options = {}) {
  runner->page.step = 3;
  return runner->Run(c.op, c.operands, c.attrs, options);
}

std::vector<TensorData> RunInDouble(KernelRunner* runner, Case c) {
  for (TensorData& x : c.operands) {
    if (x.type().dtype == DType::kF32) x = x.As(DType::kF64);
  }
  runner->fill_dtype = DType::kF64;
  return RunCase(runner, c);
}

class OwnKernelsTest : public IsaTest {};

TEST_P(OwnKernelsTest, AgreeWithTheReference) {
  KernelRunner cpu(CpuKernels()), reference(ReferenceKernels());
  for (size_t i = 0; i < AllCases().size(); ++i) {
    const Case& c = AllCases()[i];
    SCOPED_TRACE(Describe(c, i));
    const std::vector<TensorData> got = RunCase(&cpu, c), want = RunInDouble(&reference, c);
    ASSERT_EQ(got.size(), want.size());
    for (size_t r = 0; r < got.size(); ++r) {
      EXPECT_LE(RelativeError(got[r], want[r]), 1e-5) << "result " << r;
    }
  }
}

TEST_P(OwnKernelsTest, GiveTheSameBitsWithAnyNumberOfThreads) {
  KernelRunner one(CpuKernels());
  for (int threads = 2; threads <= 4; ++threads) {
    KernelRunner many(CpuKernels(), threads);
    for (size_t i = 0; i < AllCases().size(); ++i) {
      const Case& c = AllCases()[i];
      SCOPED_TRACE(Describe(c, i));
      EXPECT_TRUE(RunCase(&many, c) == RunCase(&one, c)) << threads << " threads";
    }
  }
}

TEST_P(OwnKernelsTest, GiveTheSameBitsInPlace) {
  KernelRunner cpu(CpuKernels());
  for (size_t i = 0; i < AllCases().size(); ++i) {
    const Case& c = AllCases()[i];
    if (!InfoOf(c.op).Has(kInplace)) continue;
    SCOPED_TRACE(Describe(c, i));
    const std::vector<TensorData> apart = RunCase(&cpu, c);
    if (apart[0].type() != c.operands[0].type()) continue;
    RunOptions options;
    options.in_place = true;
    EXPECT_TRUE(RunCase(&cpu, c, options) == apart);
  }
}

TEST_P(OwnKernelsTest, LeaveOutUnreadResults) {
  KernelRunner cpu(CpuKernels());
  for (size_t i = 0; i < AllCases().size(); ++i) {
    const Case& c = AllCases()[i];
    const int results = InfoOf(c.op).results;
    if (results == 1 || InfoOf(c.op).Has(kUpdate)) continue;
    SCOPED_TRACE(Describe(c, i));
    const std::vector<TensorData> all = RunCase(&cpu, c);
    for (uint32_t unread = 1; unread + 1 < 1u << results; ++unread) {
      RunOptions options;
      options.unread_results = unread;
      const std::vector<TensorData> some = RunCase(&cpu, c, options);
      for (size_t r = 0; r < some.size(); ++r) {
        EXPECT_TRUE((unread >> r & 1) != 0 || some[r] == all[r]) << "result " << r;
      }
    }
  }
}

PT_INSTANTIATE_FOR_ISA_LEVELS(OwnKernelsTest);

TEST(OwnKernelsTableTest, HasACaseForEveryKernelThatIsNotOnTheGemm) {
  std::set<OpKind> tested;
  for (const Case& c : AllCases()) tested.insert(c.op);
  for (const KernelInfo& kernel : CpuKernels()) {
    if (InfoOf(kernel.op).Has(kHasMacs)) continue;
    EXPECT_TRUE(tested.count(kernel.op) != 0) << kernel.name;
  }
}

}  // namespace
}  // namespace pocketune::test
