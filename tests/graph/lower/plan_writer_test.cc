#include "graph/lower/plan_writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "backends/reference/reference_kernels.h"
#include "engine/base/math.h"
#include "engine/plan/plan_file.h"
#include "engine/plan/plan_view.h"
#include "graph/ir/builder.h"
#include "graph/lower/plan_text.h"
#include "graph/passes/pass_manager.h"
#include "tests/graph/memory/test_graphs.h"
#include "tests/support/temp_folder.h"

namespace pocketune {
namespace {

constexpr int64_t kStateBytes = 1009;

void DoNothing(const KernelArgs&) {}
Status PrepareNothing(const KernelArgs&, void**) { return OkStatus(); }
bool HasFrozenWeight(const KernelQuery& query) { return (query.constant_operands & 2) != 0; }
int64_t StateBytes(const KernelQuery&) { return kStateBytes; }

// The reference kernels, and before them one that packs a frozen weight.
std::vector<KernelInfo> Kernels() {
  std::vector<KernelInfo> kernels = {{"test.packed_matmul", OpKind::kMatmul, DoNothing,
                                      HasFrozenWeight, nullptr, PrepareNothing, nullptr,
                                      StateBytes}};
  for (const KernelInfo& kernel : ReferenceKernels()) kernels.push_back(kernel);
  return kernels;
}

HostData Values(int64_t count, float first) {
  auto data = std::make_shared<std::vector<float>>(static_cast<size_t>(count), 1.0f);
  (*data)[0] = first;
  return data;
}

// y = (x w1 - c) w2, w1 and the constant c frozen; training moves w2 with momentum.
Graph Linear(bool train) {
  Graph graph;
  graph.name = "linear";
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("image", {Shape{5, 7}});
  const ValueId w1 = graph.AddParam("w1", Shape{7, 11}, ParamRole::kWeight, Values(77, 1));
  const ValueId c = graph.AddConst("c", Shape{11}, Values(11, 2));
  const ValueId w2 = graph.AddParam("w2", Shape{11, 3}, ParamRole::kWeight, Values(33, 3));
  graph.value(w2).section = Section::kClassifier;
  b.set_loc("hidden");
  const ValueId hidden = b.Op(OpKind::kSub, {b.Op(OpKind::kMatmul, {x, w1}), c});
  b.set_loc("head");
  const ValueId y = b.Op(OpKind::kMatmul, {hidden, w2});
  graph.outputs = {{"logits", y}};
  if (train) {
    const ValueId v = graph.AddParam("w2.velocity", Shape{11, 3}, ParamRole::kState, nullptr);
    b.set_phase(Phase::kBackward);
    const ValueId dw = b.Op(OpKind::kMatmul, {hidden, y}, MatmulAttrs{.trans_a = true});
    b.set_phase(Phase::kUpdate);
    b.Op(OpKind::kMomentum, {w2, v, dw});
    graph.value(v).trainable = true;
    graph.stage = Stage::kTraining;
  }
  // The evaluation knows, too, that w2 changes: its kernels must not pack it.
  graph.value(w2).trainable = true;
  EXPECT_TRUE(b.status().ok()) << b.status();
  return graph;
}

class PlanWriterTest : public ::testing::Test {
 protected:
  PlanWriterTest()
      : kernels_(Kernels()), train_(Planned(Linear(true))), eval_(Planned(Linear(false))) {
    for (const Value& value : Linear(false).values) {
      if (value.kind == ValueKind::kParam) params_.push_back(value);
    }
    Value unread = params_[0];
    unread.name = "unread";
    unread.data = Values(77, 4);
    params_.push_back(unread);
    spec_.name = "linear";
    spec_.metadata_json = "{}";
    spec_.kernels = kernels_;
    spec_.train = &train_;
    spec_.eval = &eval_;
    spec_.model_params = &params_;
  }

  Graph Planned(Graph graph) {
    PassContext context;
    context.kernels = kernels_;
    context.disabled = {"fold_constants"};
    const absl::Status status = PlanGraph(graph, context);
    EXPECT_TRUE(status.ok()) << status;
    return graph;
  }

