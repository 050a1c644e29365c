#include "absl/strings/str_cat.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/train_command.h"
#include "apps/cli/train_flags.h"
#include "apps/train/training_choice.h"

namespace pocketune::cli {
namespace {

// What is asked for in words and flags, in one form.
absl::Status Settle(const std::string& photos, RunSpec* spec, TrainFlags* train) {
  std::string& data = spec->data.path;
  if (!photos.empty() && !data.empty()) {
    return Fail(ExitCode::kUsage, absl::StrCat("--data: the pictures were named twice (got ",
                                               photos, " and ", data, ")"));
  }
  if (data.empty()) data = photos;
  if (data.empty() && !train->resume) {
    return Fail(ExitCode::kUsage, "train: name a folder of pictures, one subfolder per class");
  }
  if (!train->out.empty() || train->dry_run) return absl::OkStatus();
  if (train->resume) return Fail(ExitCode::kUsage, "--resume: --out has to name the run");
  train->out = FreeRunFolder(data);
  return absl::OkStatus();
}

}  // namespace

void AddTrain(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto train = std::make_shared<TrainFlags>();
  auto photos = std::make_shared<std::string>();
  spec->model.batch = 32;
  spec->train.scheme.clear();  // to be chosen
  spec->epochs = kChooseEpochs;
  spec->lr = kChooseLr;
  spec->warmup_steps = kChooseWarmup;
  spec->train.clip_norm = kChooseClipNorm;
  const Command command = commands.Add("train", "Fine-tune a model on your pictures");
  command.EndsWith(
      "Examples:\n"
      "  pocketune train photos/\n"
      "  pocketune train --model mobilenet_v2 --width 0.35 --resolution 128 \\\n"
      "      --weights w.safetensors --data photos/ --scheme blocks:4 --epochs 10 --out run1\n"
      "photos/ or --data is a folder with a subfolder per class, a CSV (file,label,split) beside "
      "the\n"
      "pictures, a folder of IDX files or an NPZ file.");
  AddModelFlags(command, spec.get(), false);
  command.Add("--data", &spec->data.path, "Pictures to learn from");
  command.Add("photos", photos.get(), "Pictures to learn from, in place of --data");
  command.Add("--out", &train->out, "Folder of the run (default: NAME-run, of the pictures' name)");
  AddTrainFlags(command, spec.get());
  AddLoopFlags(command, spec.get(), train.get());
  AddDataFlags(command, &spec->data);
  AddTuningFlag(command, flags.get());
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    PT_TRY(Settle(*photos, spec.get(), train.get()));
    spec->seed = flags->seed;
    train->given = command.Given();
    for (GivenFlag& flag : train->given) {
      if (flag.name.empty()) flag.name = "--data";  // the word
    }
    return RunTraining(*spec, *train, *flags);
  });
}

}  // namespace pocketune::cli
