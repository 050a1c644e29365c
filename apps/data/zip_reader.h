// Just enough of zip to read NumPy's .npz: one file, no encryption, no spanning, stored or
// deflated. PKWARE APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (central
// directory), 4.3.16 (end).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/data/file_io.h"

namespace pocketune::data {

struct ZipMember {
  std::string name;
  uint16_t method;  // 0 stored, 8 deflated
  uint32_t crc32;
  int64_t packed_bytes;
  int64_t bytes;
  int64_t header_offset;
};

class ZipReader {
 public:
  // Reads the central directory. DATA_LOSS if it is damaged or uses what is not supported.
  static absl::StatusOr<ZipReader> Open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::vector<ZipMember>& members() const { return members_; }
  // The content of a member, its size and checksum verified. DATA_LOSS above `max_bytes`.
  absl::StatusOr<std::vector<uint8_t>> Read(const ZipMember& member, int64_t max_bytes) const;

 private:
  explicit ZipReader(ReadOnlyFile file) : file_(std::move(file)) {}
  absl::Status ReadDirectory();
  absl::Status ParseDirectory(const std::vector<uint8_t>& directory, int count);

  ReadOnlyFile file_;
  std::vector<ZipMember> members_;
};

}  // namespace pocketune::data
