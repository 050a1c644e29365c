#include "frontends/weights/weights_file.h"

#include <cmath>
#include <cstring>
#include <utility>

namespace pocketune {
namespace {

float HalfToFloat(uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  const float sign = (h & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa == 0 ? sign * HUGE_VALF : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

float BfloatToFloat(uint16_t b) {
  const uint32_t bits = uint32_t{b} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename T, typename Fn>
std::vector<float> Convert(std::span<const char> raw, const Fn& to_float) {
  std::vector<float> values(raw.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T v;
    std::memcpy(&v, raw.data() + i * sizeof(T), sizeof(T));
    values[i] = to_float(v);
  }
  return values;
}

}  // namespace

const WeightsEntry* WeightsFile::Find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

bool WeightsFile::Add(WeightsEntry entry) {
  if (!index_.emplace(entry.name, entries_.size()).second) return false;
  entries_.push_back(std::move(entry));
  return true;
}

int64_t BytesOfNumber(const std::string& dtype) {
  static const std::pair<const char*, int64_t> kSizes[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
      {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"U16", 2},  {"U32", 4}, {"U64", 8}};
  for (const auto& [name, bytes] : kSizes) {
    if (dtype == name) return bytes;
  }
  return 0;
}

bool ToFloats(const std::string& dtype, std::span<const char> raw, std::vector<float>* values) {
  if (dtype == "F32") {
    *values = Convert<float>(raw, [](float v) { return v; });
  } else if (dtype == "F64") {
    *values = Convert<double>(raw, [](double v) { return static_cast<float>(v); });
  } else if (dtype == "F16") {
    *values = Convert<uint16_t>(raw, HalfToFloat);
  } else if (dtype == "BF16") {
    *values = Convert<uint16_t>(raw, BfloatToFloat);
  } else {
    return false;
  }
  return true;
}

}  // namespace pocketune
