#include "engine/train/row_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/base/pages.h"

namespace pocketune {
namespace {

// The file: header, one entry per row, rows from the next multiple of kAlignment on. Little-endian.
constexpr uint64_t kMagic = 0x3153574f52545021;  // the text !PTROWS1
constexpr int64_t kAlignment = 4096;

struct Header {
  uint64_t magic = kMagic;
  uint64_t identity = 0;
  int64_t row_bytes = 0;
  int64_t rows = 0;
  uint64_t checksum = 0;  // of the above
};

struct Entry {
  uint64_t key = 0;
  uint64_t checksum = 0;  // of key, row number and row; 0: there is no row yet
};

int64_t DataOffset(int64_t rows) {
  return AlignUp(int64_t{sizeof(Header)} + rows * int64_t{sizeof(Entry)}, kAlignment);
}

uint64_t ChecksumOf(uint64_t key, int64_t row, const uint8_t* data, int64_t bytes) {
  ChecksumStream stream;
  stream.Add(&key, sizeof(key));
  stream.Add(&row, sizeof(row));
  stream.Add(data, static_cast<size_t>(bytes));
  return stream.Value() == 0 ? 1 : stream.Value();
}

Status Unavailable(const char* message, int error) {
  return Status(StatusCode::kUnavailable, message, error);
}

class MemoryRows final : public RowStore {
 public:
  MemoryRows(Pages pages, const RowStoreSpec& spec)
      : pages_(std::move(pages)), row_bytes_(spec.row_bytes), has_(spec.rows) {}

  bool Has(int64_t row) const override { return has_[row]; }
  Status Put(int64_t row, const uint8_t* data) override {
    std::memcpy(pages_.data() + row * row_bytes_, data, row_bytes_);
    has_[row] = true;
    return OkStatus();
  }
  Result<const uint8_t*> Get(int64_t row, uint8_t* /*buffer*/) const override {
    return pages_.data() + row * row_bytes_;
  }
  void Clear() override { has_.assign(has_.size(), false); }
  void Remove() override {}

 private:
  Pages pages_;
  const int64_t row_bytes_;
  std::vector<bool> has_;
};

class FileRows final : public RowStore {
 public:
  FileRows(std::string path, int fd, const RowStoreSpec& spec)
      : path_(std::move(path)), fd_(fd), spec_(spec), entries_(spec.rows) {}
  ~FileRows() override { close(fd_); }

  // What is in the file, or a new one.
  Status Load(std::string* notice) {
    const Header want = MakeHeader();
    Header header;
    struct stat info;
    if (fstat(fd_, &info) != 0) return Unavailable("cannot read", errno);
    if (!S_ISREG(info.st_mode)) return NotOurs();
    if (info.st_size == 0) return Begin();
    if (info.st_size < int64_t{sizeof(header)}) return NotOurs();
    PT_RETURN_IF_ERROR(ReadAt(0, &header, sizeof(header)));
    if (header.magic != kMagic) return NotOurs();
    if (std::memcmp(&header, &want, sizeof(header)) != 0) {
      *notice = path_ + ": of another model, other weights or other " + spec_.what + "; begun anew";
      return Begin();
    }
    if (info.st_size != RowFileBytes(spec_.rows, spec_.row_bytes)) {
      *notice = path_ + ": has a wrong length; begun anew";
      return Begin();
    }
    return LoadRows(notice);
  }

  bool Has(int64_t row) const override { return entries_[row].checksum != 0; }

  Status Put(int64_t row, const uint8_t* data) override {
    const uint64_t key = spec_.keys[row];
    const Entry entry = {key, ChecksumOf(key, row, data, spec_.row_bytes)};
    PT_RETURN_IF_ERROR(WriteAt(OffsetOf(row), data, spec_.row_bytes));
    PT_RETURN_IF_ERROR(WriteAt(EntryOffset(row), &entry, sizeof(entry)));
    entries_[row] = entry;
    return OkStatus();
  }

  Result<const uint8_t*> Get(int64_t row, uint8_t* buffer) const override {
    PT_RETURN_IF_ERROR(ReadAt(OffsetOf(row), buffer, spec_.row_bytes));
    const Entry& entry = entries_[row];
    if (ChecksumOf(entry.key, row, buffer, spec_.row_bytes) != entry.checksum) {
      return Status(StatusCode::kDataLoss, "a row is damaged", static_cast<int32_t>(row));
    }
    return buffer;
  }

