// The values that learn, apart from any plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/pages.h"
#include "engine/plan/plan_file.h"
#include "pocketune/status.h"
#include "pocketune/types.h"

namespace pocketune {

// Parameters, statistics and optimizer states by name, with the number of steps that they have
// taken: what the schedules of one or of several plans of a model share. Not thread-safe: the
// sessions on a store take turns.
class ParameterStore {
 public:
  // Joins a plan. The first one decides which parameters learn; they start with its values. Every
  // other must be of the same model with the same weights, leave the same parameters variable, and
  // hold the same values in those that are not; it finds the values as they are, and may bring
  // optimizer states of its own, which start at zero. Returns a place for each entry of
  // Plan.params, null for those that are not variable; the places live as long as this.
  // FAILED_PRECONDITION (detail = index of the parameter) for a plan that does not suit; nothing
  // has changed then. RESOURCE_EXHAUSTED, and errors of ReadableFile::ReadAt.
  Result<std::vector<float*>> Join(const PlanFile& plan);

  // Lets other plans join beside `plan`, which has joined; before that they are refused. Apart from
  // Join, so that a program that shares nothing is linked without what compares plans.
  void Share(const PlanFile& plan);

  uint64_t steps = 0;

 private:
  struct Slot {
    std::string name;
    Shape shape;
    bool state = false;
    uint32_t slices = 0;
    float* data = nullptr;
  };
  Result<std::vector<float*>> Start(const PlanFile& plan);
  Result<std::vector<float*>> Admit(const PlanFile& plan);
  Status CheckSuits(const PlanFile& plan);
  Status AddStates(const PlanFile& plan);
  Slot* Find(const fb::Param& param);
  void Add(const fb::Param& param, uint8_t* data);

  std::vector<Pages> blocks_;
  std::vector<Slot> slots_;  // empty before Share
  size_t found_ = 0;       // by the last Find; plans of a model name their parameters in one order
  size_t parameters_ = 0;  // slots that are no states
  Result<std::vector<float*>> (ParameterStore::*admit_)(const PlanFile&) = nullptr;  // by Share
  Status unread_;  // why the first plan's frozen values could not be read
  uint64_t model_identity_ = 0;
  uint64_t weights_identity_ = 0;
  uint64_t frozen_identity_ = 0;  // of values that learned before and are not variable
};

}  // namespace pocketune