  // Writes the plan to a file and opens it as the runtime does.
  PlanFile Open(const std::string& bytes) {
    const std::string path = folder_.File("plan.ptplan");
    test::WriteBytes(path, {bytes.begin(), bytes.end()});
    Result<PlanFile> file = PlanFile::Open(path.c_str());
    EXPECT_TRUE(file.ok()) << file.status().message() << " " << file.status().detail();
    return std::move(file).value();
  }

  std::string ErrorOf() { return std::string(WritePlan(spec_).status().message()); }

  test::TempFolder folder_;
  std::vector<KernelInfo> kernels_;
  Graph train_;
  Graph eval_;
  std::vector<Value> params_;
  PlanSpec spec_;
};

const fb::Param& ParamOf(const PlanFile& file, std::string_view name) {
  for (const fb::Param* param : *file.plan().params()) {
    if (TextOf(param->name()) == name) return *param;
  }
  ADD_FAILURE() << "no parameter " << name;
  return *file.plan().params()->Get(0);
}

TEST_F(PlanWriterTest, TheRuntimeOpensWhatWasWritten) {
  PlanSizes sizes;
  const absl::StatusOr<std::string> bytes = WritePlan(spec_, &sizes);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const PlanFile file = Open(*bytes);
  EXPECT_EQ(file.plan().schedules()->size(), 2u);
  EXPECT_EQ(TextOf(file.plan().metadata()), "{}");
  EXPECT_EQ(file.plan().arena_bytes(), sizes.arena_bytes);
  EXPECT_EQ(file.plan().predicted_peak_bytes(), sizes.predicted_peak_bytes);
  EXPECT_EQ(*WritePlan(spec_), *bytes) << "the same plan gives other bytes";
}

TEST_F(PlanWriterTest, ParametersKeepTheirPlaceAndValues) {
  const PlanFile file = Open(*WritePlan(spec_));
  ASSERT_EQ(file.plan().params()->size(), 4u);
  EXPECT_FALSE(ParamOf(file, "w1").trainable());
  EXPECT_EQ(ParamOf(file, "w1").ram_offset(), -1);
  EXPECT_TRUE(ParamOf(file, "w2").trainable());
  EXPECT_EQ(ParamOf(file, "w2").ram_offset(), 0);
  EXPECT_EQ(ParamOf(file, "w2").section(), static_cast<uint8_t>(Section::kClassifier));
  EXPECT_TRUE(ParamOf(file, "w2.velocity").state());
  EXPECT_EQ(ParamOf(file, "w2.velocity").ram_offset(), AlignUp(33 * 4));
  EXPECT_EQ(ParamOf(file, "w2.velocity").segment_offset(), -1);
  for (const auto& [name, first] : {std::pair{"w1", 1.0f}, {"w2", 3.0f}, {"unread", 4.0f}}) {
    float value = 0.0f;
    const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&value), sizeof(value));
    ASSERT_TRUE(file.ReadSegment(ParamOf(file, name).segment_offset(), bytes).ok());
    EXPECT_EQ(value, first) << name;
  }
}

TEST_F(PlanWriterTest, SizesAreTheSumsOfTheirParts) {
  PlanSizes sizes;
  const absl::StatusOr<std::string> bytes = WritePlan(spec_, &sizes);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(sizes.arena_bytes, std::max(train_.arena_bytes, eval_.arena_bytes));
  EXPECT_EQ(sizes.param_bytes, AlignUp(33 * 4));
  EXPECT_EQ(sizes.optimizer_bytes, AlignUp(33 * 4));
  // Both schedules pack w1 alike, so that it is counted once, and only c is read from the file.
  EXPECT_EQ(sizes.packed_bytes, kStateBytes);
  EXPECT_EQ(sizes.constant_bytes, kSegmentAlignment);
  const int64_t steps = static_cast<int64_t>(train_.nodes.size() + eval_.nodes.size());
  const int64_t known = sizes.arena_bytes + sizes.param_bytes + sizes.optimizer_bytes +
                        sizes.packed_bytes + sizes.constant_bytes + StatedOverheadBytes(steps);
  PlanHeader header;
  std::memcpy(&header, bytes->data(), sizeof(header));
  EXPECT_EQ(sizes.predicted_peak_bytes - known,
            AlignUp(static_cast<int64_t>(header.metadata_bytes), kSegmentAlignment));
}

