#include "apps/data/pixel_scale.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/data/file_io.h"

namespace pocketune::data {
namespace {

// What a range may be exceeded by, as a part of it: bicubic resizing overshoots by a few percent.
constexpr double kTolerance = 0.05;
// Pictures of 0 to 255 whose brightest value of all is below this are rather something else: grey
// levels of 4 or 5 bits, or standardized values.
constexpr double kDarkest = 32;

bool IsBytes(const NpyArray& array) { return array.kind == 'u' && array.elem_bytes == 1; }

std::string RangeText(double low, double high) {
  return absl::StrFormat("got %.9g to %.9g", low, high);
}

}  // namespace

void PixelScale::Range::Extend(const Range& other) {
  low = std::min(low, other.low);
  high = std::max(high, other.high);
}

absl::Status PixelScale::Look(const NpyArray& array) {
  if (array.kind == 'U' || array.kind == 'S') {
    return BadData(array.name,
                   absl::StrCat("bad type of pixels (got ", array.dtype, ", want numbers)"));
  }
  if (IsBytes(array)) {
    has_bytes_ = true;
    for (const uint8_t v : array.data) highest_byte_ = std::max(highest_byte_, v);
    return absl::OkStatus();
  }
  Range range;
  bool whole = true;
  for (int64_t i = 0; i < array.elems(); ++i) {
    const double v = array.NumberAt(i);
    if (!std::isfinite(v)) {
      return BadData(array.name, absl::StrCat("bad pixel values (got ", v, " at index ", i,
                                              ", want 0 to 1 or 0 to 255)"));
    }
    range.Extend({v, v});
    whole = whole && v == std::floor(v);
  }
  if (array.kind == 'b') {
    has_bools_ = true;
    if (range.high <= 1) return absl::OkStatus();
    return BadData(array.name, absl::StrCat("bad truth value (got ", range.high, ")"));
  }
  if (!whole && range.high <= 1 + kTolerance) small_fractions_ = array.name;
  has_numbers_ = true;
  has_fractions_type_ = has_fractions_type_ || array.kind == 'f';
  numbers_.Extend(range);
  return absl::OkStatus();
}

absl::Status PixelScale::Decide(const std::string& where) {
  const auto within = [this](double top) {
    return numbers_.low >= -kTolerance * top && numbers_.high <= (1 + kTolerance) * top;
  };
  unit_ = has_numbers_ ? within(1) : has_bools_;
  if (!has_numbers_) return CheckCompany(where);
  const std::string got = RangeText(numbers_.low, numbers_.high);
  const bool dark = numbers_.high < kDarkest;
  if (!within(255) || (!unit_ && dark && numbers_.low < -kTolerance)) {
    return BadData(where, absl::StrCat("bad pixel values (", got,
                                       ", want 0 to 1 or 0 to 255; map them to one of these, e.g. "
                                       "-1 to 1 by (x + 1) / 2)"));
  }
  if (!unit_ && dark) {
    return BadData(where, absl::StrCat("pixel values that may be of 0 to 1 or of 0 to 255 (", got,
                                       "; map them to one of these)"));
  }
  if (unit_ && !has_fractions_type_ && numbers_.high > 0) {
    return BadData(where, absl::StrCat("whole pixel values of 0 and 1 alone (want truth values for "
                                       "black and white, or 0 to 255: save x.astype(bool))"));
  }
  return CheckCompany(where);
}

// Arrays of different types must mean the same by a number.
absl::Status PixelScale::CheckCompany(const std::string& where) const {
  if (!unit_ && has_numbers_ && !small_fractions_.empty()) {
    return BadData(small_fractions_,
                   "pixel values of 0 to 1 beside an array of 0 to 255 (want one range for all)");
  }
  const bool doubtful_bytes = has_bytes_ && highest_byte_ == 1;
  const bool mixed_bools = has_bools_ && (has_bytes_ || (has_numbers_ && !unit_));
  if (!mixed_bools && !(unit_ && doubtful_bytes)) return absl::OkStatus();
  return BadData(where,
                 "arrays of 0 to 1 beside bytes or 0 to 255 (want one type and range for all)");
}

std::vector<uint8_t> PixelScale::Bytes(NpyArray array) {
  if (IsBytes(array)) return std::move(array.data);
  const bool is_f32 = array.kind == 'f' && array.elem_bytes == 4;
  const int64_t n = array.elems();
  for (int64_t i = 0; i < n; ++i) {
    double v = array.NumberAt(i);
    // In the array's own precision: what is stored does not depend on who computes it.
    if (unit_) v = is_f32 ? double(float(v) * 255.0f) : v * 255;
    cut_off_ += v < 0 || v > 255;
    array.data[size_t(i)] = uint8_t(std::lround(std::clamp(v, 0.0, 255.0)));
  }
  array.data.resize(size_t(n));
  return std::move(array.data);
}

std::string PixelScale::Note() const {
  if (!has_numbers_ && !has_bools_) return "";
  std::string note = unit_ ? "pixels: 0 to 1, scaled by 255" : "pixels: 0 to 255";
  if (cut_off_ > 0) {
    absl::StrAppend(&note, " (", RangeText(numbers_.low, numbers_.high), ": ", cut_off_,
                    " values cut off)");
  }
  return note;
}

}  // namespace pocketune::data
