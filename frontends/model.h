// What a Model holds, for the compile side.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "frontends/zoo/zoo.h"
#include "pocketune/model.h"

namespace pocketune {

struct Model::Impl {
  ModelSpec spec;
  Task task = Task::kClassification;
  GivenWeights given = GivenWeights::kAll;
  Graph forward;  // batch norm as batch_norm_frozen, every parameter with its data

  // A model that is not of the zoo.
  static Model Wrap(Impl impl) { return Model(std::make_unique<Impl>(std::move(impl))); }
};

// An error that carries a number for Outcome::detail.
absl::Status WithDetail(absl::Status status, int64_t detail);
int64_t DetailOf(const absl::Status& status);  // 0 where it carries none

// The public form of a status of the compile side.
template <typename T>
Outcome<T> ToOutcome(const absl::Status& status) {
  return Outcome<T>(static_cast<StatusCode>(status.code()), std::string(status.message()),
                    DetailOf(status));
}

}  // namespace pocketune
