// Every op that has a gradient rule, against central differences in double.
#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/grad_rules.h"
#include "backends/reference/reference_kernels.h"
#include "graph/ir/builder.h"
#include "tests/support/numeric_grad.h"

namespace pocketune {
namespace {

using test::Interpreter;
using test::NumericGradient;
using test::RelativeError;
using test::TensorData;

struct Operand {
  Shape shape;
  double lo = -2.0;
  double hi = 2.0;
  bool wanted = true;
  int classes = 0;  // > 0: labels below it instead of numbers
};

struct GradientCase {
  std::string name;
  OpKind op;
  std::vector<Operand> operands;
  Attrs attrs = NoAttrs{};
};

void PrintTo(const GradientCase& c, std::ostream* os) { *os << c.name; }

// Values spread evenly over (lo, hi) in random order: no two are alike, and none is near a kink of
// the ops tested here.
HostData Spread(const Operand& operand, int index) {
  const int64_t n = operand.shape.elems();
  const RandomStream random(3, static_cast<uint64_t>(index));
  std::vector<float> values(n);
  for (int64_t i = 0; i < n; ++i) {
    values[i] = static_cast<float>(operand.lo + (operand.hi - operand.lo) * (i + 0.37) / n);
  }
  for (int64_t i = n - 1; i > 0; --i) {
    std::swap(values[i], values[random.Below(i, static_cast<uint32_t>(i + 1))]);
  }
  return std::make_shared<const std::vector<float>>(std::move(values));
}

// sum(op(operands) * r) for a fixed r, so that no element's gradient is like another's.
struct Model {
  Graph graph;
  std::vector<ValueId> operands;
  std::vector<ValueId> wanted;
  ValueId loss = kNone;
};

Model BuildModel(const GradientCase& c) {
  Model m;
  for (size_t i = 0; i < c.operands.size(); ++i) {
    const Operand& operand = c.operands[i];
    const std::string name = "operand" + std::to_string(i);
    const ValueId id = operand.classes > 0
                           ? m.graph.AddInput(name, {operand.shape, DType::kI32})
                           : m.graph.AddParam(name, operand.shape, ParamRole::kWeight,
                                              Spread(operand, static_cast<int>(i)));
    m.operands.push_back(id);
    if (operand.wanted && operand.classes == 0) m.wanted.push_back(id);
  }
  GraphBuilder b(&m.graph);
  b.set_loc("layer");
  const ValueId y = b.Op(c.op, m.operands, c.attrs);
  const Shape shape = b.shape(y);
  const ValueId r =
      m.graph.AddConst("r", shape, Spread({.shape = shape, .lo = -1.0, .hi = 1.5}, 99));
  m.loss = b.SumTo(b.Op(OpKind::kMul, {y, r}), {});
  EXPECT_TRUE(b.status().ok()) << b.status();
  m.graph.outputs.push_back({"loss", m.loss});
  return m;
}

// Adds the backward pass for `wanted`, each gradient an output of its parameter's name + "'".
void AddBackward(Model* m, const std::vector<ValueId>& wanted) {
  absl::StatusOr<std::vector<ParamGrad>> grads = BuildBackward(m->graph, m->loss, wanted);
  ASSERT_TRUE(grads.ok()) << grads.status();
  for (const ParamGrad& g : *grads) {
    EXPECT_EQ(m->graph.shape(g.grad), m->graph.shape(g.param));
    m->graph.outputs.push_back({m->graph.value(g.param).name + "'", g.grad});
  }
}

void BindLabels(const GradientCase& c, Interpreter* run) {
  for (size_t i = 0; i < c.operands.size(); ++i) {
    if (c.operands[i].classes == 0) continue;
    std::vector<double> labels(c.operands[i].shape.elems());
    for (size_t k = 0; k < labels.size(); ++k) labels[k] = (2 * k + 1) % c.operands[i].classes;
    run->Set("operand" + std::to_string(i), labels);
  }
}

void SetPage(StepPage* page) {
  page->step = 3;
  page->seed = 11;
}

ConvAttrs Conv(int stride_h, int stride_w, std::vector<int> pad, int dilation_h = 1,
               int dilation_w = 1, int groups = 1) {
  ConvAttrs a;
  a.stride[0] = stride_h;
  a.stride[1] = stride_w;
  for (int i = 0; i < 4; ++i) a.pad[i] = pad[i];
  a.dilation[0] = dilation_h;
  a.dilation[1] = dilation_w;
  a.groups = groups;
  return a;
}

PoolAttrs Pool(int kernel, int stride, std::vector<int> pad, bool count_include_pad = false) {
  PoolAttrs a;
  for (int i = 0; i < 2; ++i) {
    a.kernel[i] = kernel;
    a.stride[i] = stride;
  }
  for (int i = 0; i < 4; ++i) a.pad[i] = pad[i];
  a.count_include_pad = count_include_pad;
  return a;
}

std::vector<GradientCase> ConvCases() {
  const auto conv = OpKind::kConv2d;
  const auto depthwise = OpKind::kDepthwiseConv2d;
  return {
      {"ConvPlain", conv, {{{2, 5, 7, 3}}, {{5, 3, 3, 3}}, {{5}}}, Conv(1, 1, {1, 1, 1, 1})},
      {"ConvWithoutBias", conv, {{{1, 5, 5, 2}}, {{3, 2, 2, 2}}}, Conv(1, 1, {0, 0, 0, 0})},
      {"ConvPointwise", conv, {{{2, 3, 5, 7}}, {{3, 1, 1, 7}}, {{3}}}, Conv(1, 1, {0, 0, 0, 0})},
      {"ConvTensorFlowSame", conv, {{{1, 6, 8, 2}}, {{3, 3, 3, 2}}}, Conv(2, 2, {0, 1, 0, 1})},
      {"ConvLeavesRowsOver", conv, {{{1, 8, 9, 2}}, {{3, 3, 2, 2}}}, Conv(3, 2, {0, 0, 0, 0})},
      {"ConvGroups",
       conv,
       {{{2, 5, 5, 6}}, {{9, 3, 1, 2}}, {{9}}},
       Conv(1, 2, {1, 1, 0, 0}, 1, 1, 3)},
      {"ConvDilated", conv, {{{1, 7, 9, 2}}, {{3, 3, 2, 2}}}, Conv(1, 1, {1, 2, 0, 3}, 2, 3)},
      {"ConvSizeOne", conv, {{{1, 1, 1, 1}}, {{1, 1, 1, 1}}, {{1}}}, Conv(1, 1, {0, 0, 0, 0})},
      {"ConvPaddingOnly", conv, {{{1, 1, 1, 2}}, {{2, 3, 3, 2}}}, Conv(1, 1, {1, 1, 1, 1})},
      {"DepthwisePlain", depthwise, {{{2, 5, 7, 3}}, {{3, 3, 3}}, {{3}}}, Conv(1, 1, {1, 1, 1, 1})},
      {"DepthwiseTensorFlowSame",
       depthwise,
       {{{1, 6, 8, 5}}, {{3, 3, 5}}},
       Conv(2, 2, {0, 1, 0, 1})},
      {"DepthwiseStride", depthwise, {{{1, 11, 7, 2}}, {{5, 7, 2}}}, Conv(3, 2, {2, 2, 3, 3})},
      {"DepthwiseDilated",
       depthwise,
       {{{1, 9, 7, 3}}, {{3, 2, 3}}},
       Conv(1, 2, {0, 1, 2, 0}, 3, 2)},
      {"DepthwiseSizeOne",
       depthwise,
       {{{1, 1, 1, 1}}, {{1, 1, 1}}, {{1}}},
       Conv(1, 1, {0, 0, 0, 0})},
  };
}

// Each transposition, of matrices, of batches, and of a batch with one matrix.
std::vector<GradientCase> MatmulCases() {
  std::vector<GradientCase> cases;
  for (int bits = 0; bits < 4; ++bits) {
    const bool ta = (bits & 1) != 0, tb = (bits & 2) != 0;
    const MatmulAttrs attrs{.trans_a = ta, .trans_b = tb};
    const std::string suffix = std::string(ta ? "T" : "N") + (tb ? "T" : "N");
    const Shape a = ta ? Shape{5, 3} : Shape{3, 5};
    const Shape b = tb ? Shape{7, 5} : Shape{5, 7};
    const auto batch = [](Shape s, std::initializer_list<int64_t> lead) {
      Shape batched(lead);
      for (int64_t d : s.dims()) batched.Append(d);
      return batched;
    };
    const auto op = OpKind::kMatmul;
    cases.push_back({"Matmul" + suffix, op, {{a}, {b}, {{7}}}, attrs});
    cases.push_back({"MatmulBatch" + suffix, op, {{batch(a, {2, 3})}, {batch(b, {2, 3})}}, attrs});
    cases.push_back({"MatmulShared" + suffix, op, {{batch(a, {2, 3})}, {b}, {{7}}}, attrs});
  }
  cases.push_back({"MatmulSizeOne", OpKind::kMatmul, {{{1, 1}}, {{1, 1}}, {{1}}}, MatmulAttrs{}});
  return cases;
}

std::vector<GradientCase> NormAndPoolCases() {
  const NormAttrs norm{.eps = 1e-3};
  const Operand scale = {{5}, 0.5, 1.5}, shift = {{5}};
  const Operand mean = {{5}, -1, 1, false}, var = {{5}, 0.5, 2, false};
  return {
      {"BatchNorm", OpKind::kBatchNorm, {{{2, 3, 3, 5}}, scale, shift}, norm},
      {"BatchNormVectors", OpKind::kBatchNorm, {{{7, 5}}, scale, shift}, norm},
      {"BatchNormOneChannel", OpKind::kBatchNorm, {{{3, 2, 1}}, {{1}}, {{1}}}, norm},
      {"BatchNormFrozen",
       OpKind::kBatchNormFrozen,
       {{{2, 3, 3, 5}}, scale, shift, mean, var},
       norm},
      {"MaxPool", OpKind::kMaxPool, {{{2, 7, 5, 3}}}, Pool(3, 2, {1, 1, 1, 1})},
      {"MaxPoolOverlapping", OpKind::kMaxPool, {{{1, 5, 5, 2}}}, Pool(3, 1, {0, 2, 1, 0})},
      {"MaxPoolSizeOne", OpKind::kMaxPool, {{{1, 1, 1, 1}}}, Pool(1, 1, {0, 0, 0, 0})},
      {"AvgPool", OpKind::kAvgPool, {{{2, 7, 5, 3}}}, Pool(3, 2, {1, 1, 1, 1})},
      {"AvgPoolCountsPadding", OpKind::kAvgPool, {{{1, 7, 5, 3}}}, Pool(3, 2, {0, 1, 1, 0}, true)},
      {"AvgPoolLeavesRowsOver", OpKind::kAvgPool, {{{1, 8, 7, 2}}}, Pool(2, 3, {0, 0, 0, 0})},
  };
}

std::vector<GradientCase> ElementwiseCases() {
  const Shape s = {3, 5, 7};
  return {
      {"Relu", OpKind::kRelu, {{s}}},
      {"Relu6", OpKind::kRelu6, {{s, -9, 9}}},
      {"HardSwish", OpKind::kHardSwish, {{s, -5, 5}}},
      {"HardSigmoid", OpKind::kHardSigmoid, {{s, -5, 5}}},
      {"Silu", OpKind::kSilu, {{s, -5, 5}}},
      {"Sigmoid", OpKind::kSigmoid, {{s, -5, 5}}},
      {"Tanh", OpKind::kTanh, {{s}}},
      {"Softplus", OpKind::kSoftplus, {{s, -5, 5}}},
      {"Clamp", OpKind::kClamp, {{s}}, ClampAttrs{.lo = -0.75, .hi = 1.25}},
      {"Exp", OpKind::kExp, {{s}}},
      {"Log", OpKind::kLog, {{s, 0.5, 3}}},
      {"Sqrt", OpKind::kSqrt, {{s, 0.5, 3}}},
      {"Affine", OpKind::kAffine, {{s}}, AffineAttrs{.factor = -1.75, .offset = 0.5}},
      {"Dropout", OpKind::kDropout, {{s}}, DropoutAttrs{.rate = 0.3, .salt = 5}},
      {"Scalar", OpKind::kExp, {{{}}}},
      {"Add", OpKind::kAdd, {{s}, {s}}},
      {"AddStretchesBoth", OpKind::kAdd, {{{3, 1, 5}}, {{7, 1}}}},
      {"Sub", OpKind::kSub, {{s}, {s}}},
      {"SubStretchesRight", OpKind::kSub, {{{2, 3}}, {{}}}},
      {"Mul", OpKind::kMul, {{s}, {s}}},
      {"MulStretchesLeft", OpKind::kMul, {{{5}}, {{2, 3, 5}}}},
      {"MulStretchesBoth", OpKind::kMul, {{{3, 1, 5}}, {{1, 7, 1}}}},
      {"Div", OpKind::kDiv, {{s}, {s, 0.5, 2}}},
      {"DivStretchesBoth", OpKind::kDiv, {{{3, 1}}, {{2, 1, 5}, 0.5, 2}}},
      {"AddSizeOne", OpKind::kAdd, {{{1, 1}}, {{1}}}},
  };
}

std::vector<GradientCase> ReductionCases() {
  const Shape s = {3, 5, 7};
  return {
      {"ReduceSumInner", OpKind::kReduceSum, {{s}}, ReduceAttrs{.axes = 4}},
      {"ReduceSumKeepsDims", OpKind::kReduceSum, {{s}}, ReduceAttrs{.axes = 5, .keep_dims = true}},
      {"ReduceMeanOuter", OpKind::kReduceMean, {{s}}, ReduceAttrs{.axes = 3}},
      {"ReduceMeanAll", OpKind::kReduceMean, {{s}}, ReduceAttrs{.axes = 7}},
      {"ReduceMeanSizeOne", OpKind::kReduceMean, {{{1, 1}}}, ReduceAttrs{.axes = 1}},
      {"ReduceMax", OpKind::kReduceMax, {{s}}, ReduceAttrs{.axes = 2}},
      {"ReduceMaxKeepsDims", OpKind::kReduceMax, {{s}}, ReduceAttrs{.axes = 6, .keep_dims = true}},
      {"Softmax", OpKind::kSoftmax, {{s}}},
      {"SoftmaxSizeOne", OpKind::kSoftmax, {{{3, 1}}}},
      {"LogSoftmax", OpKind::kLogSoftmax, {{s}}},
  };
}

std::vector<GradientCase> LayoutCases() {
  const Shape s = {3, 5, 7};
  const Operand weight = {{5}, 0.25, 1, false};
  return {
      {"Reshape", OpKind::kReshape, {{s}}, ShapeAttrs{.shape = {7, 15}}},
      {"BroadcastTo", OpKind::kBroadcastTo, {{{3, 1}}}, ShapeAttrs{.shape = {2, 3, 5}}},
      {"BroadcastScalar", OpKind::kBroadcastTo, {{{}}}, ShapeAttrs{.shape = {2, 3}}},
      {"Transpose",
       OpKind::kTranspose,
       {{{2, 3, 5, 7}}},
       TransposeAttrs{.perm = {2, 0, 3, 1, 4, 5}}},
      {"Concat", OpKind::kConcat, {{{2, 3, 5}}, {{2, 1, 5}}, {{2, 7, 5}}}, AxisAttrs{.axis = 1}},
      {"ConcatOne", OpKind::kConcat, {{{2, 3}}}, AxisAttrs{.axis = 0}},
      {"Pad", OpKind::kPad, {{{2, 3}}}, PadAttrs{.before = {1, 0}, .after = {2, 3}, .value = 0.5}},
      {"Slice", OpKind::kSlice, {{s}}, SliceAttrs{.begin = {1, 0, 2}, .shape = {2, 5, 3}}},
      {"CrossEntropy",
       OpKind::kSoftmaxCrossEntropy,
       {{{5, 7}}, {.shape = {5}, .classes = 7}, weight},
       LossAttrs{}},
      {"CrossEntropySmoothed",
       OpKind::kSoftmaxCrossEntropy,
       {{{5, 3}}, {.shape = {5}, .classes = 3}, weight},
       LossAttrs{.label_smoothing = 0.1}},
      {"SquaredError", OpKind::kMeanSquaredError, {{{5, 3}}, {{5, 3}, -1, 3}, weight}},
  };
}

std::vector<GradientCase> AllCases() {
  std::vector<GradientCase> all;
  for (auto* cases : {&ConvCases, &MatmulCases, &NormAndPoolCases, &ElementwiseCases,
                      &ReductionCases, &LayoutCases}) {
    for (GradientCase& c : cases()) all.push_back(std::move(c));
  }
  return all;
}

class OpGradientsTest : public testing::TestWithParam<GradientCase> {};

TEST_P(OpGradientsTest, AgreeWithCentralDifferences) {
  const GradientCase& c = GetParam();
  Model m = BuildModel(c);
  const Graph forward = m.graph;
  AddBackward(&m, m.wanted);
  StepPage page;
  SetPage(&page);
  Interpreter analytic(m.graph, ReferenceKernels(), DType::kF64);
  BindLabels(c, &analytic);
  analytic.Run(page);
  Interpreter numeric(forward, ReferenceKernels(), DType::kF64);
  BindLabels(c, &numeric);
  for (ValueId id : m.wanted) {
    const std::string& name = m.graph.value(id).name;
    EXPECT_LE(RelativeError(analytic.Get(name + "'"), NumericGradient(numeric, page, id, "loss")),
              1e-6)
        << name;
  }
}

// What one operand alone costs: the same bits, and no node that its gradient does not need.
TEST_P(OpGradientsTest, OfOneOperandAloneAreTheSameBitsAndNoWork) {
  const GradientCase& c = GetParam();
  Model all = BuildModel(c);
  AddBackward(&all, all.wanted);
  StepPage page;
  SetPage(&page);
  Interpreter full(all.graph, ReferenceKernels(), DType::kF32);
  BindLabels(c, &full);
  full.Run(page);
  for (ValueId id : all.wanted) {
    Model one = BuildModel(c);
    AddBackward(&one, {id});
    const std::string name = one.graph.value(id).name + "'";
    Interpreter sparse(one.graph, ReferenceKernels(), DType::kF32);
    BindLabels(c, &sparse);
    sparse.Run(page);
    EXPECT_TRUE(sparse.Get(name) == full.Get(name)) << name;

    const std::vector<std::vector<NodeId>> users = UsersOf(one.graph);
    for (const Node& node : one.graph.nodes) {
      bool used = node.phase == Phase::kForward;
      for (ValueId result : node.results) {
        used = used || !users[result].empty() || one.graph.FindOutput(name) == result;
      }
      EXPECT_TRUE(used) << node.info().name << " is dead when only " << name << " is wanted";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpGradientsTest, testing::ValuesIn(AllCases()),
                         [](const auto& info) { return info.param.name; });

TEST(GradientTableTest, EveryOpWithARuleHasACase) {
  std::set<OpKind> tested;
  for (const GradientCase& c : AllCases()) tested.insert(c.op);
  for (int i = 0; i < kOpCount; ++i) {
    const OpKind kind = static_cast<OpKind>(i);
    EXPECT_EQ(HasGradientRule(kind), tested.count(kind) == 1) << InfoOf(kind).name;
  }
}

}  // namespace
}  // namespace pocketune
