// NumPy archives: zip files of .npy arrays (NEP 1, format versions 1 to 3).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"
#include "apps/data/zip_reader.h"
#include "engine/base/math.h"

namespace pocketune::data {
namespace {

constexpr int64_t kMaxHeaderBytes = 65536;
constexpr int64_t kMaxSide = 8192;

struct NpyArray {
  std::string name;   // "<file>: <array>" for error lines
  std::string dtype;  // NumPy's, e.g. "<f4", "|u1"
  std::vector<int64_t> shape;
  int64_t elem_bytes = 0;
  std::vector<uint8_t> data;  // C order
};

// The text between `'key':` and what ends the value, of the Python dictionary in an .npy header.
bool FindValue(const std::string& header, const char* key, const char* end, std::string* value) {
  const std::string quoted = absl::StrCat("'", key, "':");
  const size_t at = header.find(quoted);
  if (at == std::string::npos) return false;
  const size_t from = at + quoted.size();
  const size_t to = header.find(end, from);
  if (to == std::string::npos) return false;
  *value = std::string(absl::StripAsciiWhitespace(header.substr(from, to - from)));
  return true;
}

bool ParseShape(const std::string& text, std::vector<int64_t>* shape) {
  if (text.empty() || text[0] != '(') return false;
  for (size_t pos = 1; pos < text.size();) {
    const size_t comma = std::min(text.find(',', pos), text.size());
    const std::string item(absl::StripAsciiWhitespace(text.substr(pos, comma - pos)));
    int64_t dim;
    if (!absl::SimpleAtoi(item, &dim) || dim < 0) return item.empty() && comma == text.size();
    shape->push_back(dim);
    pos = comma + 1;
  }
  return true;
}

absl::Status ParseHeader(const std::string& header, NpyArray* array) {
  std::string dtype, order, shape;
  if (!FindValue(header, "descr", ",", &dtype) ||
      !FindValue(header, "fortran_order", ",", &order) ||
      !FindValue(header, "shape", ")", &shape) || !ParseShape(shape, &array->shape) ||
      dtype.size() < 5 || dtype.front() != '\'' || dtype.back() != '\'') {
    return BadData(array->name, "damaged .npy header");
  }
  if (order != "False") {
    return BadData(array->name,
                   absl::StrCat("unsupported order (got fortran_order ", order, ", want False)"));
  }
  array->dtype = dtype.substr(1, dtype.size() - 2);
  if (!absl::SimpleAtoi(array->dtype.substr(2), &array->elem_bytes) || array->elem_bytes < 1 ||
      array->elem_bytes > 8 || (array->dtype[0] != '<' && array->dtype[0] != '|')) {
    return BadData(array->name, absl::StrCat("unsupported type (got ", array->dtype,
                                             ", want little-endian numbers)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<NpyArray> ParseNpy(const std::string& name, std::vector<uint8_t> bytes) {
  NpyArray array;
  array.name = name;
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) {
    return BadData(name, "not an .npy array");
  }
  const int version = bytes[6];
  const size_t prefix = version == 1 ? 10 : 12;
  int64_t length = bytes[8] | int64_t{bytes[9]} << 8;
  if (version != 1) length |= int64_t{bytes[10]} << 16 | int64_t{bytes[11]} << 24;
  if (version < 1 || version > 3 || length > kMaxHeaderBytes ||
      prefix + size_t(length) > bytes.size()) {
    return BadData(name, "damaged .npy header");
  }
  const auto body = bytes.begin() + int64_t(prefix) + length;
  if (absl::Status s = ParseHeader(std::string(bytes.begin() + int64_t(prefix), body), &array);
      !s.ok()) {
    return s;
  }
  int64_t want = array.elem_bytes;
  bool fits = true;
  for (int64_t dim : array.shape) fits = fits && CheckedMul(want, dim, &want);
  if (!fits || want != bytes.end() - body) {
    return BadData(name,
                   absl::StrCat("shape and size differ (got ", bytes.end() - body, " bytes, want ",
                                fits ? absl::StrCat(want) : "too many", ")"));
  }
  bytes.erase(bytes.begin(), body);
  array.data = std::move(bytes);
  return array;
}

absl::StatusOr<std::vector<int32_t>> ToLabels(const NpyArray& array, int64_t n) {
  const bool column = array.shape.size() == 2 && array.shape[1] == 1;
  if ((array.shape.size() != 1 && !column) || array.shape[0] != n) {
    return BadData(array.name,
                   absl::StrCat("bad shape (want one label for each of ", n, " pictures)"));
  }
  const char kind = array.dtype[1];
  if (kind != 'u' && kind != 'i') {
    return BadData(array.name,
                   absl::StrCat("bad type of labels (got ", array.dtype, ", want integers)"));
  }
  std::vector<int32_t> labels(n);
  for (int64_t i = 0; i < n; ++i) {
    uint64_t value = 0;
    std::memcpy(&value, array.data.data() + i * array.elem_bytes, array.elem_bytes);
    // A negative number has its top bit set and is out of range as well.
    if (value >= uint64_t(kMaxClasses)) {
      return BadData(array.name,
                     absl::StrCat("bad label at index ", i, " (want 0 to ", kMaxClasses - 1, ")"));
    }
    if (kind == 'i' && array.elem_bytes < 4 && (value >> (8 * array.elem_bytes - 1)) != 0) {
      return BadData(array.name, absl::StrCat("negative label at index ", i));
    }
    labels[i] = int32_t(value);
  }
  return labels;
}

// f32 in [0, 1], or else in [0, 255], to u8, rounded to nearest.
absl::Status QuantizePixels(NpyArray* array) {
  const int64_t n = int64_t(array->data.size() / 4);
  float low = 0, high = 0;
  bool finite = true;
  const auto at = [&](int64_t i) {
    float v;
    std::memcpy(&v, array->data.data() + 4 * i, 4);
    return v;
  };
  for (int64_t i = 0; i < n; ++i) {
    finite = finite && std::isfinite(at(i));
    low = std::min(low, at(i));
    high = std::max(high, at(i));
  }
  if (!finite || low < 0 || high > 255) {
    return BadData(array->name,
                   absl::StrCat("bad pixel values (got ", low, " to ", high,
                                finite ? "" : " and not finite", ", want 0 to 1 or 0 to 255)"));
  }
  const float scale = high <= 1 ? 255.0f : 1.0f;
  for (int64_t i = 0; i < n; ++i) array->data[i] = uint8_t(std::lround(at(i) * scale));
  array->data.resize(n);
  return absl::OkStatus();
}

absl::Status CheckImages(NpyArray* array, DatasetContents* contents) {
  std::vector<int64_t>& shape = array->shape;
  if (shape.size() == 3) shape.push_back(1);
  const bool sides_ok = shape.size() == 4 && shape[0] > 0 && shape[1] > 0 && shape[1] <= kMaxSide &&
                        shape[2] > 0 && shape[2] <= kMaxSide && (shape[3] == 1 || shape[3] == 3);
  if (!sides_ok) {
    return BadData(array->name, "bad shape of pictures (want [N,H,W] or [N,H,W,C], C 1 or 3)");
  }
  if (!contents->blocks.empty() && (shape[1] != contents->height || shape[2] != contents->width ||
                                    shape[3] != contents->channels)) {
    return BadData(array->name, "pictures of another shape than in the split before");
  }
  contents->height = int(shape[1]);
  contents->width = int(shape[2]);
  contents->channels = int(shape[3]);
  if (array->dtype == "<f4") return QuantizePixels(array);
  if (array->dtype == "|u1") return absl::OkStatus();
  return BadData(array->name,
                 absl::StrCat("bad type of pixels (got ", array->dtype, ", want u8 or f32)"));
}

using Names = std::initializer_list<const char*>;

const ZipMember* FindMember(const ZipReader& zip, Names names) {
  for (const char* name : names) {
    for (const ZipMember& member : zip.members()) {
      if (absl::EqualsIgnoreCase(member.name, absl::StrCat(name, ".npy"))) return &member;
    }
  }
  return nullptr;
}

absl::StatusOr<NpyArray> ReadArray(const ZipReader& zip, const ZipMember& member) {
  absl::StatusOr<std::vector<uint8_t>> bytes = zip.Read(member, kMaxInMemoryBytes);
  if (!bytes.ok()) return bytes.status();
  return ParseNpy(absl::StrCat(zip.path(), ": ", member.name), *std::move(bytes));
}

// Adds the arrays of one split; does nothing where the archive has no such pictures.
absl::Status AddArrays(const ZipReader& zip, Names image_names, Names label_names, Split split,
                       bool named, DatasetContents* contents) {
  const ZipMember* images = FindMember(zip, image_names);
  if (images == nullptr) return absl::OkStatus();
  const ZipMember* labels = FindMember(zip, label_names);
  if (labels == nullptr) {
    return BadData(zip.path(), absl::StrCat("no labels for ", images->name, " (want ",
                                            *label_names.begin(), ")"));
  }
  absl::StatusOr<NpyArray> x = ReadArray(zip, *images);
  if (!x.ok()) return x.status();
  absl::StatusOr<NpyArray> y = ReadArray(zip, *labels);
  if (!y.ok()) return y.status();
  if (absl::Status s = CheckImages(&*x, contents); !s.ok()) return s;
  const absl::StatusOr<std::vector<int32_t>> classes = ToLabels(*y, x->shape[0]);
  if (!classes.ok()) return classes.status();
  contents->AppendBlock(images->name, split, *classes, std::move(x->data));
  if (named) contents->has_split[int(split)] = true;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DatasetContents> ReadNpz(const std::string& path) {
  const absl::StatusOr<ZipReader> zip = ZipReader::Open(path);
  if (!zip.ok()) return zip.status();
  DatasetContents contents;
  contents.format = DatasetFormat::kNpz;
  contents.root = path;
  for (const absl::Status& status :
       {AddArrays(*zip, {"x_train", "train_images"}, {"y_train", "train_labels"}, Split::kTrain,
                  true, &contents),
        AddArrays(*zip, {"x_val", "x_valid", "val_images"}, {"y_val", "y_valid", "val_labels"},
                  Split::kVal, true, &contents),
        AddArrays(*zip, {"x_test", "test_images"}, {"y_test", "test_labels"}, Split::kTest, true,
                  &contents)}) {
    if (!status.ok()) return status;
  }
  if (contents.blocks.empty()) {
    const absl::Status status =
        AddArrays(*zip, {"x", "images"}, {"y", "labels"}, Split::kTrain, false, &contents);
    if (!status.ok()) return status;
  }
  if (contents.blocks.empty()) {
    return BadData(path,
                   "no pictures (want arrays x and y, images and labels, or x_train, "
                   "y_train, x_test, y_test)");
  }
  return contents;
}

}  // namespace pocketune::data
