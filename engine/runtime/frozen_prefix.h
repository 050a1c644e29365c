// The part of a schedule whose results never change: what frozen layers make of a sample.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/plan/plan_file.h"
#include "engine/plan/plan_view.h"
#include "engine/runtime/prefix_cuts.h"

namespace pocketune {

// The steps that depend on inputs of the role kData and on constants alone, each sample's results
// on that sample alone, up to a cut where little crosses over to the other steps. What crosses, one
// row of bytes per sample, can stand in for the inputs that no other step reads.
//
// A schedule's order and places stay as they are: where a run starts from rows, they are copied in
// when the step that makes them would have run, at which time the plan keeps their place free.
class FrozenPrefix {
 public:
  using Part = PrefixPart;
  // Inputs of a schedule that are looked at; the others do not belong to it.
  static constexpr uint32_t kMostInputs = 32;

  // `schedule` is a verified one of `plan`. Of all cuts that keep nearly all multiplications, the
  // one with the shortest rows is taken. None of predictions: rows are for samples that come again.
  static FrozenPrefix Find(const fb::Plan& plan, const fb::Schedule& schedule);

  // 0 where there is no such part: no other figure holds then.
  int64_t row_bytes() const { return row_bytes_; }
  int64_t rows() const { return rows_; }  // the batch
  int64_t macs() const { return macs_; }  // of the whole batch
  int64_t rest_macs() const { return rest_macs_; }
  // Does it begin with the schedule's input of that number, and do rows stand in for that?
  bool Reads(uint32_t input) const { return Has(read_, input); }
  bool Replaces(uint32_t input) const { return Has(replaced_, input); }
  // Does the step belong to it?
  bool Covers(size_t step) const { return !covered_.empty() && covered_[step]; }
  // What the step, which belongs to it, hands over the cut; nullptr for nothing.
  const Part* PartOf(size_t step) const {
    return part_of_[step] < 0 ? nullptr : &parts_[static_cast<size_t>(part_of_[step])];
  }

  // Equal for prefixes that make the same rows of the same samples on the same machine: checksum
  // of ops, kernels, attributes, types and constants. Errors as ReadableFile::ReadAt.
  Result<uint64_t> Identity(const PlanFile& file, const fb::Schedule& schedule) const;

  static bool Has(uint32_t inputs, uint32_t i) { return i < kMostInputs && (inputs >> i & 1) != 0; }

 private:
  int64_t row_bytes_ = 0;
  int64_t rows_ = 0;
  int64_t macs_ = 0;
  int64_t rest_macs_ = 0;
  uint32_t read_ = 0;  // a bit for each input
  uint32_t replaced_ = 0;
  std::vector<Part> parts_;
  std::vector<bool> covered_;     // by step
  std::vector<int32_t> part_of_;  // by step: index into parts_ or -1
};

}  // namespace pocketune
