#include "frontends/model.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "frontends/weights/fit.h"
#include "frontends/weights/weights.h"

namespace pocketune {
namespace {

constexpr char kDetail[] = "pocketune/detail";

absl::Status Load(const std::string& path, ModelSpec* spec, Graph* graph, WeightsReport* report) {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file.ok()) return file.status();
  spec->folded_norm = HasFoldedNorm(*file);
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

absl::Status WithDetail(absl::Status status, int64_t detail) {
  status.SetPayload(kDetail, absl::Cord(absl::StrCat(detail)));
  return status;
}

int64_t DetailOf(const absl::Status& status) {
  int64_t detail = 0;
  const auto payload = status.GetPayload(kDetail);
  const bool found = payload.has_value() && absl::SimpleAtoi(std::string(*payload), &detail);
  return found ? detail : 0;
}

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

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

Outcome<Model> Model::FromZoo(const ModelSpec& spec, const std::string& weights, uint64_t seed,
                              WeightsReport* report) {
  WeightsReport ignored;
  if (report == nullptr) report = &ignored;
  absl::StatusOr<ModelSpec> complete = Complete(spec);
  if (!complete.ok()) return ToOutcome<Model>(complete.status());
  auto impl = std::make_unique<Impl>();
  impl->spec = *complete;
  impl->task = (*FindModel(spec.name))->task;
  if (weights.empty()) {
    absl::StatusOr<Graph> graph = BuildModel(*complete);
    if (!graph.ok()) return ToOutcome<Model>(graph.status());
    impl->forward = *std::move(graph);
    impl->given = GivenWeights::kNone;
  } else {
    const absl::Status status = Load(weights, &impl->spec, &impl->forward, report);
    if (!status.ok()) return ToOutcome<Model>(status);
    if (report->new_classifier) impl->given = GivenWeights::kAllButClassifier;
  }
  InitializeParams(impl->forward, seed);
  return Model(std::move(impl));
}

const ModelSpec& Model::spec() const { return impl_->spec; }
Task Model::task() const { return impl_->task; }
GivenWeights Model::given() const { return impl_->given; }
Shape Model::image_shape() const {
  return impl_->forward.shape(impl_->forward.FindValue("image", ValueKind::kInput));
}

}  // namespace pocketune
