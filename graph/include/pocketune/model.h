// A model to compile: what a frontend makes and what Compile takes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pocketune/outcome.h"
#include "pocketune/types.h"

namespace pocketune {

// What the model is trained for, and with it the loss: classes by their logarithms of odds, or the
// input itself by squared differences.
enum class Task : uint8_t { kClassification, kReconstruction };

// The forward pass with the values of its parameters, complete and checked. Frontends make it
// (zoo.h, model_builder.h). Movable. Not thread-safe, but for reading: compiling changes nothing in
// it.
class Model {
 public:
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const std::string& name() const;
  Task task() const;
  int batch() const;         // samples of a step
  Shape data_shape() const;  // of the first input of the role kData; rank 0 where there is none

  // What tells models apart whatever their plans are for; checkpoints state it
  // (CheckpointContents::model_identity).
  uint64_t identity() const;

  // Other values for a parameter of the model itself: its elements, row-major in the model's layout
  // (types.h), as a plan keeps them (ReadModelValues). Errors as SetLearned.
  Outcome<bool> SetValues(const std::string& name, std::vector<float> values);
  // What a run has made of a parameter: its elements, row-major in the model's layout (types.h), as
  // checkpoints and Session::ReadParam give them. Plans compiled from here on start from these
  // values, also where the parameter does not learn under them, while the model's own values stay
  // what Session::ReadBaseParam gives. NOT_FOUND for a name that is no parameter's,
  // INVALID_ARGUMENT for another number of elements; nothing has changed then.
  Outcome<bool> SetLearned(const std::string& name, std::vector<float> values);
  // The plan that those compiled from here on take the place of in a run (Session::PlanIdentity): a
  // checkpoint of version 1 that was saved under it is then taken under them. 0 for none.
  void SetReplacedPlan(uint64_t identity);

  // The compile side's view of it: graph/ir/model.h.
  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pocketune
