// An opened plan file: metadata in memory, constants mapped.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/file_io.h"
#include "engine/base/mapped_file.h"
#include "engine/plan/plan_format.h"
#include "engine/plan/plan_generated.h"
#include "pocketune/status.h"

namespace pocketune {

// Checks magic, version, checksum and the exact length. INVALID_ARGUMENT (not a plan), DATA_LOSS
// (damaged), UNIMPLEMENTED (of a newer version).
Status CheckPlanHeader(const PlanHeader& header, int64_t file_bytes);

// Immutable. The file may be removed while this lives, but must not be changed.
class PlanFile {
 public:
  // Reads every byte and verifies all of it (plan_verify.h): what comes out can be trusted. No page
  // of the constants is resident afterwards. Errors: NOT_FOUND, UNAVAILABLE, and the above.
  static Result<PlanFile> Open(const char* path);

  const fb::Plan& plan() const { return *fb::GetPlan(metadata_.data()); }
  // Start of the segment, kSegmentAlignment-aligned in the mapping.
  const uint8_t* segment() const { return mapping_.data() + header_.segment_offset; }
  const MappedFile& mapping() const { return mapping_; }
  // Tells plans apart: a checksum over the checksums of metadata and segment.
  uint64_t identity() const { return header_.header_checksum; }

  // Reads from the segment without making pages of the mapping resident. Errors as
  // ReadableFile::ReadAt.
  Status ReadSegment(int64_t offset, std::span<uint8_t> out) const {
    return file_.ReadAt(static_cast<int64_t>(header_.segment_offset) + offset, out);
  }

 private:
  PlanFile(const PlanHeader& header, ReadableFile file, MappedFile mapping,
           std::vector<uint8_t> metadata)
      : header_(header),
        file_(std::move(file)),
        mapping_(std::move(mapping)),
        metadata_(std::move(metadata)) {}

  PlanHeader header_;
  ReadableFile file_;
  MappedFile mapping_;
  std::vector<uint8_t> metadata_;  // a copy, so that what was verified is what is used
};

}  // namespace pocketune
