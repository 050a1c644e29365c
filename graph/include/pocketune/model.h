// A model to compile: what a frontend makes and what Compile takes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

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
  int batch() const;          // samples of a step
  Shape image_shape() const;  // of the input "image", [N,H,W,C]; rank 0 where there is none

  // The compile side's view of it: graph/ir/model.h.
  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pocketune
