// Whole models against PyTorch in double (make_torch_golden.py): the loss of three steps, every
// gradient of the first, and parameters and running statistics after the last.
#include <gtest/gtest.h>

#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/loss.h"
#include "autodiff/optimizers.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/reference/reference_kernels.h"
#include "frontends/initialize.h"
#include "frontends/weights/safetensors.h"
#include "frontends/weights/weights.h"
#include "frontends/zoo/zoo.h"
#include "graph/passes/pass_manager.h"
#include "pocketune/compiler.h"
#include "pocketune/cpu.h"
#include "pocketune/zoo.h"
#include "sparse_bp/scheme.h"
#include "tests/e2e/torch_golden.h"
#include "tests/support/interpreter.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {
namespace {

constexpr int kClasses = 7;
constexpr int kSteps = 3;
constexpr double kLearningRate = 0.003;
constexpr double kReferenceTolerance = 1e-9;
constexpr double kFloatTolerance = 1e-4;

struct Case {
  const char* model;
  double width;
  int resolution;
  int batch;
  bool batch_statistics;
  uint64_t seed;  // as in the script

  ModelSpec spec() const {
    return {.name = model,
            .width = width,
            .resolution = resolution,
            .classes = kClasses,
            .batch = batch};
  }
  std::string golden() const {
    return std::string(model) + (batch_statistics ? "_train" : "_frozen");
  }
};

constexpr Case kCases[] = {
    {"mobilenet_v2", 0.35, 48, 4, true, 7}, {"mobilenet_v2", 0.35, 48, 4, false, 15},
    {"mcunet-5fps", 0, 48, 4, true, 5},     {"mcunet-5fps", 0, 48, 4, false, 9},
    {"resnet8", 0, 32, 3, true, 11},        {"resnet8", 0, 32, 3, false, 8},
    {"ds-cnn", 0, 0, 3, true, 2},           {"ds-cnn", 0, 0, 3, false, 27},
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.golden() << ", seed " << c.seed; }

void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

struct Range {
  double low, high;
};

// As in the script. No term of a formula vanishes, and few inputs of activations are near a kink.
Range RangeOf(ParamRole role) {
  switch (role) {
    case ParamRole::kNormScale:
      return {0.25, 0.75};
    case ParamRole::kNormShift:
    case ParamRole::kNormVar:
      return {0.5, 1.5};
    default:
      return {-0.5, 0.5};
  }
}

void SetChannelParams(Graph& graph, uint64_t seed) {
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kParam || value.role == ParamRole::kWeight) continue;
    const Range range = RangeOf(value.role);
    value.data = std::make_shared<const std::vector<float>>(
        UniformData(seed, value.name, value.type.shape.elems(), range.low, range.high));
  }
}

Graph BuildForward(const Case& c) {
  absl::StatusOr<Graph> graph = BuildModel(c.spec());
  Require(graph.status());
  SetChannelParams(*graph, c.seed);
  InitializeParams(*graph, c.seed);
  return *std::move(graph);
}

// A training step with momentum; its outputs "grad/<parameter>" are the gradients.
Graph BuildTraining(const Case& c, PassContext& context, bool optimize) {
  Graph graph = BuildForward(c);
  Require(ApplyScheme(graph, {.text = "full"}));
  if (c.batch_statistics) Require(RunPasses(graph, context, {"use_batch_statistics"}));
  if (optimize) Require(OptimizeForward(graph, context));
  const auto loss = AttachClassificationLoss(graph, graph.FindOutput("logits"), 0);
  Require(loss.status());
  const auto grads = BuildBackward(graph, *loss, LearningParams(graph));
  Require(grads.status());
  for (const ParamGrad& item : *grads) {
    graph.outputs.push_back({"grad/" + graph.value(item.param).name, item.grad});
  }
  Require(AppendUpdates(graph, *grads, {.kind = OptimizerKind::kMomentum}));
  if (optimize) Require(PlanGraph(graph, context));
  return graph;
}

struct Batch {
  Batch(uint64_t seed, const Shape& image_shape, int step)
      : image(UniformData(seed, "image/" + std::to_string(step), image_shape.elems(), -1, 1)),
        label(LabelData(seed, "label/" + std::to_string(step), image_shape[0], kClasses)),
        weight(image_shape[0], 1.0f) {}

  std::vector<float> image;
  std::vector<int32_t> label;
  std::vector<float> weight;
};

