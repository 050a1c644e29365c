// From a builder's graph to a model with values.
#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/builder.h"
#include "frontends/initialize.h"
#include "frontends/weights/safetensors.h"
#include "frontends/weights/weights.h"
#include "graph/ir/model.h"
#include "graph/ir/outcome_bridge.h"
#include "graph/ir/verifier.h"

namespace pocketune {
namespace {

// Values of the file in place of those that parameters were made with.
absl::Status Load(const std::string& path, Graph* graph, WeightsReport* report) {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file.ok()) return file.status();
  const absl::Status status = LoadWeights(*graph, *file, report);
  return status.ok() ? status
                     : absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

Outcome<Model> ModelBuilder::Build(uint64_t seed, const std::string& weights,
                                   WeightsReport* report) {
  WeightsReport ignored;
  if (report == nullptr) report = &ignored;
  Model::Impl model{
      .name = impl_->graph.name, .task = impl_->task, .batch = impl_->batch, .loss = impl_->loss};
  absl::StatusOr<Graph> graph = impl_->Take();
  if (!graph.ok()) return ToOutcome<Model>(graph.status());
  model.forward = *std::move(graph);
  absl::Status status = Verify(model.forward);
  if (status.ok() && !weights.empty()) status = Load(weights, &model.forward, report);
  if (!status.ok()) return ToOutcome<Model>(status);
  InitializeParams(model.forward, seed);
  return Model::Impl::Wrap(std::move(model));
}

}  // namespace pocketune
