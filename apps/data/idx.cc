// IDX, the format of MNIST: big-endian magic 00 00 type rank, dimensions, data; often gzip-ed.
// http://yann.lecun.com/exdb/mnist
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/data/classes.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"
#include "apps/data/idx_files.h"
#include "engine/base/math.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

constexpr uint32_t kLabelsMagic = 0x00000801;  // u8, rank 1
constexpr uint32_t kImagesMagic = 0x00000803;  // u8, rank 3
constexpr uint32_t kMaxSide = 8192;
constexpr unsigned kMaxReadBytes = 1 << 30;

// zlib reads plain files through the same calls.
class IdxFile {
 public:
  static absl::StatusOr<IdxFile> Open(const std::string& path) {
    PT_TRY_ASSIGN(ReadOnlyFile file, ReadOnlyFile::Open(path));
    const int64_t size = file.size();
    const int fd = file.Release();
    gzFile gz = gzdopen(fd, "rb");
    if (gz == nullptr) {
      close(fd);
      return IoError(path, "open", ENOMEM);
    }
    return IdxFile(path, size, gz);
  }

  // Checks the magic number and reads as many dimensions as it names; then the data is as long as
  // their product, which the file can really hold.
  absl::StatusOr<std::vector<int64_t>> ReadHeader(uint32_t magic);
  absl::Status Read(uint8_t* out, int64_t bytes);
  // Nothing may follow. Also the place where zlib compares the checksum.
  absl::Status ExpectEnd();

 private:
  IdxFile(std::string path, int64_t size, gzFile gz)
      : path_(std::move(path)), size_(size), gz_(gz, gzclose) {}

  absl::StatusOr<int64_t> ReadSome(uint8_t* out, int64_t bytes);

  std::string path_;
  int64_t size_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> gz_;
};

absl::StatusOr<int64_t> IdxFile::ReadSome(uint8_t* out, int64_t bytes) {
  int64_t done = 0;
  while (done < bytes) {
    errno = 0;
    const int n =
        gzread(gz_.get(), out + done, unsigned(std::min<int64_t>(bytes - done, kMaxReadBytes)));
    const int read_error = errno;
    if (n > 0) {
      done += n;
      continue;
    }
    int code = Z_OK;
    const char* message = gzerror(gz_.get(), &code);
    if (code == Z_ERRNO) return IoError(path_, "read", read_error);
    if (code != Z_OK && code != Z_STREAM_END) {
      return BadData(path_, absl::StrCat("bad gzip data (got \"", message, "\")"));
    }
    break;
  }
  return done;
}

absl::Status IdxFile::Read(uint8_t* out, int64_t bytes) {
  PT_TRY_ASSIGN(const int64_t got, ReadSome(out, bytes));
  if (got == bytes) return absl::OkStatus();
  return BadData(path_, absl::StrCat("ends too early (got ", got, " bytes, want ", bytes, ")"));
}

absl::Status IdxFile::ExpectEnd() {
  uint8_t extra;
  PT_TRY_ASSIGN(const int64_t got, ReadSome(&extra, 1));
  if (got == 0) return absl::OkStatus();
  return BadData(path_, "more data than its header says");
}

absl::StatusOr<std::vector<int64_t>> IdxFile::ReadHeader(uint32_t magic) {
  const auto read_u32 = [this]() -> absl::StatusOr<uint32_t> {
    uint8_t b[4];
    PT_TRY(Read(b, sizeof(b)));
    return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
  };
  PT_TRY_ASSIGN(const uint32_t got, read_u32());
  if (got != magic) {
    return BadData(path_, absl::StrCat("bad IDX magic number (got 0x", absl::Hex(got), ", want 0x",
                                       absl::Hex(magic), ")"));
  }
  std::vector<int64_t> dims;
  int64_t bytes = 1;
  for (uint32_t rank = magic & 0xff; dims.size() < rank;) {
    PT_TRY_ASSIGN(const uint32_t dim, read_u32());
    if (dim == 0 || (!dims.empty() && dim > kMaxSide)) {
      return BadData(path_, absl::StrCat("bad dimension ", dims.size(), " (got ", dim,
                                         ", want 1 to ", kMaxSide, ")"));
    }
    dims.push_back(dim);
    if (!CheckedMul(bytes, dim, &bytes) || bytes > kMaxInMemoryBytes) {
      return BadData(path_, absl::StrCat("too large (got ", dim, " in dimension ", dims.size() - 1,
                                         ", want at most ", kMaxInMemoryBytes, " bytes in all)"));
    }
  }
  const int64_t limit = gzdirect(gz_.get()) != 0 ? size_ : size_ * kMaxDeflateRatio;
  if (bytes > limit) {
    return BadData(path_, absl::StrCat("its header says more than the file can hold (got ", bytes,
                                       " bytes, want at most ", limit, ")"));
  }
  return dims;
}

std::vector<std::string> NamesOf(const std::vector<uint8_t>& labels) {
  std::vector<std::string> names;
  for (const uint8_t label : labels) names.push_back(absl::StrCat(label));
  return names;
}

absl::Status AddPair(const std::string& directory, const IdxPair& pair, DatasetContents* contents) {
  const std::string images_path = absl::StrCat(directory, "/", pair.images);
  PT_TRY_ASSIGN(IdxFile images, IdxFile::Open(images_path));
  PT_TRY_ASSIGN(const std::vector<int64_t> dims, images.ReadHeader(kImagesMagic));
  const std::string labels_path = absl::StrCat(directory, "/", pair.labels);
  PT_TRY_ASSIGN(IdxFile label_file, IdxFile::Open(labels_path));
  PT_TRY_ASSIGN(const std::vector<int64_t> count, label_file.ReadHeader(kLabelsMagic));

  const int64_t n = dims[0];
  if (count[0] != n) {
    return BadData(labels_path,
                   absl::StrCat("not one label per picture (got ", count[0], ", want ", n, ")"));
  }
  if (!contents->blocks.empty() && (contents->height != dims[1] || contents->width != dims[2])) {
    return BadData(images_path,
                   absl::StrCat("pictures of another size than in training (got ", dims[1], "x",
                                dims[2], ", want ", contents->height, "x", contents->width, ")"));
  }
  contents->height = int(dims[1]);
  contents->width = int(dims[2]);
  contents->channels = 1;
  std::vector<uint8_t> pixels(n * contents->image_bytes()), labels(n);
  PT_TRY(images.Read(pixels.data(), int64_t(pixels.size())));
  PT_TRY(images.ExpectEnd());
  PT_TRY(label_file.Read(labels.data(), n));
  PT_TRY(label_file.ExpectEnd());
  contents->AppendBlock(pair.images, pair.split, NamesOf(labels), std::move(pixels));
  contents->has_split[size_t(pair.split)] = true;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DatasetContents> ReadIdx(const std::string& directory,
                                        const std::vector<IdxPair>& pairs) {
  DatasetContents contents;
  contents.format = DatasetFormat::kIdx;
  contents.root = directory;
  for (const IdxPair& pair : pairs) {
    PT_TRY(AddPair(directory, pair, &contents));
  }
  contents.numbered = true;
  SortClasses(&contents);
  return contents;
}

}  // namespace pocketune::data
