#include "apps/data/zip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

constexpr int64_t kEndBytes = 22;
constexpr int64_t kMaxCommentBytes = 65535;
constexpr int64_t kEntryBytes = 46;
constexpr int64_t kLocalBytes = 30;
constexpr uint32_t kEndMagic = 0x06054b50;
constexpr uint32_t kEntryMagic = 0x02014b50;
constexpr uint32_t kLocalMagic = 0x04034b50;
constexpr uint32_t kInZip64 = 0xffffffff;

uint32_t U16(const uint8_t* p) { return p[0] | uint32_t{p[1]} << 8; }
uint32_t U32(const uint8_t* p) { return U16(p) | U16(p + 2) << 16; }

bool Inflate(const std::vector<uint8_t>& packed, std::vector<uint8_t>* out) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  stream.next_in = const_cast<uint8_t*>(packed.data());
  stream.avail_in = uInt(packed.size());
  stream.next_out = out->data();
  stream.avail_out = uInt(out->size());
  const int code = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return code == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
}

}  // namespace

absl::StatusOr<ZipReader> ZipReader::Open(const std::string& path) {
  PT_TRY_ASSIGN(ReadOnlyFile file, ReadOnlyFile::Open(path));
  ZipReader reader(std::move(file));
  PT_TRY(reader.ReadDirectory());
  return reader;
}

absl::Status ZipReader::ReadDirectory() {
  const int64_t tail_bytes = std::min(file_.size(), kEndBytes + kMaxCommentBytes);
  std::vector<uint8_t> tail(tail_bytes);
  PT_TRY(file_.ReadAt(file_.size() - tail_bytes, tail));
  int64_t end = tail_bytes - kEndBytes;
  while (end >= 0 &&
         (U32(&tail[end]) != kEndMagic || end + kEndBytes + U16(&tail[end + 20]) != tail_bytes)) {
    --end;
  }
  if (end < 0) return BadData(path(), "damaged zip archive (no end record)");
  const uint8_t* record = &tail[end];
  const uint32_t count = U16(record + 10), size = U32(record + 12), offset = U32(record + 16);
  if (U16(record + 4) != 0 || U16(record + 8) != count || count == 0xffff || size == kInZip64 ||
      offset == kInZip64) {
    return BadData(path(), "zip64 and split archives are not supported");
  }
  if (int64_t{offset} + size > file_.size() - tail_bytes + end) {
    return BadData(path(), "damaged zip archive (directory outside of the file)");
  }
  std::vector<uint8_t> directory(size);
  PT_TRY(file_.ReadAt(offset, directory));
  return ParseDirectory(directory, int(count));
}

absl::Status ZipReader::ParseDirectory(const std::vector<uint8_t>& directory, int count) {
  absl::Status damaged = BadData(path(), "damaged zip archive (bad directory)");
  size_t pos = 0;
  for (int i = 0; i < count; ++i) {
    if (directory.size() - pos < kEntryBytes) return damaged;
    const uint8_t* entry = &directory[pos];
    const size_t name_bytes = U16(entry + 28);
    const size_t entry_bytes = kEntryBytes + name_bytes + U16(entry + 30) + U16(entry + 32);
    if (U32(entry) != kEntryMagic || directory.size() - pos < entry_bytes) return damaged;
    ZipMember member = {std::string(entry + kEntryBytes, entry + kEntryBytes + name_bytes),
                        uint16_t(U16(entry + 10)),
                        U32(entry + 16),
                        U32(entry + 20),
                        U32(entry + 24),
                        U32(entry + 42)};
    const bool encrypted = (U16(entry + 8) & 1) != 0;
    if (encrypted || (member.method != 0 && member.method != 8) ||
        member.packed_bytes == kInZip64 || member.bytes == kInZip64) {
      return BadData(
          path(), absl::StrCat(member.name, ": unsupported zip member (got method ", member.method,
                               ", want stored or deflated, below 4 GiB, "
                               "not encrypted)"));
    }
    for (const ZipMember& other : members_) {
      if (other.name == member.name) {
        return BadData(path(), absl::StrCat(member.name, ": twice in the archive"));
      }
    }
    members_.push_back(std::move(member));
    pos += entry_bytes;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint8_t>> ZipReader::Read(const ZipMember& member,
                                                     int64_t max_bytes) const {
  const auto damaged = [&](const char* what) {
    return BadData(path(), absl::StrCat(member.name, ": damaged zip member (", what, ")"));
  };
  if (member.bytes > max_bytes) {
    return BadData(path(), absl::StrCat(member.name, ": too large (got ", member.bytes,
                                        " bytes, want at most ", max_bytes, ")"));
  }
  uint8_t local[kLocalBytes];
  PT_TRY(file_.ReadAt(member.header_offset, local));
  if (U32(local) != kLocalMagic) return damaged("no local header");
  const int64_t data = member.header_offset + kLocalBytes + U16(local + 26) + U16(local + 28);
  if (data + member.packed_bytes > file_.size()) return damaged("ends outside of the file");
  if (member.method == 0 ? member.bytes != member.packed_bytes
                         : member.bytes / kMaxDeflateRatio > member.packed_bytes) {
    return damaged("impossible size");
  }
  std::vector<uint8_t> packed(member.packed_bytes);
  PT_TRY(file_.ReadAt(data, packed));
  std::vector<uint8_t> out;
  if (member.method == 0) {
    out = std::move(packed);
  } else {
    out.resize(member.bytes);
    if (!Inflate(packed, &out)) return damaged("bad deflate data");
  }
  if (crc32_z(0, out.data(), out.size()) != member.crc32) return damaged("wrong checksum");
  return out;
}

}  // namespace pocketune::data
