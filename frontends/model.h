// What a Model holds, for the compile side.
#pragma once

#include <memory>
#include <utility>

#include "frontends/zoo/zoo.h"
#include "pocketune/model.h"

namespace pocketune {

struct Model::Impl {
  ModelSpec spec;
  Task task = Task::kClassification;
  Graph forward;  // batch norm as batch_norm_frozen, every parameter with its data

  // A model that is not of the zoo.
  static Model Wrap(Impl impl) { return Model(std::make_unique<Impl>(std::move(impl))); }
};

// The public form of a status of the compile side.
template <typename T>
Outcome<T> ToOutcome(const absl::Status& status) {
  return Outcome<T>(static_cast<StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace pocketune
