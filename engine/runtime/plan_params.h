// The parameters and states of one plan: those that learn in a store, the others in the plan file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/plan/plan_file.h"
#include "engine/runtime/parameter_store.h"
#include "pocketune/status.h"

namespace pocketune {

class PlanParams {
 public:
  // Joins the plan to the store. `plan` must outlive this. Errors as ParameterStore::Join.
  static Result<PlanParams> Create(const PlanFile& plan, std::shared_ptr<ParameterStore> store);

  const PlanFile& file() const { return plan_; }
  ParameterStore& store() const { return *store_; }
  const std::shared_ptr<ParameterStore>& shared_store() const { return store_; }

  int count() const { return static_cast<int>(plan_.plan().params()->size()); }
  const fb::Param& param(int index) const {
    return *plan_.plan().params()->Get(static_cast<uint32_t>(index));
  }
  // -1 where there is none of that name.
  int Find(std::string_view name) const;
  // Did it learn in the run that the plan goes on with, though it does not under this plan?
  bool learned_before(int index) const {
    return !param(index).trainable() && param(index).base_offset() >= 0;
  }

  // Where steps find the values of a parameter: the store, or the plan's segment, which must be
  // loaded and not be written. 64-byte aligned; 128 bytes after the end may be read.
  void* data(int index) const;
  // Values of a parameter that learns.
  std::span<float> values(int index) const;

  // Current values; those that the plan started with; those before any training, of any plan (both
  // zeros for a state). `out` is sized exactly. Errors as ReadableFile::ReadAt.
  Status Read(int index, std::span<float> out) const;
  Status ReadStart(int index, std::span<float> out) const;
  Status ReadBase(int index, std::span<float> out) const;

 private:
  PlanParams(const PlanFile& plan, std::shared_ptr<ParameterStore> store,
             std::vector<float*> places)
      : plan_(plan), store_(std::move(store)), places_(std::move(places)) {}
  Status ReadSegment(int64_t offset, std::span<float> out) const;

  const PlanFile& plan_;
  std::shared_ptr<ParameterStore> store_;
  std::vector<float*> places_;  // in the store; null for what is in the plan file
};

}  // namespace pocketune
