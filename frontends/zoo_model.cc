// Models of the zoo with their weights: the public face of both folders.
#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/builder.h"
#include "frontends/initialize.h"
#include "frontends/weights/fit.h"
#include "frontends/weights/safetensors.h"
#include "frontends/weights/weights.h"
#include "frontends/zoo/zoo.h"
#include "graph/ir/model.h"
#include "graph/ir/outcome_bridge.h"
#include "pocketune/zoo.h"

namespace pocketune {
namespace {

absl::Status Load(const std::string& path, ModelSpec* spec, Graph* graph, WeightsReport* report) {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file.ok()) return file.status();
  const absl::StatusOr<bool> folded = HasFoldedNorm(*spec, *file);
  if (!folded.ok()) return folded.status();
  spec->folded_norm = *folded;
  absl::StatusOr<Graph> built = BuildModel(*spec);
  if (!built.ok()) return built.status();
  *graph = *std::move(built);
  const absl::Status status = LoadWeights(*graph, *file, report);
  if (status.ok()) return status;
  std::string message = absl::StrCat(path, ": ", status.message());
  if (!report->missing.empty() || !report->misshaped.empty()) {
    absl::StrAppend(&message, "; ", DescribeFile(*file, *spec));
  }
  return absl::Status(status.code(), message);
}

}  // namespace

std::vector<ModelListing> ListModels() {
  std::vector<ModelListing> listings;
  for (const ZooEntry& entry : Zoo()) {
    absl::StatusOr<ModelSpec> spec = Complete({.name = entry.name});
    if (!spec.ok()) continue;
    absl::StatusOr<Graph> graph = BuildModel(*spec);
    if (!graph.ok()) continue;
    listings.push_back({entry.name, entry.summary, *spec, entry.height, entry.width,
                        CountParams(*graph), MacsOf(*graph, Phase::kForward)});
  }
  return listings;
}

Outcome<ZooModel> BuildZooModel(const ModelSpec& spec, const std::string& weights, uint64_t seed,
                                WeightsReport* report) {
  WeightsReport ignored;
  if (report == nullptr) report = &ignored;
  absl::StatusOr<ModelSpec> complete = Complete(spec);
  if (!complete.ok()) return ToOutcome<ZooModel>(complete.status());
  const Task task = (*FindModel(spec.name))->task;
  Model::Impl impl{.name = complete->name,
                   .task = task,
                   .batch = complete->batch,
                   .loss = LossPortsOf(task, {})};
  GivenWeights given = GivenWeights::kNone;
  if (weights.empty()) {
    absl::StatusOr<Graph> graph = BuildModel(*complete);
    if (!graph.ok()) return ToOutcome<ZooModel>(graph.status());
    impl.forward = *std::move(graph);
  } else {
    const absl::Status status = Load(weights, &*complete, &impl.forward, report);
    if (!status.ok()) return ToOutcome<ZooModel>(status);
    given = report->new_classifier ? GivenWeights::kAllButClassifier : GivenWeights::kAll;
  }
  InitializeParams(impl.forward, seed);
  return ZooModel{Model::Impl::Wrap(std::move(impl)), *std::move(complete), given};
}

}  // namespace pocketune
