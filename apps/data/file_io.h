// Reading files and folders that a user gave us: every size is checked, every error names the path.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pocketune::data {

// No deflate stream expands by more (zlib's technical notes: 1032:1): a larger claim is a lie.
inline constexpr int64_t kMaxDeflateRatio = 1032;

// `<where>: <fact>` as one line.
// BadData is DATA_LOSS: the content is wrong. IoError is NOT_FOUND where `error` (an errno) says
// that nothing is there, RESOURCE_EXHAUSTED where memory is short, else UNAVAILABLE: the content
// could not be read.
absl::Status BadData(const std::string& where, const std::string& fact);
absl::Status IoError(const std::string& where, const char* action, int error);

// An open regular file. Movable; closes on destruction. ReadAt may be called from any thread.
class ReadOnlyFile {
 public:
  // Errors: as IoError; INVALID_ARGUMENT if `path` is not a regular file (a pipe is not waited
  // for).
  static absl::StatusOr<ReadOnlyFile> Open(const std::string& path);
  ReadOnlyFile(ReadOnlyFile&& other) noexcept;
  ReadOnlyFile& operator=(ReadOnlyFile&&) = delete;
  ReadOnlyFile(const ReadOnlyFile&) = delete;
  ~ReadOnlyFile();

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  // Fills all of `out` from byte `offset`. DATA_LOSS where the file ends before.
  absl::Status ReadAt(int64_t offset, std::span<uint8_t> out) const;
  // Hands the descriptor over; the caller closes it.
  int Release();

 private:
  ReadOnlyFile(std::string path, int fd, int64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}

  std::string path_;
  int fd_;
  int64_t size_;
};

// The whole file into `*out` (its capacity is reused). DATA_LOSS above `max_bytes`.
absl::Status ReadFile(const std::string& path, int64_t max_bytes, std::vector<uint8_t>* out);

struct DirectoryEntry {
  enum class Kind : uint8_t { kFile, kDirectory, kOther };
  std::string name;
  Kind kind;
  // Identity of what the name leads to, through symbolic links: two names of one folder agree.
  dev_t device;
  ino_t inode;
};

// Entries of a folder, sorted by bytes of the name; hidden ones (leading dot) are left out. Links
// are followed; one that leads nowhere or in a circle is kOther.
absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(const std::string& path);

}  // namespace pocketune::data