template <typename T>
std::vector<double> Doubles(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

// Compares what it is given, and keeps the worst error.
class Comparison {
 public:
  Comparison(const Case& c, double tolerance)
      : golden_(c.golden(), c.seed), tolerance_(tolerance) {}

  void Compare(const std::string& name, const std::vector<double>& values) {
    const double error = golden_.ErrorOf(name, values);
    EXPECT_LE(error, tolerance_) << name;
    if (error < worst_) return;
    worst_ = error;
    worst_name_ = name;
  }
  TorchGolden& golden() { return golden_; }
  void Report() const {
    char text[32];
    std::snprintf(text, sizeof(text), "%.1e", worst_);
    testing::Test::RecordProperty("worst", worst_name_ + " " + text);
  }

 private:
  TorchGolden golden_;
  double tolerance_;
  double worst_ = 0;
  std::string worst_name_;
};

void CompareInterpreted(const Graph& graph, KernelTable kernels, DType dtype, int threads,
                        Comparison& comparison) {
  Interpreter run(graph, kernels, dtype, threads);
  StepPage page;
  page.learning_rate = kLearningRate;
  const Shape image = graph.shape(run.Find("image"));
  for (int step = 1; step <= kSteps; ++step) {
    const Batch batch(comparison.golden().seed(), image, step);
    run.Set("image", Doubles(batch.image));
    run.Set("label", Doubles(batch.label));
    run.Set("weight", Doubles(batch.weight));
    page.step = step;
    run.Run(page);
    ASSERT_FALSE(page.faulty());
    comparison.Compare("loss/" + std::to_string(step), run.Get("loss").Values());
    if (step > 1) continue;
    for (const Output& output : graph.outputs) {
      if (output.name != "loss") comparison.Compare(output.name, run.Get(output.value).Values());
    }
  }
  for (const Value& value : graph.values) {
    if (value.kind != ValueKind::kParam || value.role == ParamRole::kState) continue;
    comparison.Compare("param/" + value.name, run.Get(value.name).Values());
  }
  EXPECT_EQ(comparison.golden().Remaining(), std::vector<std::string>{});
}

void SaveForward(const Case& c, const std::string& path) {
  std::vector<SafetensorsTensor> tensors;
  for (const Value& value : BuildForward(c).values) {
    if (value.kind != ValueKind::kParam) continue;
    tensors.push_back({value.name, TorchShape(value), ToTorch(value, *value.data)});
  }
  Require(WriteSafetensors(path, tensors));
}

template <typename T>
Status BindAll(Session& session, std::string_view name, const std::vector<T>& data) {
  return session.Bind(name, data.data(), static_cast<int64_t>(data.size() * sizeof(T)));
}

void CompareSession(Session& session, const Shape& image, Comparison& comparison) {
  for (int step = 1; step <= kSteps; ++step) {
    const Batch batch(comparison.golden().seed(), image, step);
    ASSERT_TRUE(BindAll(session, "image", batch.image).ok());
    ASSERT_TRUE(BindAll(session, "label", batch.label).ok());
    ASSERT_TRUE(BindAll(session, "weight", batch.weight).ok());
    float loss = 0;
    const Status status = session.TrainStep(kLearningRate, &loss);
    ASSERT_TRUE(status.ok()) << status.message();
    comparison.Compare("loss/" + std::to_string(step), {loss});
  }
  for (const ParamInfo& param : session.params()) {
    if (param.state) continue;
    std::vector<float> values(param.shape.elems());
    ASSERT_TRUE(session.ReadParam(param.name, values).ok()) << param.name;
    comparison.Compare("param/" + std::string(param.name), Doubles(values));
  }
  for (const std::string& name : comparison.golden().Remaining()) {
    EXPECT_NE(name.rfind("param/", 0), 0u) << name << " is not in the plan";
  }
}

class TorchAgreementTest : public testing::TestWithParam<Case> {};

TEST_P(TorchAgreementTest, HoldsInDoubleOnTheReferenceKernels) {
  PassContext context;
  const Graph graph = BuildTraining(GetParam(), context, false);
  Comparison comparison(GetParam(), kReferenceTolerance);
  CompareInterpreted(graph, ReferenceKernels(), DType::kF64, 1, comparison);
  comparison.Report();
}

TEST_P(TorchAgreementTest, HoldsInFloatOnTheOptimizedGraph) {
  constexpr int kThreads = 2;
  PassContext context;
  context.kernels = CpuKernels();
  context.slots = kThreads;
  const Graph graph = BuildTraining(GetParam(), context, true);
  Comparison comparison(GetParam(), kFloatTolerance);
  CompareInterpreted(graph, CpuKernels(), DType::kF32, kThreads, comparison);
  comparison.Report();
}

// The model as a user has it: weights from a file in PyTorch's layouts, a plan, a session.
TEST_P(TorchAgreementTest, HoldsForACompiledPlan) {
  const test::TempFolder folder;
  const std::string path = folder.File("model");
  SaveForward(GetParam(), path + ".safetensors");
  WeightsReport report;
  const auto model = BuildZooModel(GetParam().spec(), path + ".safetensors", 0, &report);
  ASSERT_TRUE(model.ok()) << model.message();
  const BatchNormMode mode =
      GetParam().batch_statistics ? BatchNormMode::kTrain : BatchNormMode::kFrozen;
  const auto plan = Compile(model->model, {.batch_norm = mode}, {.threads = 2});
  ASSERT_TRUE(plan.ok()) << plan.message();
  ASSERT_TRUE(plan->Write(path + ".ptplan").ok());
  auto session = OpenCpuSession((path + ".ptplan").c_str(), {.threads = 2});
  ASSERT_TRUE(session.ok()) << session.status().message();
  Comparison comparison(GetParam(), kFloatTolerance);
  CompareSession(*session.value(), model->model.data_shape(), comparison);
  comparison.Report();
  std::remove((path + ".safetensors").c_str());
  std::remove((path + ".ptplan").c_str());
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.golden();
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(Zoo, TorchAgreementTest, testing::ValuesIn(kCases), CaseName);

}  // namespace
}  // namespace pocketune::test
