#include "apps/data/npy_array.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/data/delimited_text.h"
#include "apps/data/file_io.h"
#include "engine/base/math.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int64_t kMaxHeaderBytes = 65536;
constexpr int64_t kMaxTextBytes = 65536;

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

// "<f4" into kind, size of an element and whether its bytes are to be swapped.
absl::Status ParseType(NpyArray* array, bool* swapped) {
  const std::string& dtype = array->dtype;
  array->kind = dtype[1];
  if (array->kind == 'O') {
    return BadData(array->name,
                   "an array of objects is a pickle, which is never read (want numbers or texts of "
                   "fixed length: convert it, e.g. by astype(str) or np.stack)");
  }
  const bool text = array->kind == 'U' || array->kind == 'S';
  const bool number =
      array->kind == 'b' || array->kind == 'i' || array->kind == 'u' || array->kind == 'f';
  int64_t size = 0;
  const bool parsed = absl::SimpleAtoi(dtype.substr(2), &size);
  array->elem_bytes = array->kind == 'U' ? 4 * size : size;
  const bool power_of_two = size == 1 || size == 2 || size == 4 || size == 8;
  const bool good = parsed && (text ? size >= 1 && size <= kMaxTextBytes
                                    : number && power_of_two && (array->kind != 'f' || size > 1) &&
                                          (array->kind != 'b' || size == 1));
  if (!good || std::string_view("<>|=").find(dtype[0]) == std::string_view::npos) {
    return BadData(array->name, absl::StrCat("unsupported type (got ", dtype,
                                             ", want numbers, or texts of fixed length)"));
  }
  *swapped = dtype[0] == '>';
  return absl::OkStatus();
}

struct Layout {
  bool swapped = false;
  bool fortran = false;
};

absl::Status ParseHeader(const std::string& header, NpyArray* array, Layout* layout) {
  std::string dtype, order, shape;
  const bool whole = FindValue(header, "fortran_order", ",", &order) &&
                     FindValue(header, "shape", ")", &shape) &&
                     FindValue(header, "descr", ",", &dtype) && ParseShape(shape, &array->shape) &&
                     (order == "True" || order == "False");
  if (whole && dtype[0] == '[') {
    return BadData(array->name, "unsupported type (got records with fields, want plain numbers)");
  }
  if (!whole || dtype.size() < 4 || dtype.front() != '\'' || dtype.back() != '\'') {
    return BadData(array->name, "damaged .npy header");
  }
  array->dtype = dtype.substr(1, dtype.size() - 2);
  layout->fortran = order == "True";
  return ParseType(array, &layout->swapped);
}

void SwapBytes(NpyArray* array) {
  const int64_t unit = array->kind == 'U' ? 4 : array->kind == 'S' ? 1 : array->elem_bytes;
  for (auto at = array->data.begin(); unit > 1 && at < array->data.end(); at += unit) {
    std::reverse(at, at + unit);
  }
}

// From the order in which the first index runs fastest to that in which the last one does.
void TransposeToC(NpyArray* array) {
  const std::vector<int64_t>& shape = array->shape;
  if (shape.size() < 2 || array->data.empty()) return;
  std::vector<int64_t> stride(shape.size(), array->elem_bytes), index(shape.size(), 0);
  for (size_t d = 1; d < shape.size(); ++d) stride[d] = stride[d - 1] * shape[d - 1];
  std::vector<uint8_t> ordered(array->data.size());
  int64_t from = 0;
  for (size_t to = 0; to < ordered.size(); to += size_t(array->elem_bytes)) {
    std::memcpy(&ordered[to], &array->data[size_t(from)], size_t(array->elem_bytes));
    for (size_t d = shape.size(); d-- > 0;) {
      from += stride[d];
      if (++index[d] < shape[d]) break;
      from -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  array->data = std::move(ordered);
}

template <class T>
T Load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

double HalfToDouble(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

}  // namespace

bool NpyArray::IntegerAt(int64_t i, int64_t* value) const {
  const uint8_t* at = data.data() + i * elem_bytes;
  const bool negative_possible = kind == 'i';
  switch (elem_bytes) {
    case 1:
      *value = negative_possible ? int64_t(Load<int8_t>(at)) : int64_t(*at);
      return true;
    case 2:
      *value = negative_possible ? int64_t(Load<int16_t>(at)) : int64_t(Load<uint16_t>(at));
      return true;
    case 4:
      *value = negative_possible ? int64_t(Load<int32_t>(at)) : int64_t(Load<uint32_t>(at));
      return true;
    default:
      *value = Load<int64_t>(at);
      return negative_possible || *value >= 0;
  }
}

double NpyArray::NumberAt(int64_t i) const {
  const uint8_t* at = data.data() + i * elem_bytes;
  if (kind == 'f') {
    return elem_bytes == 2   ? HalfToDouble(Load<uint16_t>(at))
           : elem_bytes == 4 ? double(Load<float>(at))
                             : Load<double>(at);
  }
  int64_t value;
  return IntegerAt(i, &value) ? double(value) : double(uint64_t(value));
}

bool NpyArray::TextAt(int64_t i, std::string* text) const {
  const auto at = data.begin() + i * elem_bytes;
  text->clear();
  if (kind == 'S') {
    text->assign(at, at + elem_bytes);
    text->erase(text->find_last_not_of('\0') + 1);
    return true;
  }
  for (int64_t byte = 0; byte < elem_bytes; byte += 4) {
    const uint32_t point = Load<uint32_t>(&*at + byte);
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    AppendUtf8(point, text);
  }
  text->erase(text->find_last_not_of('\0') + 1);
  return true;
}

std::string NpyArray::ShapeText() const { return absl::StrJoin(shape, "x"); }

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
  Layout layout;
  PT_TRY(ParseHeader(std::string(bytes.begin() + int64_t(prefix), body), &array, &layout));
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
  if (layout.swapped) SwapBytes(&array);
  if (layout.fortran) TransposeToC(&array);
  return array;
}

}  // namespace pocketune::data
