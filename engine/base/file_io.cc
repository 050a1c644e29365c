#include "engine/base/file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "engine/base/checksum.h"

namespace pocketune {
namespace {

constexpr int64_t kReadBufferBytes = 64 << 10;

Status SystemError(const char* message) { return Status(StatusCode::kUnavailable, message, errno); }
Status EndsEarly() { return Status(StatusCode::kDataLoss, "the file ends too early"); }

// Calls `call` until no signal interrupts it.
template <typename Call>
auto Uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

Status WriteAll(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = Uninterrupted([&] { return write(fd, bytes.data(), bytes.size()); });
    if (n < 0) return SystemError("writing failed");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return OkStatus();
}

// Makes a new file of what `write`, which gets it open, puts there.
template <typename Write>
Status CreateAndSync(const char* path, const Write& write) {
  unlink(path);  // of a writer that was killed; whatever cannot go makes the next call fail
  const int fd = Uninterrupted(
      [&] { return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600); });
  if (fd < 0) return SystemError("creating a temporary file failed");
  Status status = write(fd);
  if (status.ok() && Uninterrupted([&] { return fsync(fd); }) != 0) {
    status = SystemError("fsync of a file failed");
  }
  if (close(fd) != 0 && status.ok() && errno != EINTR) {
    status = SystemError("closing a written file failed");
  }
  return status;
}

Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd =
      Uninterrupted([&] { return open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return SystemError("opening the directory of a written file failed");
  Status status;
  // EINVAL: a file system whose directories cannot be synced, FAT for one.
  if (Uninterrupted([&] { return fsync(fd); }) != 0 && errno != EINVAL) {
    status = SystemError("fsync of a directory failed");
  }
  close(fd);
  return status;
}

// CreateAndSync beside `path`, which then takes the place of what was there.
template <typename Write>
Status ReplaceFile(const char* path, const Write& write) {
  const std::string temporary = std::string(path) + ".tmp";
  Status status = CreateAndSync(temporary.c_str(), write);
  if (status.ok() && rename(temporary.c_str(), path) != 0) {
    status = SystemError("renaming a temporary file failed");
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncDirectoryOf(path);
}

}  // namespace

Result<ReadableFile> ReadableFile::Open(const char* path) {
  // O_NONBLOCK: a FIFO must not hold us up.
  const int fd = Uninterrupted([&] { return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (fd < 0) {
    if (errno == ENOENT) return Status(StatusCode::kNotFound, "no such file", errno);
    return SystemError("opening a file failed");
  }
  ReadableFile file(fd, 0);
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError("fstat of a file failed");
  if (!S_ISREG(info.st_mode)) {
    return Status(StatusCode::kInvalidArgument, "not a regular file");
  }
  file.bytes_ = info.st_size;
  return file;
}

ReadableFile::~ReadableFile() {
  if (fd_ >= 0) close(fd_);
}

Status ReadableFile::ReadAt(int64_t offset, std::span<uint8_t> out) const {
  if (fd_ < 0) return CopyAt(offset, out);
  while (!out.empty()) {
    const ssize_t n = Uninterrupted([&] { return pread(fd_, out.data(), out.size(), offset); });
    if (n < 0) return SystemError("reading a file failed");
    if (n == 0) return EndsEarly();
    out = out.subspan(static_cast<size_t>(n));
    offset += n;
  }
  return OkStatus();
}

Status ReadableFile::CopyAt(int64_t offset, std::span<uint8_t> out) const {
  if (out.empty()) return OkStatus();
  if (offset > bytes_ || static_cast<int64_t>(out.size()) > bytes_ - offset) return EndsEarly();
  std::memcpy(out.data(), memory_ + offset, out.size());
  return OkStatus();
}

Result<uint64_t> ReadableFile::ChecksumAt(int64_t offset, int64_t bytes) const {
  std::vector<uint8_t> buffer(static_cast<size_t>(std::min(bytes, kReadBufferBytes)));
  ChecksumStream checksum;
  for (int64_t done = 0; done < bytes;) {
    const int64_t n = std::min(bytes - done, kReadBufferBytes);
    const std::span<uint8_t> part(buffer.data(), static_cast<size_t>(n));
    PT_RETURN_IF_ERROR(ReadAt(offset + done, part));
    checksum.Add(part.data(), part.size());
    done += n;
  }
  return checksum.Value();
}

Result<std::vector<uint8_t>> ReadFile(const char* path, int64_t max_bytes) {
  Result<ReadableFile> file = ReadableFile::Open(path);
  if (!file.ok()) return file.status();
  if (file->bytes() > max_bytes) {
    return Status(StatusCode::kResourceExhausted, "the file is too long");
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(file->bytes()));
  PT_RETURN_IF_ERROR(file->ReadAt(0, bytes));
  return bytes;
}

Status WriteFileAtomically(const char* path, std::span<const std::span<const uint8_t>> chunks) {
  return ReplaceFile(path, [&](int fd) {
    Status status;
    for (const std::span<const uint8_t> chunk : chunks) {
      if (status.ok()) status = WriteAll(fd, chunk);
    }
    return status;
  });
}

Status CopyFileAtomically(const char* from, const char* path) {
  const Result<ReadableFile> file = ReadableFile::Open(from);
  if (!file.ok()) return file.status();
  const int64_t bytes = file.value().bytes();
  std::vector<uint8_t> buffer(static_cast<size_t>(std::min(bytes, kReadBufferBytes)));
  return ReplaceFile(path, [&](int fd) {
    for (int64_t done = 0; done < bytes;) {
      const int64_t n = std::min(bytes - done, kReadBufferBytes);
      const std::span<uint8_t> part(buffer.data(), static_cast<size_t>(n));
      PT_RETURN_IF_ERROR(file.value().ReadAt(done, part));
      PT_RETURN_IF_ERROR(WriteAll(fd, part));
      done += n;
    }
    return OkStatus();
  });
}

}  // namespace pocketune
