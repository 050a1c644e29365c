// Random data for a plan's inputs: for benchmarks and for measuring memory.
#pragma once

#include <cstdint>
#include <vector>

#include "pocketune/session.h"

namespace pocketune::cli {

// Holds its memory from the start, so that measuring around it sees the plan alone.
class RandomInputs {
 public:
  // `bytes` must cover all inputs of the plan's training schedule (InputBytes).
  explicit RandomInputs(int64_t bytes);

  // Bytes that the inputs of such a model need.
  static int64_t InputBytes(const Shape& image, bool reconstruction);

  // Binds images and targets uniform in [-1, 1), labels spread over the classes and weights of 1.
  // RESOURCE_EXHAUSTED where the memory does not do.
  Status Bind(Session& session);
  // One training step at a small rate, or an evaluation step where the plan cannot train.
  Status Step(Session& session, float* loss);

 private:
  std::vector<uint8_t> memory_;
  bool bound_ = false;
  bool trains_ = false;
};

// Bytes that the inputs of a classifier's training plan need.
int64_t TrainInputBytes(const Session& session);

}  // namespace pocketune::cli
