#include "apps/cli/train_dry_run.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_format.h"
#include "apps/cli/figures.h"
#include "apps/cli/random_inputs.h"
#include "apps/cli/target.h"
#include "engine/base/clock.h"
#include "engine/base/median.h"
#include "graph/base/status_macros.h"

namespace pocketune::cli {
namespace {

constexpr int kTimedSteps = 5;

absl::StatusOr<Measurement> Measure(const std::string& plan, const RunSpec& spec,
                                    const CommonFlags& flags) {
  PT_TRY_ASSIGN(std::unique_ptr<Session> session, OpenPlan(plan, flags.threads, spec.seed));
  const int64_t bytes = TrainInputBytes(*session);
  session.reset();
  return MeasurePlan(plan, flags.threads, flags.isa, 3, bytes);
}

// Milliseconds of a few steps behind the first.
absl::StatusOr<std::vector<double>> TimeSteps(const std::string& plan, const RunSpec& spec,
                                              const CommonFlags& flags) {
  PT_TRY_ASSIGN(std::unique_ptr<Session> session, OpenPlan(plan, flags.threads, spec.seed));
  RandomInputs inputs(TrainInputBytes(*session));
  std::vector<double> step_ms;
  float loss = 0;
  for (int i = 0; i <= kTimedSteps; ++i) {
    const double begin = NowSeconds();
    PT_TRY(As(ExitCode::kNumerics, "dry run", inputs.Step(*session, &loss)));
    if (i > 0) step_ms.push_back((NowSeconds() - begin) * 1e3);
  }
  return step_ms;
}

}  // namespace

absl::Status DryRun(const RunSpec& spec, const CommonFlags& flags, const PlanFigures& figures,
                    const std::string& plan, const data::Dataset& dataset) {
  PT_TRY_ASSIGN(const Measurement memory, Measure(plan, spec, flags));
  PT_TRY_ASSIGN(const std::vector<double> step_ms, TimeSteps(plan, spec, flags));
  const int64_t samples = static_cast<int64_t>(dataset.Indices(data::Split::kTrain).size());
  const int64_t per_epoch = std::max<int64_t>(1, samples / spec.model.batch);
  const int64_t steps = spec.steps > 0 ? spec.steps : spec.epochs * per_epoch;
  const double seconds = Median(step_ms) / 1e3 * double(steps);
  Say(flags, absl::StrFormat("dry run     %d steps of %.1f ms: about %s, without validation", steps,
                             Median(step_ms), HumanSeconds(seconds)));
  Say(flags, absl::StrFormat("            peak memory %s, predicted %s",
                             HumanBytes(memory.measured_peak_bytes),
                             HumanBytes(figures.predicted_peak_bytes)));
  nlohmann::json json = RunJson(spec, flags, figures, step_ms);
  AddMeasurement(memory, &json);
  json["dry_run"] = true;
  json["estimated_seconds"] = seconds;
  json["total_steps"] = steps;
  return EmitJson(flags, json);
}

}  // namespace pocketune::cli
