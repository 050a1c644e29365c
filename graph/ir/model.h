// What a Model holds, for the compile side.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "graph/ir/graph.h"
#include "pocketune/model.h"

namespace pocketune {

struct Model::Impl {
  std::string name;
  Task task = Task::kClassification;
  int batch = 1;
  std::string prediction = "logits";  // the output that a loss is attached to
  Graph forward;  // batch norm as batch_norm_frozen, every parameter with its data

  static Model Wrap(Impl impl) { return Model(std::make_unique<Impl>(std::move(impl))); }
};

}  // namespace pocketune
