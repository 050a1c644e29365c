#include "apps/data/file_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/one_line.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {

absl::Status BadData(const std::string& where, const std::string& fact) {
  return absl::DataLossError(OneLine(absl::StrCat(where, ": ", fact)));
}

absl::Status IoError(const std::string& where, const char* action, int error) {
  const std::string line =
      OneLine(absl::StrCat(where, ": cannot ", action, " (got \"", std::strerror(error), "\")"));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(line);
  if (error == ENOMEM) return absl::ResourceExhaustedError(line);
  return absl::UnavailableError(line);
}

absl::StatusOr<ReadOnlyFile> ReadOnlyFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return IoError(path, "open", errno);
  ReadOnlyFile file(path, fd, 0);
  struct stat info;
  if (fstat(fd, &info) != 0) return IoError(path, "stat", errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(OneLine(absl::StrCat(path, ": not a regular file")));
  }
  file.size_ = info.st_size;
  return file;
}

ReadOnlyFile::ReadOnlyFile(ReadOnlyFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

ReadOnlyFile::~ReadOnlyFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status ReadOnlyFile::ReadAt(int64_t offset, std::span<uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t n = pread(fd_, out.data(), out.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return IoError(path_, "read", errno);
    if (n == 0) {
      return BadData(path_, absl::StrCat("ends too early (got ", offset, " bytes, want ",
                                         offset + int64_t(out.size()), ")"));
    }
    offset += n;
    out = out.subspan(n);
  }
  return absl::OkStatus();
}

int ReadOnlyFile::Release() { return std::exchange(fd_, -1); }

absl::Status ReadFile(const std::string& path, int64_t max_bytes, std::vector<uint8_t>* out) {
  PT_TRY_ASSIGN(ReadOnlyFile file, ReadOnlyFile::Open(path));
  if (file.size() > max_bytes) {
    return BadData(path, absl::StrCat("file too large (got ", file.size(), " bytes, want at most ",
                                      max_bytes, ")"));
  }
  out->resize(file.size());
  return file.ReadAt(0, *out);
}

absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()), closedir);
  if (dir == nullptr) return IoError(path, "open the folder", errno);
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) break;
    if (entry->d_name[0] == '.') continue;
    struct stat info;
    DirectoryEntry::Kind kind = DirectoryEntry::Kind::kOther;
    if (fstatat(dirfd(dir.get()), entry->d_name, &info, 0) != 0) {
      if (errno != ENOENT && errno != ELOOP) {
        return IoError(absl::StrCat(path, "/", entry->d_name), "stat", errno);
      }
      info = {};
    } else if (S_ISREG(info.st_mode)) {
      kind = DirectoryEntry::Kind::kFile;
    } else if (S_ISDIR(info.st_mode)) {
      kind = DirectoryEntry::Kind::kDirectory;
    }
    entries.push_back({entry->d_name, kind, info.st_dev, info.st_ino});
  }
  if (errno != 0) return IoError(path, "list the folder", errno);
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

}  // namespace pocketune::data
