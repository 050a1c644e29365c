#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/target.h"
#include "apps/weights/traits.h"
#include "pocketune/weights.h"

namespace pocketune::cli {
namespace {

struct ExportFlags {
  std::string checkpoint;
  std::string out;
  bool base = false;
};

absl::Status Export(const RunSpec& spec, const ExportFlags& wanted, CommonFlags flags) {
  PT_TRY(ApplyCommonFlags(&flags, Runs::kNothing));
  absl::StatusOr<OpenedTarget> target = OpenTarget(wanted.checkpoint, spec, flags);
  if (!target.ok()) return target.status();
  std::vector<NamedWeights> tensors;
  int64_t learned = 0;
  for (const ParamInfo& param : target->session->params()) {
    if (param.state) continue;
    std::vector<float> values(param.shape.elems());
    const Status status = wanted.base ? target->session->ReadBaseParam(param.name, values)
                                      : target->session->ReadParam(param.name, values);
    PT_TRY(As(ExitCode::kModel, std::string(param.name), status));
    tensors.push_back({std::string(param.name), param.shape, param.layout, std::move(values)});
    if (param.trainable || param.learned_before) ++learned;
  }
  const size_t count = tensors.size();
  const auto metadata = ToMetadata({.model = target->spec.model.name,
                                    .normalize = target->spec.data.normalize,
                                    .class_names = target->class_names,
                                    .source = {}});
  PT_TRY(As(ExitCode::kIo, WriteWeights(wanted.out, std::move(tensors), metadata)));
  Say(flags,
      absl::StrCat("wrote ", count, " tensors to ", wanted.out, wanted.base ? " (untrained)" : ""));
  return EmitJson(
      flags,
      {{"out", wanted.out}, {"tensors", count}, {"learned_tensors", wanted.base ? 0 : learned}});
}

}  // namespace

void AddExport(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto wanted = std::make_shared<ExportFlags>();
  const Command command = commands.Add("export", "Write the whole model's weights as safetensors");
  command.EndsWith(
      "Example:\n  pocketune export --checkpoint run1 --out tuned.safetensors\n"
      "Names and layouts are PyTorch's.");
  command.Add("--checkpoint", &wanted->checkpoint, "A run folder, a plan or a model's name")
      .Required();
  command.Add("--out", &wanted->out, "The safetensors file to write").Required();
  command.Add("--base", &wanted->base, "The weights as they were before training");
  AddModelFlags(command, spec.get(), false);
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    spec->seed = flags->seed;
    PT_TRY(TakeNamedWeights(spec.get(), *flags, false));
    return Export(*spec, *wanted, *flags);
  });
}

}  // namespace pocketune::cli
