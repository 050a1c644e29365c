#include "absl/strings/str_format.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/figures.h"
#include "apps/cli/measure.h"
#include "apps/cli/random_inputs.h"
#include "apps/cli/target.h"
#include "pocketune/cpu.h"

namespace pocketune::cli {
namespace {

struct BenchFlags {
  int steps = 20;
  int warmup = 3;
};

absl::Status Bench(RunSpec spec, const BenchFlags& bench, CommonFlags flags) {
  PT_TRY(ApplyCommonFlags(&flags));
  absl::StatusOr<Model> model = LoadModel(spec, nullptr);
  if (!model.ok()) return model.status();
  spec.model = model->spec();
  absl::StatusOr<Plan> plan = CompileModel(*model, spec, flags, {});
  if (!plan.ok()) return plan.status();
  TempFile file(".ptplan");
  Outcome<bool> written = plan->Write(file.path());
  if (!written.ok()) return As(ExitCode::kIo, written);

  const int64_t input_bytes =
      RandomInputs::InputBytes(model->image_shape(), model->task() == Task::kReconstruction);
  absl::StatusOr<Measurement> memory =
      MeasurePlan(file.path(), flags.threads, flags.isa, 3, input_bytes);
  if (!memory.ok()) return memory.status();

  SessionOptions options;
  options.threads = flags.threads;
  options.seed = flags.seed;
  Result<std::unique_ptr<Session>> session = OpenCpuSession(file.path().c_str(), options);
  if (!session.ok()) return As(ExitCode::kModel, file.path(), session.status());
  RandomInputs inputs(input_bytes);
  std::vector<double> step_ms;
  float loss = 0, first = 0;
  for (int i = 0; i < bench.warmup + bench.steps; ++i) {
    const double begin = NowSeconds();
    PT_TRY(As(ExitCode::kNumerics, "bench", inputs.Step(*session.value(), &loss)));
    if (i == 0) first = loss;
    if (i >= bench.warmup) step_ms.push_back((NowSeconds() - begin) * 1e3);
  }

  for (const std::string& line : FigureLines(plan->figures)) Say(flags, line);
  Say(flags,
      absl::StrFormat("measured    peak %s (predicted %s), first step after %.0f ms",
                      HumanBytes(memory->measured_peak_bytes),
                      HumanBytes(plan->figures.predicted_peak_bytes), memory->first_step_ms));
  Say(flags,
      absl::StrFormat("step        %.2f ms median, +- %.2f, of %d steps, %d threads",
                      Median(step_ms), MedianDeviation(step_ms), bench.steps, flags.threads));
  nlohmann::json json = RunJson(spec, flags, plan->figures, *memory, step_ms);
  json["loss_first"] = first;
  json["loss_last"] = loss;
  return EmitJson(flags, json);
}

}  // namespace

void AddBench(CLI::App& app, Run* run) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto bench = std::make_shared<BenchFlags>();
  CLI::App* command = app.add_subcommand("bench", "Time and measure training steps on random data");
  command->footer(
      "Example:\n  pocketune bench --model mcunet-5fps --batch 8 --scheme bias --json -");
  AddModelFlags(command, spec.get(), true);
  AddTrainFlags(command, spec.get());
  command->add_option("--steps", bench->steps, "Steps to time (default 20)")
      ->check(CLI::Range(1, 1000000));
  command->add_option("--warmup", bench->warmup, "Steps before (default 3)")
      ->check(CLI::Range(0, 1000));
  AddCommonFlags(command, flags.get());
  command->callback([=] {
    spec->seed = flags->seed;
    *run = [=] { return Bench(*spec, *bench, *flags); };
  });
}

}  // namespace pocketune::cli
