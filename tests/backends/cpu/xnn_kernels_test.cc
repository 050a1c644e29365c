#ifdef POCKETUNE_XNNPACK

#include "backends/cpu/xnn_kernels.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "backends/cpu/xnn_allocator.h"
#include "tests/backends/cpu/conv_cases.h"
#include "tests/backends/cpu/kernel_check.h"

namespace pocketune::test {
namespace {

constexpr uint32_t kFrozen = ~1u;  // all operands but the first

struct XnnCase {
  std::string name;
  OpKind op;
  Attrs attrs;
  std::vector<TensorData> operands;
};

std::vector<TensorType> TypesOf(const std::vector<TensorData>& tensors) {
  std::vector<TensorType> types;
  for (const TensorData& tensor : tensors) types.push_back(tensor.type());
  return types;
}

// A query with everything that it points to.
struct Query {
  explicit Query(const XnnCase& c, uint32_t constant = kFrozen)
      : attrs(c.attrs), operands(TypesOf(c.operands)), results(1) {
    EXPECT_TRUE(InferShapes(c.op, operands, attrs, results).ok());
    query = {c.op, operands, results, &attrs, constant, Isa::kAuto, 1};
  }
  Attrs attrs;
  std::vector<TensorType> operands, results;
  KernelQuery query;
};

void AddConvolutions(std::vector<XnnCase>* cases) {
  for (ConvCase c : Windows()) {
    const TensorData x = TensorData::Uniform({c.InputShape()}, "x");
    const TensorData w = TensorData::Uniform({c.FilterShape()}, "w");
    cases->push_back({std::string("Conv") + c.name, OpKind::kConv2d, c.attrs, {x, w}});
    c.attrs.act = Act::kRelu6;
    const TensorData bias = TensorData::Uniform({{c.out}}, "bias");
    cases->push_back({std::string("ConvBias") + c.name, OpKind::kConv2d, c.attrs, {x, w, bias}});
  }
  cases->push_back(
      {"ConvGrouped",
       OpKind::kConv2d,
       Attributes({2, 1}, {1, 1, 1, 1}, {1, 1}, 3),
       {TensorData::Uniform({{1, 7, 5, 6}}, "x"), TensorData::Uniform({{15, 3, 3, 2}}, "w")}});
}

std::vector<XnnCase> Cases() {
  std::vector<XnnCase> cases;
  AddConvolutions(&cases);
  const TensorData a = TensorData::Uniform({{2, 5, 37}}, "a");
  const TensorData bias = TensorData::Uniform({{19}}, "bias");
  cases.push_back({"Linear",
                   OpKind::kMatmul,
                   MatmulAttrs{false, true, Act::kRelu},
                   {a, TensorData::Uniform({{19, 37}}, "b"), bias}});
  cases.push_back({"Matmul",
                   OpKind::kMatmul,
                   MatmulAttrs{false, false, Act::kNone},
                   {a, TensorData::Uniform({{37, 19}}, "b")}});
  ConvGradAttrs grad;
  grad.size[0] = 5;
  grad.size[1] = 7;
  cases.push_back(
      {"GradInput",
       OpKind::kConv2dGradInput,
       grad,
       {TensorData::Uniform({{2, 5, 7, 23}}, "dy"), TensorData::Uniform({{23, 1, 1, 13}}, "w")}});
  return cases;
}

class XnnKernelsTest : public testing::TestWithParam<XnnCase> {};

TEST_P(XnnKernelsTest, AgreesWithTheReferenceForAnyNumberOfThreads) {
  const XnnCase& c = GetParam();
  const TensorData expected = ReferenceResults(c.op, c.operands, c.attrs)[0];
  RunOptions options;
  options.constant_operands = kFrozen;
  const Query q(c);
  const KernelInfo* kernel = SelectKernel(CpuKernels(), q.query);
  ASSERT_NE(kernel, nullptr);
  EXPECT_EQ(std::string(kernel->name), std::string("xnn.") + InfoOf(c.op).name);
  TensorData first;
  for (int threads = 1; threads <= 4; ++threads) {
    const TensorData got =
        KernelRunner(CpuKernels(), threads).Run1(c.op, c.operands, c.attrs, options);
    if (threads == 1) first = got;
    EXPECT_LE(RelativeError(got, expected), 1e-5);
    EXPECT_TRUE(got == first);
  }
}

TEST_P(XnnKernelsTest, HoldsWhatItSaysItWill) {
  const XnnCase& c = GetParam();
  const Query q(c);
  const KernelInfo* kernel = SelectKernel(CpuKernels(), q.query);
  const int64_t before = XnnHeldBytes();
  const int64_t expected = kernel->state_bytes(q.query);
  EXPECT_EQ(XnnHeldBytes(), before);
  EXPECT_GT(expected, c.operands[1].bytes().size());

  std::vector<TensorView> operands, results;
  for (const TensorData& operand : c.operands) operands.push_back(operand.view());
  TensorData outputs[] = {TensorData(q.results[0]), TensorData(q.results[0])};
  ThreadPool pool(2);
  KernelArgs args;
  args.attrs = AttrsBytes(q.attrs).data();
  args.pool = &pool;
  results.push_back({nullptr, q.results[0].shape, q.results[0].dtype});
  args.operands = operands;
  args.results = results;
  ASSERT_TRUE(kernel->prepare(args, &args.state).ok());
  EXPECT_EQ(XnnHeldBytes() - before, expected);
  for (TensorData& output : outputs) {  // a change of address allocates nothing
    results[0].data = output.view().data;
    kernel->run(args);
    EXPECT_EQ(XnnHeldBytes() - before, expected);
  }
  EXPECT_TRUE(outputs[0] == outputs[1]);
  kernel->release(args.state);
  EXPECT_EQ(XnnHeldBytes(), before);
}

// A compiler measures while sessions open and close on other threads.
TEST_P(XnnKernelsTest, SaysTheSameWhateverOtherThreadsTakeAndGiveBack) {
  const Query q(GetParam());
  const KernelInfo* kernel = SelectKernel(CpuKernels(), q.query);
  const int64_t expected = kernel->state_bytes(q.query);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    std::vector<void*> held;
    while (!stop) {
      held.push_back(XnnAllocate(4096));
      if (held.size() < 100) continue;
      for (void* block : held) XnnFree(block);
      held.clear();
    }
    for (void* block : held) XnnFree(block);
  });
  int wrong = 0;
  for (int i = 0; i < 200; ++i) wrong += kernel->state_bytes(q.query) != expected ? 1 : 0;
  stop = true;
  other.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(XnnKernelsTest, LeavesWeightsThatLearnAndLowerLevelsToOwnKernels) {
  const XnnCase& c = GetParam();
  const std::string own = std::string("cpu.") + InfoOf(c.op).name;
  EXPECT_EQ(own, SelectKernel(CpuKernels(), Query(c, kFrozen & ~2u).query)->name);
  if (IsaLevels().size() < 2) return;
  Query lower(c);
  lower.query.isa = IsaLevels().front();
  EXPECT_TRUE(std::string(SelectKernel(CpuKernels(), lower.query)->name).starts_with(own));
}

INSTANTIATE_TEST_SUITE_P(Cases, XnnKernelsTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

TEST(XnnSupportTest, LeavesActivationsOtherThanClampsToTheOwnKernel) {
  ConvAttrs attrs;
  attrs.act = Act::kHardSwish;
  const XnnCase c = {
      "",
      OpKind::kConv2d,
      attrs,
      {TensorData::Uniform({{1, 3, 3, 5}}, "x"), TensorData::Uniform({{7, 1, 1, 5}}, "w")}};
  EXPECT_STREQ(SelectKernel(CpuKernels(), Query(c).query)->name, "cpu.conv2d");
}

}  // namespace
}  // namespace pocketune::test

#endif  // POCKETUNE_XNNPACK