TEST_F(PlanWriterTest, EqualValuesAreStoredOnce) {
  params_.back().data = Values(77, 1);  // as w1
  const PlanFile file = Open(*WritePlan(spec_));
  EXPECT_EQ(ParamOf(file, "unread").segment_offset(), ParamOf(file, "w1").segment_offset());
  std::vector<int64_t> constants;
  for (const fb::Schedule* schedule : *file.plan().schedules()) {
    for (const fb::Tensor* tensor : *schedule->tensors()) {
      if (tensor->storage() == fb::Storage::Const) constants.push_back(tensor->offset());
    }
  }
  // What steps read stands in front of what is only packed or copied.
  EXPECT_EQ(constants, (std::vector<int64_t>{0, 0}));
}

TEST_F(PlanWriterTest, AConstantThatTheOtherScheduleTrainsIsAnError) {
  Graph eval = Linear(false);
  eval.value(eval.FindValue("w2", ValueKind::kParam)).trainable = false;
  eval_ = Planned(eval);
  EXPECT_EQ(ErrorOf(),
            "write_plan: eval: node 2 (matmul, head): kernel test.packed_matmul needs a constant "
            "that another schedule trains");
}

TEST_F(PlanWriterTest, GraphsThatAreNotPlannedAreErrors) {
  eval_ = Linear(false);
  EXPECT_EQ(ErrorOf(), "write_plan: eval is at another stage (got forward, want planned)");
}

TEST_F(PlanWriterTest, AnotherShapeOrMissingValuesAreErrors) {
  params_[0].type.shape = Shape{11, 7};
  EXPECT_EQ(ErrorOf(),
            "write_plan: train: parameter w1 differs between model and schedules (got f32[7,11], "
            "want f32[11,7])");
  params_[0].type.shape = Shape{7, 11};
  params_.back().data = nullptr;
  EXPECT_EQ(ErrorOf(), "write_plan: unread has no values of its type (got 0, want 77 f32)");
}

TEST_F(PlanWriterTest, AnUnknownKernelIsAnError) {
  train_.nodes[0].kernel = "nobody.has_it";
  EXPECT_EQ(WritePlan(spec_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PlanWriterTest, APlanThatTheVerifierRefusesIsAnInternalError) {
  train_.offsets[train_.nodes.front().results[0]] += 4;
  EXPECT_EQ(WritePlan(spec_).status().code(), absl::StatusCode::kInternal);
}

TEST_F(PlanWriterTest, TextIsThatOfTheGraphsItWasWrittenFrom) {
  const PlanFile file = Open(*WritePlan(spec_));
  for (const auto& [index, graph] : {std::pair{0u, &train_}, {1u, &eval_}}) {
    Graph want = *graph;
    want.name = index == 0 ? "linear.train" : "linear.eval";
    want.arena_bytes = file.plan().arena_bytes();
    want.value(want.FindValue("c", ValueKind::kConst)).name = "const@0";
    const Graph got = GraphOfSchedule(file.plan(), *file.plan().schedules()->Get(index));
    EXPECT_EQ(Print(got, {.locs = true}), Print(want, {.locs = true}));
  }
  EXPECT_NE(PlanText(file.plan()).find("linear.eval"), std::string::npos);
}

TEST_F(PlanWriterTest, PlansOfRandomGraphsPassTheRuntimesVerifier) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Graph graph = testing::RandomMemoryGraph(seed, 41);
    for (Value& value : graph.values) {
      if (value.kind == ValueKind::kParam) value.data = Values(value.type.shape.elems(), 5);
    }
    graph.stage = Stage::kTraining;
    const Graph planned = Planned(graph);
    spec_.train = &planned;
    spec_.eval = nullptr;
    params_.clear();
    const absl::StatusOr<std::string> bytes = WritePlan(spec_);
    ASSERT_TRUE(bytes.ok()) << "seed " << seed << ": " << bytes.status();
    const PlanFile file = Open(*bytes);
    const Graph back = GraphOfSchedule(file.plan(), *file.plan().schedules()->Get(0));
    ASSERT_EQ(back.offsets, planned.offsets);
    ASSERT_EQ(back.nodes.size(), planned.nodes.size());
    for (size_t n = 0; n < back.nodes.size(); ++n) {
      ASSERT_EQ(back.nodes[n].in_place, planned.nodes[n].in_place) << seed << " " << n;
    }
  }
}

}  // namespace
}  // namespace pocketune
