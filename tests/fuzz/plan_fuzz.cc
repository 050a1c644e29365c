// Plan files. The input is the length of the weight segment in floats (u32, little-endian) and the
// metadata; header, segment and checksums are made to fit, so that every mutation reaches the
// verifier. (Damaged headers: tests/engine/plan.) What it lets through takes steps of each kind.
#include <algorithm>
#include <cstring>
#include <memory>

#include "autodiff/autodiff.h"
#include "autodiff/loss.h"
#include "autodiff/optimizers.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/reference/reference_kernels.h"
#include "engine/plan/plan_format.h"
#include "graph/lower/plan_writer.h"
#include "graph/passes/pass_manager.h"
#include "pocketune/session.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/random_graph.h"
#include "tests/support/tiny_plan.h"

namespace pocketune::fuzz {
namespace {

constexpr uint32_t kMaxSegmentFloats = 1 << 16;
constexpr int64_t kMaxBytes = 1 << 20;  // of arena and parameters, beyond which nothing is run
constexpr uint64_t kRandomPlans = 6;

std::string Seed(uint32_t floats, std::string_view metadata) {
  std::string seed(reinterpret_cast<const char*>(&floats), sizeof(floats));
  return seed.append(metadata);
}

std::string SeedFromPlan(const std::string& plan) {
  PlanHeader header;
  std::memcpy(&header, plan.data(), sizeof(header));
  return Seed(static_cast<uint32_t>(header.segment_bytes / sizeof(float)),
              std::string_view(plan).substr(sizeof(header), header.metadata_bytes));
}

absl::StatusOr<std::string> RandomPlan(uint64_t seed, KernelTable kernels) {
  PassContext context;
  context.kernels = kernels;
  Graph eval = test::RandomGraph(seed).Take();
  std::vector<Value> params;
  for (const Value& value : eval.values) {
    if (value.kind == ValueKind::kParam) params.push_back(value);
  }
  Graph train = eval;
  ValueId loss = kNone;
  for (Graph* graph : {&eval, &train}) {
    if (absl::Status s = OptimizeForward(*graph, context); !s.ok()) return s;
    const auto attached = AttachClassificationLoss(*graph, graph->FindOutput("logits"), 0.1);
    if (!attached.ok()) return attached.status();
    loss = *attached;
  }
  const auto grads = BuildBackward(train, loss, LearningParams(train));
  if (!grads.ok()) return grads.status();
  const OptimizerSpec optimizer = {.kind = OptimizerKind(seed % 4)};
  if (absl::Status s = AppendUpdates(train, *grads, optimizer); !s.ok()) return s;
  for (Graph* graph : {&eval, &train}) {
    if (absl::Status s = PlanGraph(*graph, context); !s.ok()) return s;
  }
  PlanSpec spec{.name = "random", .metadata_json = "{}", .kernels = kernels};
  spec.train = &train;
  spec.eval = &eval;
  spec.model_params = &params;
  PlanSizes sizes;
  return WritePlan(spec, &sizes);
}

std::vector<uint8_t> FileOf(std::string_view input) {
  uint32_t floats = 0;
  const size_t n = input.copy(reinterpret_cast<char*>(&floats), sizeof(floats));
  const std::string_view metadata = input.substr(n);
  floats = std::min(floats, kMaxSegmentFloats);
  PlanHeader header;
  header.metadata_bytes = metadata.size();
  header.segment_offset =
      static_cast<uint64_t>(AlignUp(int64_t(sizeof(header) + metadata.size()), kSegmentAlignment));
  header.segment_bytes = floats * sizeof(float);
  std::vector<uint8_t> file(header.segment_offset + header.segment_bytes + kReadAheadBytes);
  std::memcpy(file.data(), &header, sizeof(header));
  std::copy(metadata.begin(), metadata.end(), file.begin() + sizeof(header));
  const RandomStream random(1, "segment");
  for (uint32_t i = 0; i < floats; ++i) {
    const float value = random.Uniform(i) * 0.25f + 0.01f;  // above 0, as variances must be
    std::memcpy(&file[header.segment_offset + i * sizeof(float)], &value, sizeof(value));
  }
  test::FixPlanChecksums(file);
  return file;
}

// Binds every input, whatever it is called.
class Inputs {
 public:
  Status BindAll(Session& session) {
    for (const char* schedule : {"train", "eval", "predict"}) {
      for (const PortInfo& port : session.inputs(schedule)) {
        PT_RETURN_IF_ERROR(BindOne(session, schedule, port));
      }
    }
    return OkStatus();
  }

 private:
  Status BindOne(Session& session, const char* schedule, const PortInfo& port) {
    const int64_t elems = port.shape.elems();
    std::vector<double>& buffer = buffers_.emplace_back(static_cast<size_t>(elems));
    char* bytes = reinterpret_cast<char*>(buffer.data());
    const RandomStream random(2, port.name);
    for (uint64_t i = 0; i < static_cast<uint64_t>(elems); ++i) {
      const float value = random.Uniform(i);
      const int32_t label = static_cast<int32_t>(random.Below(i, 3));
      const void* from = port.dtype == DType::kI32 ? static_cast<const void*>(&label) : &value;
      std::memcpy(bytes + i * 4, from, 4);
    }
    return session.Bind(schedule, port.name, bytes, elems * SizeOf(port.dtype));
  }

  std::vector<std::vector<double>> buffers_;
};

void ReadAll(const Session& session) {
  for (const char* schedule : {"train", "eval", "predict"}) {
    for (const PortInfo& port : session.outputs(schedule)) {
      std::vector<float> out(static_cast<size_t>(port.shape.elems()));
      RequireGoodError(session.Read(schedule, port.name, out));
    }
  }
  for (const ParamInfo& param : session.params()) {
    std::vector<float> out(static_cast<size_t>(param.shape.elems()));
    RequireGoodError(session.ReadParam(param.name, out));
    RequireGoodError(session.ReadBaseParam(param.name, out));
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  const test::PlanSpec tiny = test::TinyPlan();
  std::vector<std::string> seeds = {
      Seed(static_cast<uint32_t>(tiny.segment.size()), ToString(test::BuildMetadata(tiny)))};
  for (uint64_t seed = 0; seed < kRandomPlans; ++seed) {
    const KernelTable kernels = seed % 3 == 2 ? ReferenceKernels() : CpuKernels();
    const absl::StatusOr<std::string> plan = RandomPlan(seed, kernels);
    Require(plan.ok(), "a random graph can be planned");
    seeds.push_back(SeedFromPlan(*plan));
  }
  return seeds;
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  const MemoryFile file(ToString(FileOf(View(data, size))));
  SessionOptions options;
  options.kernels = {CpuKernels(), ReferenceKernels()};
  const Result<std::unique_ptr<Session>> opened = Session::Open(file.path().c_str(), options);
  RequireGoodError(opened.status());
  if (!opened.ok()) return 0;
  Session& session = *opened.value();
  const SessionMemory memory = session.memory();
  if (memory.arena_bytes + memory.param_bytes + memory.optimizer_bytes > kMaxBytes) return 0;
  Inputs inputs;
  RequireGoodError(inputs.BindAll(session));
  float loss;
  const Status trained = session.TrainStep(0.1, &loss);
  RequireGoodError(trained);
  ReadAll(session);
  RequireGoodError(session.EvalStep(&loss));
  ReadAll(session);
  const Status predicted = session.Predict();
  RequireGoodError(predicted);
  ReadAll(session);
  if (trained.ok() && predicted.ok()) Accept();
  return 0;
}
