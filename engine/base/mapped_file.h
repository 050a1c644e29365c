// A file's bytes as read-only memory. Pages become resident when they are touched.
#pragma once

#include <cstdint>
#include <utility>

#include "engine/base/file_io.h"
#include "pocketune/status.h"

namespace pocketune {

// Owns the mapping; the file may be closed and removed, but must not be changed or truncated.
class MappedFile {
 public:
  // Maps the whole of `file`, which must not be empty. UNAVAILABLE with detail = errno.
  static Result<MappedFile> Map(const ReadableFile& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  MappedFile& operator=(MappedFile&&) = delete;

  const uint8_t* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

  // Gives the pages that hold [data, data + bytes) back to the system; the next touch brings them
  // in again. The range must lie inside the mapping.
  void GiveBack(const void* data, int64_t bytes) const;

 private:
  MappedFile(uint8_t* data, int64_t bytes) : data_(data), bytes_(bytes) {}

  uint8_t* data_;
  int64_t bytes_;
};

}  // namespace pocketune
