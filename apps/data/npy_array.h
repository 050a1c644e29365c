// One array of NumPy: an .npy file (NEP 1, format versions 1 to 3), checked and in C order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pocketune::data {

struct NpyArray {
  std::string name;   // "<file>: <array>" for error lines
  std::string dtype;  // NumPy's, e.g. "<f4", "|u1"
  char kind = 0;      // b, i, u, f: numbers of this machine's byte order; U, S: texts
  int64_t elem_bytes = 0;
  std::vector<int64_t> shape;
  std::vector<uint8_t> data;  // C order; characters of U are four bytes, little-endian

  int64_t elems() const { return int64_t(data.size()) / elem_bytes; }
  // Element `i` of an array of numbers: exact for f16, f32, f64 and whole numbers below 2^53.
  double NumberAt(int64_t i) const;
  // Element `i` of an array of whole numbers; false where it is above the largest int64_t.
  bool IntegerAt(int64_t i, int64_t* value) const;
  // Element `i` of an array of texts, without the zeros that fill it up; false where it is no
  // Unicode.
  bool TextAt(int64_t i, std::string* text) const;
  std::string ShapeText() const;  // "60x16x16x3"
};

// DATA_LOSS for a damaged array and for types that are no numbers or texts of fixed length: above
// all those of objects, which are pickles and could run anything. `name` begins the message.
absl::StatusOr<NpyArray> ParseNpy(const std::string& name, std::vector<uint8_t> bytes);

}  // namespace pocketune::data
