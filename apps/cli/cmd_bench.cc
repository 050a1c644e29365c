#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/cli/autotune.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/figures.h"
#include "apps/cli/measure.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/profile.h"
#include "apps/cli/random_inputs.h"
#include "apps/cli/target.h"
#include "engine/base/clock.h"
#include "engine/base/file_io.h"
#include "engine/base/median.h"
#include "pocketune/cpu.h"

namespace pocketune::cli {
namespace {

struct BenchFlags {
  int steps = 20;
  int warmup = 3;
  bool profile = false;
  int top = 20;
  std::string trace;  // path, empty for none
  bool autotune = false;
  std::string out = "tuning.json";
};

constexpr int kMaxProfiledSteps = 10000;  // the time of each op of each step is kept

// Of the steps that were timed.
struct Timing {
  std::vector<double> step_ms;
  float loss_first = 0;
  float loss_last = 0;
};

// `profile` may be null.
absl::StatusOr<Timing> TimeSteps(Session& session, const BenchFlags& bench, int64_t input_bytes,
                                 StepProfile* profile) {
  RandomInputs inputs(input_bytes);
  session.set_profiling(profile != nullptr);
  Timing timing;
  for (int i = 0; i < bench.warmup + bench.steps; ++i) {
    const double begin = NowSeconds();
    PT_TRY(As(ExitCode::kNumerics, "bench", inputs.Step(session, &timing.loss_last)));
    const double ms = (NowSeconds() - begin) * 1e3;
    if (i == 0) timing.loss_first = timing.loss_last;
    if (i < bench.warmup) continue;
    timing.step_ms.push_back(ms);
    if (profile != nullptr) profile->Add(session, ms);
  }
  if (profile != nullptr) profile->Finish();
  return timing;
}

absl::StatusOr<std::unique_ptr<StepProfile>> StartProfile(const std::string& plan_path,
                                                          int threads) {
  const absl::StatusOr<CpuPeak> peak = PeakOfMachine(threads);
  if (!peak.ok()) return peak.status();
  absl::StatusOr<StepProfile> profile = StepProfile::Of(plan_path, *peak);
  if (!profile.ok()) return profile.status();
  return std::make_unique<StepProfile>(*std::move(profile));
}

// A plan in a file, ready for another process.
struct CompiledPlan {
  explicit CompiledPlan(ZooModel loaded) : zoo(std::move(loaded)) {}
  ZooModel zoo;
  Plan plan;
  TempFile file{".ptplan"};
  double seconds = 0;  // from reading the model to the written plan
};

absl::StatusOr<std::unique_ptr<CompiledPlan>> CompileToFile(RunSpec* spec,
                                                            const CommonFlags& flags) {
  const double begin = NowSeconds();
  absl::StatusOr<ZooModel> model = LoadModel(*spec, nullptr);
  if (!model.ok()) return model.status();
  auto compiled = std::make_unique<CompiledPlan>(*std::move(model));
  spec->model = compiled->zoo.spec;
  absl::StatusOr<Plan> plan = CompileModel(compiled->zoo, *spec, flags, {}, spec->memory_bytes);
  if (!plan.ok()) return plan.status();
  compiled->plan = *std::move(plan);
  Outcome<bool> written = compiled->plan.Write(compiled->file.path());
  if (!written.ok()) return As(ExitCode::kIo, written);
  compiled->seconds = NowSeconds() - begin;
  return compiled;
}

// Measures kernels on the ops of the plan and compiles it anew with the fastest.
absl::Status TuneAndCompile(RunSpec* spec, const BenchFlags& bench, CommonFlags* flags,
                            std::unique_ptr<CompiledPlan>* compiled) {
  const absl::StatusOr<Tuning> tuning = Autotune((*compiled)->file.path(), flags->threads);
  if (!tuning.ok()) return tuning.status();
  const std::string text = ToJson(*tuning);
  const std::span<const uint8_t> chunk(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  PT_TRY(As(ExitCode::kIo, bench.out, WriteFileAtomically(bench.out.c_str(), {&chunk, 1})));
  for (const std::string& line : TuningLines(*tuning)) Say(*flags, line);
  Say(*flags, absl::StrFormat("wrote %s; the figures below are with it\n", bench.out));
  flags->tuning = bench.out;
  compiled->reset();  // one plan at a time
  absl::StatusOr<std::unique_ptr<CompiledPlan>> tuned = CompileToFile(spec, *flags);
  if (!tuned.ok()) return tuned.status();
  *compiled = *std::move(tuned);
  return absl::OkStatus();
}

absl::Status Report(const RunSpec& spec, const CommonFlags& flags, const BenchFlags& bench,
                    const CompiledPlan& compiled, const Measurement& memory, const Timing& timing,
                    const StepProfile* profile) {
  const PlanFigures& figures = compiled.plan.figures;
  const double start_compiling_ms = memory.start_ms + compiled.seconds * 1e3;
  for (const std::string& line : FigureLines(figures)) Say(flags, line);
  Say(flags,
      absl::StrFormat("measured    peak %s (predicted %s)", HumanBytes(memory.measured_peak_bytes),
                      HumanBytes(figures.predicted_peak_bytes)));
  Say(flags, absl::StrFormat("start       first step done after %.0f ms; compiling first, %.0f ms",
                             memory.start_ms, start_compiling_ms));
  Say(flags, absl::StrFormat("step        %.2f ms median, +- %.2f, of %d steps, %d threads",
                             Median(timing.step_ms), MedianDeviation(timing.step_ms), bench.steps,
                             flags.threads));
  nlohmann::json json = RunJson(spec, flags, figures, timing.step_ms);
  AddMeasurement(memory, &json);
  json["start_compiling_ms"] = start_compiling_ms;
  json["loss_first"] = timing.loss_first;
  json["loss_last"] = timing.loss_last;
  if (!flags.tuning.empty()) json["tuning"] = flags.tuning;
  if (profile != nullptr) {
    for (const std::string& line : profile->Lines(bench.top)) Say(flags, line);
    json["profile"] = profile->ToJson();
    if (!bench.trace.empty()) PT_TRY(profile->WriteTrace(bench.trace));
  }
  return EmitJson(flags, json);
}

absl::Status Bench(RunSpec spec, const BenchFlags& bench, CommonFlags flags) {
  PT_TRY(ApplyCommonFlags(&flags));
  if (bench.profile && bench.steps > kMaxProfiledSteps) {
    return Fail(ExitCode::kUsage, absl::StrFormat("--profile: too many steps (got %d, want at "
                                                  "most %d)",
                                                  bench.steps, kMaxProfiledSteps));
  }
  absl::StatusOr<std::unique_ptr<CompiledPlan>> made = CompileToFile(&spec, flags);
  if (!made.ok()) return made.status();
  std::unique_ptr<CompiledPlan> compiled = *std::move(made);
  if (bench.autotune) PT_TRY(TuneAndCompile(&spec, bench, &flags, &compiled));

  const std::string path = compiled->file.path();
  const int64_t input_bytes = RandomInputs::InputBytes(
      compiled->zoo.model.data_shape(), compiled->zoo.model.task() == Task::kReconstruction);
  absl::StatusOr<Measurement> memory = MeasurePlan(path, flags.threads, flags.isa, 3, input_bytes);
  if (!memory.ok()) return memory.status();

  std::unique_ptr<StepProfile> profile;
  if (bench.profile) {
    absl::StatusOr<std::unique_ptr<StepProfile>> started = StartProfile(path, flags.threads);
    if (!started.ok()) return started.status();
    profile = *std::move(started);
  }
  SessionOptions options;
  options.threads = flags.threads;
  options.seed = flags.seed;
  Result<std::unique_ptr<Session>> session = OpenCpuSession(path.c_str(), options);
  if (!session.ok()) return As(ExitCode::kModel, path, session.status());
  const absl::StatusOr<Timing> timing =
      TimeSteps(*session.value(), bench, input_bytes, profile.get());
  if (!timing.ok()) return timing.status();
  return Report(spec, flags, bench, *compiled, *memory, *timing, profile.get());
}

}  // namespace

void AddBench(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto bench = std::make_shared<BenchFlags>();
  const Command command = commands.Add("bench", "Time and measure training steps on random data");
  command.EndsWith(
      "Examples:\n  pocketune bench --model mcunet-5fps --batch 8 --scheme bias --json -\n"
      "  pocketune bench --model mcunet-5fps --batch 8 --profile --top 30 --trace trace.json\n"
      "  pocketune bench --model mcunet-5fps --batch 8 --autotune --out tuning.json");
  AddModelFlags(command, spec.get(), true);
  AddTrainFlags(command, spec.get());
  command.Add("--steps", &bench->steps, "Steps to time (default 20)").Whole(1, 1000000);
  command.Add("--warmup", &bench->warmup, "Steps before (default 3)").Whole(0, 1000);
  const Flag autotune =
      command.Add("--autotune", &bench->autotune,
                  "First measure which kernel is fastest where several serve an op");
  command.Add("--out", &bench->out, "Where --autotune writes them (default tuning.json)")
      .Called("FILE")
      .Needs(autotune);
  const Flag profile =
      command.Add("--profile", &bench->profile, "Say where a step's time goes, op by op");
  command.Add("--top", &bench->top, "Ops in the table; 0 = all (default 20)")
      .Whole(0, 1000000)
      .Needs(profile);
  command
      .Add("--trace", &bench->trace,
           "Write one step as a trace for chrome://tracing or ui.perfetto.dev")
      .Called("FILE")
      .Needs(profile);
  AddTuningFlag(command, flags.get()).Excludes(autotune);
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    spec->seed = flags->seed;
    PT_TRY(TakeNamedWeights(spec.get(), *flags, false));
    return Bench(*spec, *bench, *flags);
  });
}

}  // namespace pocketune::cli
