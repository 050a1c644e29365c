// Parameters and states: those that learn in RAM, the others in the plan file.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/pages.h"
#include "engine/plan/plan_file.h"
#include "pocketune/status.h"

namespace pocketune {

class ParamStore {
 public:
  // Allocates the RAM and fills it with the untrained values. `plan` must outlive this.
  static Result<ParamStore> Create(const PlanFile& plan);

  int count() const { return static_cast<int>(plan_.plan().params()->size()); }
  const fb::Param& param(int index) const {
    return *plan_.plan().params()->Get(static_cast<uint32_t>(index));
  }
  // -1 where there is none of that name.
  int Find(std::string_view name) const;

  // Where steps find the values of a parameter: RAM, or the plan's segment, which must be
  // loaded and not be written. 64-byte aligned; 128 bytes after the end may be read.
  void* data(int index) const;
  // Values of a parameter that learns.
  std::span<float> values(int index) const;

  // Current values, and those before any training (zeros for a state). `out` is sized exactly.
  // Errors as ReadableFile::ReadAt.
  Status Read(int index, std::span<float> out) const;
  Status ReadBase(int index, std::span<float> out) const;

 private:
  ParamStore(const PlanFile& plan, Pages ram) : plan_(plan), ram_(std::move(ram)) {}

  const PlanFile& plan_;
  Pages ram_;
};

}  // namespace pocketune
