// How the numbers of a file's pictures become bytes: decided once, for all of its arrays.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/data/npy_array.h"

namespace pocketune::data {

// First Look at every array of the file, then Decide, then Bytes of each.
class PixelScale {
 public:
  // DATA_LOSS for texts, and for a value that is not finite.
  absl::Status Look(const NpyArray& array);
  // 0 to 1, or 0 to 255; either may be exceeded by a twentieth, as by a resize that overshoots.
  // Bytes are 0 to 255 whatever they hold, truth values 0 to 1. DATA_LOSS for any other range, and
  // where the values do not tell which of the two it is. `where` begins the message.
  absl::Status Decide(const std::string& where);
  // Rounded to nearest, and cut off at 0 and 255.
  std::vector<uint8_t> Bytes(NpyArray array);
  // What was decided, as a line for a person, after the last array; "" for bytes, which are taken
  // as they are.
  std::string Note() const;

 private:
  struct Range {
    double low = 0;
    double high = 0;
    void Extend(const Range& other);
  };
  absl::Status CheckCompany(const std::string& where) const;

  Range numbers_;  // of all arrays that are neither bytes nor truth values
  bool has_numbers_ = false, has_fractions_type_ = false, has_bytes_ = false, has_bools_ = false;
  uint8_t highest_byte_ = 0;
  std::string small_fractions_;  // an array of fractions that does not go above 1
  bool unit_ = false;            // decided: 0 to 1
  int64_t cut_off_ = 0;
};

}  // namespace pocketune::data
