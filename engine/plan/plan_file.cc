#include "engine/plan/plan_file.h"

#include <cstddef>

#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/plan/plan_verify.h"

namespace pocketune {
namespace {

constexpr uint64_t kMaxMetadataBytes = 16 << 20;

Status Damaged(const char* message) { return Status(StatusCode::kDataLoss, message); }

Status ReadHeader(const ReadableFile& file, PlanHeader* header) {
  if (file.bytes() < int64_t{sizeof(*header)}) {
    return Status(StatusCode::kInvalidArgument, "plan: the file is not a plan");
  }
  return file.ReadAt(0, std::span(reinterpret_cast<uint8_t*>(header), sizeof(*header)));
}

Status CheckMagic(const PlanHeader& header) {
  if (header.magic != kPlanMagic) {
    return Status(StatusCode::kInvalidArgument, "plan: the file is not a plan");
  }
  if (header.header_checksum != Checksum(&header, offsetof(PlanHeader, header_checksum))) {
    return Damaged("plan: the header's checksum is wrong");
  }
  return OkStatus();
}

}  // namespace

Status CheckPlanHeader(const PlanHeader& header, int64_t file_bytes) {
  PT_RETURN_IF_ERROR(CheckMagic(header));
  if (header.version > kPlanVersion) {
    return Status(StatusCode::kUnimplemented, "plan: made by a newer version of pocketune",
                  static_cast<int32_t>(header.version));
  }
  if (header.version < kOldestPlanVersion || header.reserved != 0 ||
      header.metadata_bytes > kMaxMetadataBytes) {
    return Status(StatusCode::kInvalidArgument, "plan: the header is unsound");
  }
  const int64_t metadata_end = int64_t{sizeof(PlanHeader)} + int64_t(header.metadata_bytes);
  const int64_t segment_offset = AlignUp(metadata_end, kSegmentAlignment);
  if (header.segment_offset != static_cast<uint64_t>(segment_offset)) {
    return Status(StatusCode::kInvalidArgument, "plan: the header is unsound");
  }
  const int64_t segment_bytes = file_bytes - segment_offset - kReadAheadBytes;
  if (segment_bytes < 0 || header.segment_bytes != static_cast<uint64_t>(segment_bytes)) {
    return Damaged("plan: the file's length is wrong");
  }
  return OkStatus();
}

Result<uint64_t> PlanFile::ReadIdentity(const char* path) {
  const Result<ReadableFile> file = ReadableFile::Open(path);
  if (!file.ok()) return file.status();
  PlanHeader header;
  PT_RETURN_IF_ERROR(ReadHeader(file.value(), &header));
  PT_RETURN_IF_ERROR(CheckMagic(header));
  return header.header_checksum;
}

Result<PlanFile> PlanFile::Open(const char* path) {
  Result<ReadableFile> file = ReadableFile::Open(path);
  if (!file.ok()) return file.status();
  return Read(std::move(file.value()));
}

Result<PlanFile> PlanFile::Open(std::span<const uint8_t> bytes) {
  return Read(ReadableFile(bytes));
}

Result<PlanFile> PlanFile::Read(ReadableFile file) {
  PlanHeader header;
  PT_RETURN_IF_ERROR(ReadHeader(file, &header));
  PT_RETURN_IF_ERROR(CheckPlanHeader(header, file.bytes()));

  const int64_t segment_offset = static_cast<int64_t>(header.segment_offset);
  std::vector<uint8_t> metadata(static_cast<size_t>(segment_offset) - sizeof(header));
  PT_RETURN_IF_ERROR(file.ReadAt(sizeof(header), metadata));
  if (Checksum(metadata.data(), metadata.size()) != header.metadata_checksum) {
    return Damaged("plan: the metadata's checksum is wrong");
  }
  metadata.resize(static_cast<size_t>(header.metadata_bytes));
  const Result<uint64_t> checksum = file.ChecksumAt(segment_offset, file.bytes() - segment_offset);
  if (!checksum.ok()) return checksum.status();
  if (checksum.value() != header.segment_checksum) {
    return Damaged("plan: the segment's checksum is wrong");
  }
  PT_RETURN_IF_ERROR(VerifyPlan(metadata, static_cast<int64_t>(header.segment_bytes)));

  Result<Pages> segment = Pages::Allocate(file.bytes() - segment_offset);
  if (!segment.ok()) return segment.status();
  return PlanFile(header, std::move(file), std::move(segment.value()), std::move(metadata));
}

Status PlanFile::Load(const void* at, int64_t bytes) const {
  const int64_t offset = static_cast<const uint8_t*>(at) - segment();
  return ReadSegment(offset, std::span(segment_.data() + offset, static_cast<size_t>(bytes)));
}

}  // namespace pocketune
