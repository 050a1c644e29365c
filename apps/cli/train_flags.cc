#include "apps/cli/train_flags.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/cli/common.h"

namespace pocketune::cli {
namespace {

constexpr int64_t kManySteps = int64_t{1} << 40;

}  // namespace

std::vector<std::string> IdleFlags(const RunSpec& spec, const std::vector<GivenFlag>& given,
                                   bool has_validation) {
  std::vector<std::string> lines;
  const auto idle = [&](const char* flag, const std::string& why) {
    const auto is = [flag](const GivenFlag& one) { return one.name == flag; };
    if (std::none_of(given.begin(), given.end(), is)) return;
    lines.push_back(absl::StrCat(flag, " has no effect: ", why));
  };
  if (!has_validation) {
    const std::string none = "there are no validation pictures (--val-fraction takes some)";
    idle("--patience", none);
    if (spec.keep == "best") idle("--keep", none + "; the last weights are kept");
  }
  if (spec.steps > 0) idle("--epochs", "--steps goes before");
  if (spec.lr_schedule != "step") {
    for (const char* flag : {"--lr-step-every", "--lr-gamma"}) {
      idle(flag, "the schedule is " + spec.lr_schedule + " (--lr-schedule step has steps)");
    }
  } else if (spec.lr_step_every == 0) {
    idle("--lr-schedule", "without --lr-step-every there is no step");
  }
  if (spec.train.optimizer == "sgd" || spec.train.optimizer == "adamw") {
    idle("--momentum", spec.train.optimizer + " has none");
  }
  return lines;
}

std::string FreeRunFolder(const std::string& data) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path path = fs::weakly_canonical(data, error);
  if (!path.has_filename()) path = path.parent_path();  // "photos/"
  const std::string stem = path.stem().empty() ? "pictures" : path.stem().string();
  std::string name = stem + "-run";
  for (int i = 2; fs::exists(name, error); ++i) name = absl::StrCat(stem, "-run-", i);
  return name;
}

absl::StatusOr<double> ParseTimeBudget(const std::string& text) {
  if (text.empty()) return 0.0;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit.empty() || unit == "s" ? 1
                        : unit == "m"               ? 60
                        : unit == "h"               ? 3600
                                                    : -1;
  if (value > 0 && std::isfinite(value) && factor > 0) return value * factor;
  return Fail(ExitCode::kUsage, "--time-budget: want e.g. 90s, 9m or 1.5h, got " + text);
}

void AddLoopFlags(const Command& command, RunSpec* spec, TrainFlags* train) {
  command
      .Add("--epochs", &spec->epochs,
           "Passes over the training pictures (default: by their number, 10 to 60)")
      .Whole(1, 1000000);
  command.Add("--steps", &spec->steps, "Stop after so many steps, whatever the epochs")
      .Whole(1, kManySteps);
  command.Add("--lr", &spec->lr, "Learning rate (default: by what learns)").Number(1e-12, 1e3);
  command.Add("--lr-schedule", &spec->lr_schedule, "constant, step, cosine (default) or linear")
      .OneOf({"constant", "step", "cosine", "linear"});
  command.Add("--warmup-steps", &spec->warmup_steps, "Steps of linear warm-up (default: one in 20)")
      .Whole(0, kManySteps);
  command.Add("--lr-step-every", &spec->lr_step_every, "Epochs between steps of `step`")
      .Whole(1, 1000000);
  command.Add("--lr-gamma", &spec->lr_gamma, "Factor of each step of `step`").Number(1e-6, 1.0);
  command.Add("--flip", &spec->data.flip, "Chance of a horizontal flip").Number(0.0, 1.0);
  command.Add("--crop-padding", &spec->data.crop_padding, "Random crop of so many pixels")
      .Whole(0, 1024);
  command
      .Add("--patience", &spec->patience,
           "Stop after so many epochs that are not better on validation (see --keep)")
      .Whole(1, 1000000);
  command
      .Add("--keep", &spec->keep,
           "Whose weights to end with: best (default) or last. Best is the higher accuracy on\n"
           "validation, of equals the lower loss; with fewer than 50 pictures the lower loss")
      .OneOf({"best", "last"});
  command
      .Add("--checkpoint-every", &spec->checkpoint_every,
           "Steps between checkpoints, beside one after each epoch")
      .Whole(1, kManySteps);
  command.Add("--time-budget", &train->time_budget, "Stop and save in time, e.g. 9m");
  command.Add("--prefix-cache", &train->prefix_cache,
              "Keep what frozen layers make of the pictures: auto (default; in memory or "
              "the run's folder, where it pays), off, or a file that stays");
  command.Add("--from-scratch", &spec->from_scratch,
              "Begin with random weights where weights are published for the model, too");
  command.Add("--resume", &train->resume,
              "Continue the run in --out; --epochs, --steps, --lr and what belongs to them,\n"
              "--patience, --keep, --checkpoint-every, --data, --batch, --scheme,\n"
              "--memory and --threads may change");
  command.Add("--dry-run", &train->dry_run, "Say memory and time, and train nothing");
}

}  // namespace pocketune::cli
