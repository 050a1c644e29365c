#include "frontends/weights/safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/file_io.h"
#include "engine/base/math.h"
#include "engine/base/one_line.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxHeaderBytes = 100'000'000;

// 0 for a type that this project does not know.
int64_t BytesOf(const std::string& dtype) {
  static const std::pair<const char*, int64_t> kSizes[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
      {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"U16", 2},  {"U32", 4}, {"U64", 8}};
  for (const auto& [name, bytes] : kSizes) {
    if (dtype == name) return bytes;
  }
  return 0;
}

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

// `what` may hold names from the file.
absl::Status Bad(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", OneLine(what)));
}

bool IsCount(const Json& j) { return j.is_number_unsigned() && j.get<uint64_t>() < (1ull << 40); }

absl::StatusOr<SafetensorsEntry> ParseEntry(const std::string& path, const std::string& name,
                                            const Json& j) {
  if (!j.is_object() || !j.contains("dtype") || !j["dtype"].is_string() || !j.contains("shape") ||
      !j["shape"].is_array() || !j.contains("data_offsets") || !j["data_offsets"].is_array() ||
      j["data_offsets"].size() != 2 || !IsCount(j["data_offsets"][0]) ||
      !IsCount(j["data_offsets"][1])) {
    return Bad(path, "tensor " + name + " lacks a dtype, shape or data_offsets");
  }
  SafetensorsEntry entry{name,
                         j["dtype"].get<std::string>(),
                         {},
                         j["data_offsets"][0].get<int64_t>(),
                         j["data_offsets"][1].get<int64_t>()};
  int64_t bytes = BytesOf(entry.dtype);
  if (bytes == 0) return Bad(path, "tensor " + name + " has an unknown type " + entry.dtype);
  for (const Json& dim : j["shape"]) {
    if (!IsCount(dim) || !CheckedMul(bytes, dim.get<int64_t>(), &bytes)) {
      return Bad(path, "tensor " + name + " has a bad shape");
    }
    entry.shape.push_back(dim.get<int64_t>());
  }
  if (entry.end < entry.begin || entry.end - entry.begin != bytes) {
    return Bad(path, absl::StrCat("tensor ", name, " has a wrong size (got ",
                                  entry.end - entry.begin, ", want ", bytes, " bytes)"));
  }
  return entry;
}

// Sorted by offset, the tensors must cover [0, data_bytes) exactly.
absl::Status CheckCover(const std::string& path, std::vector<SafetensorsEntry> entries,
                        int64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t at = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != at) return Bad(path, "tensor " + entry.name + " leaves a gap or overlaps");
    at = entry.end;
  }
  if (at != data_bytes) {
    return Bad(path, absl::StrCat("the file is truncated or has extra bytes (got ", data_bytes,
                                  " bytes of data, want ", at, ")"));
  }
  return absl::OkStatus();
}

// Parses the header; a name that occurs twice is an error, which a plain parse would hide.
absl::StatusOr<Json> ParseHeader(const std::string& path, const std::string& text) {
  std::set<std::string> names;
  bool duplicate = false;
  const auto callback = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == 1 && event == Json::parse_event_t::key) {
      duplicate = duplicate || !names.insert(parsed.get<std::string>()).second;
    }
    return true;
  };
  Json header = Json::parse(text, callback, /*allow_exceptions=*/false);
  if (header.is_discarded() || !header.is_object()) {
    return Bad(path, "not a safetensors file: the header is no JSON object");
  }
  if (duplicate) return Bad(path, "a tensor's name occurs twice");
  return header;
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) {
    return errno == ENOENT ? absl::NotFoundError(path + ": no such file")
                           : absl::UnavailableError(path + ": " + std::strerror(errno));
  }
  const int64_t size = in.tellg();
  uint8_t prefix[8] = {};
  in.seekg(0);
  in.read(reinterpret_cast<char*>(prefix), sizeof prefix);
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | prefix[i];
  if (size < 8 || header_bytes > uint64_t(kMaxHeaderBytes) || int64_t(header_bytes) > size - 8) {
    return Bad(path, "not a safetensors file: the header's length is beyond the file");
  }
  std::string text(header_bytes, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(header_bytes))) {
    return absl::UnavailableError(path + ": reading the header failed");
  }
  PT_TRY_ASSIGN(Json header, ParseHeader(path, text));

  SafetensorsFile file;
  file.path_ = path;
  file.data_offset_ = 8 + static_cast<int64_t>(header_bytes);
  for (const auto& [name, j] : header.items()) {
    if (name == "__metadata__") continue;
    PT_TRY_ASSIGN(SafetensorsEntry entry, ParseEntry(path, name, j));
    file.index_[name] = file.entries_.size();
    file.entries_.push_back(std::move(entry));
  }
  PT_TRY(CheckCover(path, file.entries_, size - file.data_offset_));
  return file;
}

const SafetensorsEntry* SafetensorsFile::Find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

absl::StatusOr<std::vector<float>> SafetensorsFile::Read(const SafetensorsEntry& entry) const {
  std::string raw(entry.end - entry.begin, '\0');
  std::ifstream in(path_, std::ios::binary);
  in.seekg(data_offset_ + entry.begin);
  if (!in.read(raw.data(), static_cast<std::streamsize>(raw.size()))) {
    return absl::UnavailableError(
        absl::StrCat(path_, ": reading tensor ", OneLine(entry.name), " failed"));
  }
  const auto convert = [&](auto element, auto to_float) {
    using T = decltype(element);
    std::vector<float> values(raw.size() / sizeof(T));
    for (size_t i = 0; i < values.size(); ++i) {
      T v;
      std::memcpy(&v, raw.data() + i * sizeof(T), sizeof(T));
      values[i] = to_float(v);
    }
    return values;
  };
  if (entry.dtype == "F32") return convert(0.0f, [](float v) { return v; });
  if (entry.dtype == "F64") return convert(0.0, [](double v) { return static_cast<float>(v); });
  if (entry.dtype == "F16") return convert(uint16_t{0}, HalfToFloat);
  if (entry.dtype == "BF16") return convert(uint16_t{0}, BfloatToFloat);
  return Bad(path_, absl::StrCat("tensor ", entry.name, " is not of a floating-point type (got ",
                                 entry.dtype, ", want F64, F32, F16 or BF16)"));
}

absl::Status WriteSafetensors(const std::string& path,
                              const std::vector<SafetensorsTensor>& tensors) {
  Json header = Json::object();
  header["__metadata__"] = {{"format", "pt"}};
  int64_t offset = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    const int64_t end = offset + static_cast<int64_t>(tensor.values.size() * sizeof(float));
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string bytes = header.dump();
  bytes.resize(AlignUp(static_cast<int64_t>(bytes.size()), 8), ' ');
  std::string prefix;
  for (int i = 0; i < 8; ++i) prefix.push_back(static_cast<char>(bytes.size() >> (8 * i)));
  prefix += bytes;
  const auto raw = [](const void* data, size_t size) {
    return std::span(static_cast<const uint8_t*>(data), size);
  };
  std::vector<std::span<const uint8_t>> chunks = {raw(prefix.data(), prefix.size())};
  for (const SafetensorsTensor& tensor : tensors) {
    chunks.push_back(raw(tensor.values.data(), tensor.values.size() * sizeof(float)));
  }
  const Status status = WriteFileAtomically(path.c_str(), chunks);
  if (status.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(path, ": ", status.message(), ": ", std::strerror(status.detail())));
}

}  // namespace pocketune
