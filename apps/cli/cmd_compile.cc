#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/figures.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/target.h"

namespace pocketune::cli {
namespace {

absl::Status CompileTo(const RunSpec& spec, CommonFlags flags, const std::string& out) {
  PT_TRY(ApplyCommonFlags(&flags, Runs::kNothing));
  WeightsReport report;
  absl::StatusOr<Plan> plan = CompileSpec(spec, flags, &report);
  if (!plan.ok()) return plan.status();
  Outcome<bool> written = plan->Write(out);
  if (!written.ok()) return As(ExitCode::kIo, written);
  if (!spec.weights.empty()) {
    for (const std::string& line : report.Lines()) Say(flags, "weights: " + line);
  }
  for (const std::string& line : FigureLines(plan->figures)) Say(flags, line);
  Say(flags, absl::StrFormat("wrote %s, %s", out, HumanBytes(int64_t(plan->bytes.size()))));
  nlohmann::json json = ToJson(plan->figures);
  json["plan"] = out;
  json["plan_bytes"] = plan->bytes.size();
  return EmitJson(flags, json);
}

}  // namespace

void AddCompile(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto out = std::make_shared<std::string>();
  const Command command = commands.Add("compile", "Compile a model into a plan file");
  command.EndsWith(
      "Example:\n  pocketune compile --model mobilenet_v2 --width 0.35 --resolution 128 \\\n"
      "      --scheme blocks:4 --batch 8 --out mbv2.ptplan");
  AddModelFlags(command, spec.get(), true);
  AddTrainFlags(command, spec.get());
  command.Add("--out", out.get(), "The plan file to write").Required();
  AddTuningFlag(command, flags.get());
  command.Add("--keep-order", &flags->keep_order,
              "Run operators in the order of the model, all updates last (to compare with)");
  command.Add("--batch-only", &flags->batch_only,
              "A smaller plan: predictions of one sample take as long as those of a batch");
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    spec->seed = flags->seed;
    PT_TRY(TakeNamedWeights(spec.get(), *flags, false));
    return CompileTo(*spec, *flags, *out);
  });
}

}  // namespace pocketune::cli
