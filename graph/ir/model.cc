#include "graph/ir/model.h"

#include "absl/strings/str_cat.h"
#include "graph/ir/model_identity.h"

namespace pocketune {
namespace {

Outcome<bool> CheckFits(const Graph& graph, const std::string& name, size_t elements) {
  const ValueId id = graph.FindValue(name, ValueKind::kParam);
  if (id == kNone) {
    return Outcome<bool>(StatusCode::kNotFound,
                         absl::StrCat("model: no parameter of that name (got ", name, ")"));
  }
  const int64_t want = graph.shape(id).elems();
  if (static_cast<int64_t>(elements) == want) return true;
  return Outcome<bool>(StatusCode::kInvalidArgument,
                       absl::StrCat("model: ", name, " has another number of elements (got ",
                                    elements, ", want ", want, ")"));
}

}  // namespace

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const std::string& Model::name() const { return impl_->name; }
Task Model::task() const { return impl_->task; }
int Model::batch() const { return impl_->batch; }
uint64_t Model::identity() const { return ModelIdentity(impl_->forward); }
Shape Model::data_shape() const {
  for (const Value& value : impl_->forward.values) {
    if (value.kind == ValueKind::kInput && value.port == PortRole::kData) return value.type.shape;
  }
  return {};
}

Outcome<bool> Model::SetValues(const std::string& name, std::vector<float> values) {
  const Outcome<bool> fits = CheckFits(impl_->forward, name, values.size());
  if (!fits.ok()) return fits;
  const ValueId id = impl_->forward.FindValue(name, ValueKind::kParam);
  impl_->forward.value(id).data = std::make_shared<const std::vector<float>>(std::move(values));
  return true;
}

Outcome<bool> Model::SetLearned(const std::string& name, std::vector<float> values) {
  const Outcome<bool> fits = CheckFits(impl_->forward, name, values.size());
  if (!fits.ok()) return fits;
  impl_->learned[name] = std::make_shared<const std::vector<float>>(std::move(values));
  return true;
}

void Model::SetReplacedPlan(uint64_t identity) { impl_->replaced_plan = identity; }

}  // namespace pocketune
