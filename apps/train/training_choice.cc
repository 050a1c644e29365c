#include "apps/train/training_choice.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace pocketune {
namespace {

// At a momentum of 0.9.
constexpr double kCarefulLr = 0.02;
constexpr double kBoldLr = 0.1;
constexpr double kCarefulNorm = 1.0;
constexpr double kBoldNorm = 3.0;
// AdamW scales each step by itself.
constexpr double kCarefulAdamLr = 3e-4;
constexpr double kBoldAdamLr = 3e-3;

constexpr int64_t kWarmupPart = 20;  // 5 %

// Epochs are so many that there are this many steps, within bounds.
constexpr int64_t kEnoughSteps = 800;
constexpr int64_t kFewestEpochs = 10;
constexpr int64_t kMostEpochs = 60;

double LrOf(const TrainSpec& train, bool pretrained) {
  if (train.optimizer == "adamw") return pretrained ? kCarefulAdamLr : kBoldAdamLr;
  // What a step comes to once all that it repeats is in it: lr / (1 - momentum).
  const double lr = pretrained ? kCarefulLr : kBoldLr;
  const double momentum = train.optimizer == "sgd" ? 0.0 : train.momentum;
  return lr * (1 - momentum) / (1 - 0.9);
}

int64_t EpochsFor(int64_t steps_per_epoch) {
  return std::clamp((kEnoughSteps + steps_per_epoch - 1) / steps_per_epoch, kFewestEpochs,
                    kMostEpochs);
}

}  // namespace

void ChooseAnew(const std::function<bool(const char* flag)>& is_given, RunSpec* spec) {
  if (!is_given("--lr")) spec->lr = kChooseLr;
  if (!is_given("--clip-norm")) spec->train.clip_norm = kChooseClipNorm;
}

std::string ChooseTraining(const TrainingFacts& facts, RunSpec* spec) {
  std::vector<std::string> said;
  const int64_t steps_per_epoch =
      std::max<int64_t>(1, facts.train_pictures / std::max(1, spec->model.batch));
  if (spec->epochs == kChooseEpochs) {
    spec->epochs = EpochsFor(steps_per_epoch);
    if (spec->steps == 0) said.push_back(absl::StrCat(spec->epochs, " epochs (--epochs)"));
  }
  if (spec->lr == kChooseLr) {
    spec->lr = LrOf(spec->train, facts.pretrained);
    said.push_back(absl::StrFormat("rate %g (--lr)", spec->lr));
  }
  if (spec->warmup_steps == kChooseWarmup) {
    const int64_t steps = spec->steps > 0 ? spec->steps : spec->epochs * steps_per_epoch;
    spec->warmup_steps = steps / kWarmupPart;
    if (spec->warmup_steps > 0) {
      said.push_back(absl::StrCat("warm-up of ", spec->warmup_steps, " steps (--warmup-steps)"));
    }
  }
  if (spec->train.clip_norm == kChooseClipNorm) {
    spec->train.clip_norm = facts.pretrained ? kCarefulNorm : kBoldNorm;
    said.push_back(
        absl::StrFormat("gradients clipped to norm %g (--clip-norm)", spec->train.clip_norm));
  }
  if (said.empty()) return {};
  return absl::StrCat(absl::StrJoin(said, ", "),
                      facts.pretrained ? "" : ": bold, as all weights begin at random");
}

}  // namespace pocketune
