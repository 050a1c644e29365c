// An opened plan: metadata in memory, constants where they are asked for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/file_io.h"
#include "engine/base/pages.h"
#include "engine/plan/plan_format.h"
#include "engine/plan/plan_generated.h"
#include "pocketune/status.h"

namespace pocketune {

// Checks magic, version, checksum and the exact length. INVALID_ARGUMENT (not a plan), DATA_LOSS
// (damaged), UNIMPLEMENTED (of a newer version).
Status CheckPlanHeader(const PlanHeader& header, int64_t file_bytes);

// The file may be removed while this lives, but must not be changed.
//
// Constants are not mapped from the file: how much of a mapping is resident is up to the system,
// which may bring in megabytes around a byte that is touched.
class PlanFile {
 public:
  // Reads every byte and verifies all of it (plan_verify.h): what comes out can be trusted. No page
  // of the constants is resident afterwards. Errors: NOT_FOUND, UNAVAILABLE, RESOURCE_EXHAUSTED,
  // and the above.
  static Result<PlanFile> Open(const char* path);
  // The same of a plan's bytes in memory, which stay the caller's: they must live as long as this,
  // and must not be changed. Any alignment.
  static Result<PlanFile> Open(std::span<const uint8_t> bytes);

  // identity() of a file, also of a version that is not read. Errors as Open's of the header.
  static Result<uint64_t> ReadIdentity(const char* path);

  const fb::Plan& plan() const { return *fb::GetPlan(metadata_.data()); }
  // Memory for the segment, aligned to kSegmentAlignment: zero but for what Load has brought in.
  const uint8_t* segment() const { return segment_.data(); }
  // Brings bytes of the segment, which `at` points into, in from the file. Errors as
  // ReadableFile::ReadAt.
  Status Load(const void* at, int64_t bytes) const;
  // Tells plans apart: a checksum over the checksums of metadata and segment.
  uint64_t identity() const { return header_.header_checksum; }

  // Reads from the file's segment without bringing anything in. Errors as ReadableFile::ReadAt.
  Status ReadSegment(int64_t offset, std::span<uint8_t> out) const {
    return file_.ReadAt(static_cast<int64_t>(header_.segment_offset) + offset, out);
  }

 private:
  static Result<PlanFile> Read(ReadableFile file);
  PlanFile(const PlanHeader& header, ReadableFile file, Pages segment,
           std::vector<uint8_t> metadata)
      : header_(header),
        file_(std::move(file)),
        segment_(std::move(segment)),
        metadata_(std::move(metadata)) {}

  PlanHeader header_;
  ReadableFile file_;
  Pages segment_;
  std::vector<uint8_t> metadata_;  // a copy, so that what was verified is what is used
};

}  // namespace pocketune
