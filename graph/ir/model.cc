#include "graph/ir/model.h"

namespace pocketune {

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const std::string& Model::name() const { return impl_->name; }
Task Model::task() const { return impl_->task; }
int Model::batch() const { return impl_->batch; }
Shape Model::image_shape() const {
  const ValueId image = impl_->forward.FindValue("image", ValueKind::kInput);
  return image == kNone ? Shape() : impl_->forward.shape(image);
}

}  // namespace pocketune
