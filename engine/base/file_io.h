// Reading and replacing files. A read that fails is UNAVAILABLE with detail = errno, never
// DATA_LOSS: a disk that does not answer says nothing about the bytes on it.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "pocketune/status.h"

namespace pocketune {

// A regular file opened for reading, closed on destruction; or bytes in memory, read as one.
// Reading at an offset is thread-safe.
class ReadableFile {
 public:
  // Errors: NOT_FOUND; UNAVAILABLE; INVALID_ARGUMENT where `path` is no regular file.
  static Result<ReadableFile> Open(const char* path);
  // The bytes stay the caller's and must live as long as this.
  explicit ReadableFile(std::span<const uint8_t> bytes)
      : bytes_(static_cast<int64_t>(bytes.size())), memory_(bytes.data()) {}
  ~ReadableFile();
  ReadableFile(ReadableFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_), memory_(other.memory_) {}
  ReadableFile& operator=(ReadableFile&&) = delete;

  int64_t bytes() const { return bytes_; }  // length when it was opened

  // Fills `out` from `offset` on. UNAVAILABLE where reading fails, DATA_LOSS where the file ends
  // before; `out` is then unspecified.
  Status ReadAt(int64_t offset, std::span<uint8_t> out) const;

  // Checksum (checksum.h) of `bytes` bytes from `offset` on, through a small buffer: no page of a
  // mapping of this file becomes resident. Errors as ReadAt.
  Result<uint64_t> ChecksumAt(int64_t offset, int64_t bytes) const;

 private:
  ReadableFile(int fd, int64_t bytes) : fd_(fd), bytes_(bytes) {}
  Status CopyAt(int64_t offset, std::span<uint8_t> out) const;

  int fd_ = -1;
  int64_t bytes_;
  const uint8_t* memory_ = nullptr;  // of the bytes in memory
};

// The whole file. Errors as above; RESOURCE_EXHAUSTED where it is longer than `max_bytes`.
Result<std::vector<uint8_t>> ReadFile(const char* path, int64_t max_bytes);

// Makes `path` hold the concatenated chunks, or leaves it as it was: temporary file "<path>.tmp" in
// the same directory (mode 0600), fsync, rename, fsync of the directory. After a failure the
// temporary file is gone; after a kill it may stay, and the next call replaces it. One writer of a
// path at a time. UNAVAILABLE with detail = errno; where the directory's fsync alone failed, `path`
// holds the new bytes, but a power cut may bring the old ones back.
Status WriteFileAtomically(const char* path, std::span<const std::span<const uint8_t>> chunks);

// The same with the bytes of the file `from`, which is not in memory at any time. Errors as
// ReadableFile's too.
Status CopyFileAtomically(const char* from, const char* path);

}  // namespace pocketune