  void Clear() override { entries_.assign(entries_.size(), {}); }
  void Remove() override { unlink(path_.c_str()); }

 private:
  Header MakeHeader() const {
    Header header;
    header.identity = spec_.identity;
    header.row_bytes = spec_.row_bytes;
    header.rows = spec_.rows;
    header.checksum = Checksum(&header, offsetof(Header, checksum));
    return header;
  }
  int64_t OffsetOf(int64_t row) const { return DataOffset(spec_.rows) + row * spec_.row_bytes; }
  static int64_t EntryOffset(int64_t row) {
    return int64_t{sizeof(Header)} + row * int64_t{sizeof(Entry)};
  }

  Status NotOurs() const {
    return Status(StatusCode::kFailedPrecondition, "is no prefix cache, and stays as it is");
  }

  // An empty file of full length: the space is taken now, so that no later write lacks it.
  Status Begin() {
    const Header header = MakeHeader();
    int error = ftruncate(fd_, 0) == 0 ? 0 : errno;
    if (error == 0) {
      if (Status s = WriteAt(0, &header, sizeof(header)); !s.ok()) {
        Remove();
        return s;
      }
      error = posix_fallocate(fd_, 0, RowFileBytes(spec_.rows, spec_.row_bytes));
    }
    if (error == 0) return OkStatus();
    Remove();
    return Unavailable("cannot make room", error);
  }

  Status LoadRows(std::string* notice) {
    std::vector<Entry> found(entries_.size());
    PT_RETURN_IF_ERROR(ReadAt(EntryOffset(0), found.data(), int64_t(found.size() * sizeof(Entry))));
    std::vector<uint8_t> buffer(spec_.row_bytes);
    int64_t changed = 0, damaged = 0;
    for (int64_t row = 0; row < spec_.rows; ++row) {
      if (found[row].checksum == 0) continue;
      if (found[row].key != spec_.keys[row]) {
        ++changed;
        continue;
      }
      entries_[row] = found[row];
      if (Get(row, buffer.data()).ok()) continue;
      entries_[row] = {};
      ++damaged;
    }
    if (changed + damaged > 0) {
      *notice = path_ + ": " + std::to_string(changed) + " " + spec_.what + " have changed and " +
                std::to_string(damaged) + " rows are damaged; computed anew";
    }
    return OkStatus();
  }

  Status ReadAt(int64_t offset, void* out, int64_t bytes) const {
    for (int64_t done = 0; done < bytes;) {
      const ssize_t n = pread(fd_, static_cast<char*>(out) + done, bytes - done, offset + done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Unavailable("cannot read", errno);
      if (n == 0) return Status(StatusCode::kDataLoss, "ends early");
      done += n;
    }
    return OkStatus();
  }

  Status WriteAt(int64_t offset, const void* data, int64_t bytes) const {
    for (int64_t done = 0; done < bytes;) {
      const ssize_t n =
          pwrite(fd_, static_cast<const char*>(data) + done, bytes - done, offset + done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return Unavailable("cannot write", n < 0 ? errno : ENOSPC);
      done += n;
    }
    return OkStatus();
  }

  const std::string path_;
  const int fd_;
  const RowStoreSpec spec_;
  std::vector<Entry> entries_;
};

}  // namespace

int64_t RowFileBytes(int64_t rows, int64_t row_bytes) {
  return DataOffset(rows) + rows * row_bytes;
}

Result<std::unique_ptr<RowStore>> RowStore::InMemory(const RowStoreSpec& spec) {
  Result<Pages> pages = Pages::Allocate(spec.rows * spec.row_bytes);
  if (!pages.ok()) return pages.status();
  return std::unique_ptr<RowStore>(new MemoryRows(std::move(pages.value()), spec));
}

Result<std::unique_ptr<RowStore>> RowStore::InFile(const std::string& path,
                                                   const RowStoreSpec& spec, std::string* notice) {
  notice->clear();
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) return Unavailable("cannot open", errno);
  auto rows = std::make_unique<FileRows>(path, fd, spec);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return Status(StatusCode::kFailedPrecondition, "another run has it");
  }
  PT_RETURN_IF_ERROR(rows->Load(notice));
  return std::unique_ptr<RowStore>(std::move(rows));
}

}  // namespace pocketune
