#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/train_command.h"
#include "apps/cli/train_flags.h"
#include "apps/train/training_choice.h"

namespace pocketune::cli {
namespace {

absl::Status MissingFlag(const std::string& name) {
  return Fail(ExitCode::kUsage, name + " is required");
}

}  // namespace

void AddTrain(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto train = std::make_shared<TrainFlags>();
  spec->model.batch = 32;
  spec->epochs = kChooseEpochs;
  spec->lr = kChooseLr;
  spec->warmup_steps = kChooseWarmup;
  spec->train.clip_norm = kChooseClipNorm;
  const Command command = commands.Add("train", "Fine-tune a model on your pictures");
  command.EndsWith(
      "Example:\n"
      "  pocketune train --model mobilenet_v2 --width 0.35 --resolution 128 \\\n"
      "      --weights w.safetensors --data photos/ --scheme blocks:4 --epochs 10 --out run1\n"
      "--data is a folder with a subfolder per class, a CSV (file,label,split) beside the\n"
      "pictures, a folder of IDX files or an NPZ file.");
  AddModelFlags(command, spec.get(), false);
  command.Add("--data", &spec->data.path, "Pictures to learn from");
  command.Add("--out", &train->out, "Folder of the run");
  AddTrainFlags(command, spec.get());
  AddLoopFlags(command, spec.get(), train.get());
  AddDataFlags(command, &spec->data);
  AddTuningFlag(command, flags.get());
  AddCommonFlags(command, flags.get());
  command.Runs([=] {
    if (train->out.empty() && !train->dry_run) return MissingFlag("--out");
    if (!train->resume && spec->model.name.empty()) return MissingFlag("--model");
    if (!train->resume && spec->data.path.empty()) return MissingFlag("--data");
    spec->seed = flags->seed;
    train->given = command.Given();
    return RunTraining(*spec, *train, *flags);
  });
}

}  // namespace pocketune::cli
