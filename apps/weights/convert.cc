#include "apps/weights/convert.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "frontends/torch/torch_file.h"
#include "frontends/weights/fit.h"
#include "frontends/weights/safetensors.h"
#include "frontends/weights/weights.h"
#include "frontends/zoo/zoo.h"

namespace pocketune {
namespace {

// Those that torchvision's and timm's weights for ImageNet share with these networks.
bool IsPreparedAsImageNet(const ModelSpec& model) {
  return model.classes == 1000 && model.input_channels == 3 &&
         (absl::StartsWith(model.name, "resnet") || model.name == "mobilenet_v2");
}

absl::StatusOr<ModelSpec> SpecOf(const std::string& path, const WeightsFile& file,
                                 const ModelSpec& asked) {
  const std::optional<ModelSpec> fit = FindFit(file, asked);
  if (fit && (asked.name.empty() || fit->name == asked.name)) return *fit;
  if (fit || asked.name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", DescribeFile(file, asked)));
  }
  // No model has all that it wants: LoadWeights says what this one lacks.
  return asked;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightsFile>> OpenWeightsFile(const std::string& path) {
  if (LooksLikeTorchFile(path)) {
    absl::StatusOr<std::unique_ptr<TorchFile>> file = TorchFile::Open(path);
    if (!file.ok()) return file.status();
    return std::unique_ptr<WeightsFile>(*std::move(file));
  }
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file.ok()) return file.status();
  return std::unique_ptr<WeightsFile>(std::make_unique<SafetensorsFile>(*std::move(file)));
}

absl::StatusOr<Converted> ConvertWeights(const std::string& from, const ModelSpec& model,
                                         const WeightsTraits& traits, const std::string& to) {
  const absl::StatusOr<std::unique_ptr<WeightsFile>> file = OpenWeightsFile(from);
  if (!file.ok()) return file.status();
  absl::StatusOr<ModelSpec> spec = SpecOf(from, **file, model);
  if (!spec.ok()) return spec.status();
  const absl::StatusOr<bool> folded = HasFoldedNorm(*spec, **file);
  if (!folded.ok()) return folded.status();
  spec->folded_norm = *folded;
  absl::StatusOr<Graph> graph = BuildModel(*spec);
  if (!graph.ok()) return graph.status();
  Converted converted;
  if (absl::Status status = LoadWeights(*graph, **file, &converted.report); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(from, ": ", status.message(), "; ",
                                                    DescribeFile(**file, model)));
  }
  absl::StatusOr<ModelSpec> complete = Complete(*spec);
  if (!complete.ok()) return complete.status();
  converted.model = *std::move(complete);
  if (!LooksLikeTorchFile(from)) {
    absl::StatusOr<WeightsTraits> own = ReadTraits(from);
    if (own.ok()) converted.traits = *std::move(own);
  }
  WeightsTraits& out = converted.traits;
  out.model = converted.model.name;
  if (!traits.normalize.empty()) out.normalize = traits.normalize;
  if (!traits.class_names.empty()) out.class_names = traits.class_names;
  if (!traits.source.empty()) out.source = traits.source;
  if (out.normalize.empty() && IsPreparedAsImageNet(converted.model)) out.normalize = "imagenet";
  std::vector<SafetensorsTensor> tensors;
  for (const Value& value : graph->values) {
    if (value.kind != ValueKind::kParam) continue;
    if (value.data == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(from, ": its classifier fits no classes"));
    }
    tensors.push_back({value.name, TorchShape(value), ToTorch(value, *value.data)});
    converted.numbers += value.type.shape.elems();
  }
  if (absl::Status status = WriteSafetensors(to, tensors, ToMetadata(out)); !status.ok()) {
    return status;
  }
  return converted;
}

}  // namespace pocketune
