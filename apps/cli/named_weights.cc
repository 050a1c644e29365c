#include "apps/cli/named_weights.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "apps/weights/store.h"
#include "apps/weights/traits.h"
#include "frontends/weights/fit.h"
#include "frontends/weights/safetensors.h"

namespace pocketune::cli {
namespace {

// Names have no slash and end in no suffix: what is like a path stays one, with a path's errors.
bool IsName(const std::string& text) {
  std::error_code error;
  return !text.empty() && text.find('/') == std::string::npos &&
         !std::filesystem::exists(text, error) &&
         (FindPublished(AllPublishedWeights(), text) != nullptr ||
          text.find('.') == std::string::npos);
}

}  // namespace

absl::Status TakeNamedWeights(RunSpec* spec, const CommonFlags& flags, bool normalize_given) {
  if (IsName(spec->weights)) {
    const WeightsStore store;
    const auto say = [&](const std::string& line) { Say(flags, line); };
    const absl::StatusOr<std::string> path =
        spec->no_download ? store.Find(spec->weights) : store.Get(spec->weights, say);
    if (absl::IsNotFound(path.status())) {
      return Fail(ExitCode::kModel,
                  absl::StrCat("--weights: no such file, and ", path.status().message()));
    }
    if (!path.ok()) return Fail(ExitCode::kIo, std::string(path.status().message()));
    spec->weights = *path;
  }
  if (spec->weights.empty() || normalize_given) return absl::OkStatus();
  // A bad file is refused where it is loaded, with all there is to say.
  const absl::StatusOr<WeightsTraits> traits = ReadTraits(spec->weights);
  if (!traits.ok() || traits->normalize.empty()) return absl::OkStatus();
  if (traits->normalize != spec->data.normalize) {
    Say(flags, absl::StrCat("normalize   ", traits->normalize,
                            ": the weights learned from pictures prepared so (--normalize)"));
  }
  spec->data.normalize = traits->normalize;
  return absl::OkStatus();
}

std::string PublishedWeightsFor(const ModelSpec& model) {
  const bool as_published = model.input_channels == 0 || model.input_channels == 3;
  for (const PublishedWeights& weights : AllPublishedWeights()) {
    if (as_published && model.name == weights.model) return weights.name;
  }
  return "";
}

absl::StatusOr<ModelSpec> ModelOfWeights(const std::string& path) {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file.ok()) return As(ExitCode::kModel, file.status());
  const std::optional<ModelSpec> model = FindFit(*file, {});
  if (!model.has_value()) {
    return Fail(ExitCode::kModel, absl::StrCat(path, ": it fits no model of the zoo (--model)"));
  }
  return *model;
}

std::vector<std::string> ClassNamesOfWeights(const std::string& path, int classes) {
  if (path.empty()) return {};
  const absl::StatusOr<WeightsTraits> traits = ReadTraits(path);
  if (!traits.ok() || traits->class_names.size() != static_cast<size_t>(classes)) return {};
  return traits->class_names;
}

}  // namespace pocketune::cli
