#include "apps/cli/train_flags.h"

#include <cmath>
#include <cstdlib>

#include "apps/cli/common.h"

namespace pocketune::cli {

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

void AddLoopFlags(CLI::App* command, RunSpec* spec, TrainFlags* train) {
  command->add_option("--epochs", spec->epochs, "Passes over the training pictures (default 10)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--steps", spec->steps, "Stop after so many steps, whatever the epochs")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--lr", spec->lr, "Learning rate (default 0.01)")->check(Within(1e-12, 1e3));
  command
      ->add_option("--lr-schedule", spec->lr_schedule, "constant, step, cosine (default) or linear")
      ->check(CLI::IsMember({"constant", "step", "cosine", "linear"}));
  command->add_option("--warmup-steps", spec->warmup_steps, "Steps of linear warm-up")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  command->add_option("--lr-step-every", spec->lr_step_every, "Epochs between steps of `step`")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--lr-gamma", spec->lr_gamma, "Factor of each step of `step`")
      ->check(Within(1e-6, 1.0));
  command->add_option("--flip", spec->data.flip, "Chance of a horizontal flip")
      ->check(Within(0.0, 1.0));
  command->add_option("--crop-padding", spec->data.crop_padding, "Random crop of so many pixels")
      ->check(CLI::Range(0, 1024));
  command
      ->add_option("--patience", spec->patience,
                   "Stop after so many epochs without gain on validation")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--keep", spec->keep, "Whose weights to end with: best (default) or last")
      ->check(CLI::IsMember({"best", "last"}));
  command
      ->add_option("--checkpoint-every", spec->checkpoint_every,
                   "Steps between checkpoints, beside one after each epoch")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--time-budget", train->time_budget, "Stop and save in time, e.g. 9m");
  command->add_option("--prefix-cache", train->prefix_cache,
                      "Keep what frozen layers make of the pictures: auto (default; in memory or "
                      "the run's folder, where it pays), off, or a file that stays");
  command->add_flag("--resume", train->resume, "Continue the run in --out");
  command->add_flag("--dry-run", train->dry_run, "Say memory and time, and train nothing");
}

}  // namespace pocketune::cli
