#include "frontends/weights/safetensors.h"

#include <algorithm>
#include <cerrno>
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

// `what` may hold names from the file.
absl::Status Bad(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", OneLine(what)));
}

bool IsCount(const Json& j) { return j.is_number_unsigned() && j.get<uint64_t>() < (1ull << 40); }

absl::StatusOr<WeightsEntry> ParseEntry(const std::string& path, const std::string& name,
                                        const Json& j) {
  if (!j.is_object() || !j.contains("dtype") || !j["dtype"].is_string() || !j.contains("shape") ||
      !j["shape"].is_array() || !j.contains("data_offsets") || !j["data_offsets"].is_array() ||
      j["data_offsets"].size() != 2 || !IsCount(j["data_offsets"][0]) ||
      !IsCount(j["data_offsets"][1])) {
    return Bad(path, "tensor " + name + " lacks a dtype, shape or data_offsets");
  }
  WeightsEntry entry{name,
                     j["dtype"].get<std::string>(),
                     {},
                     j["data_offsets"][0].get<int64_t>(),
                     j["data_offsets"][1].get<int64_t>()};
  int64_t bytes = BytesOfNumber(entry.dtype);
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
absl::Status CheckCover(const std::string& path, std::vector<WeightsEntry> entries,
                        int64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t at = 0;
  for (const WeightsEntry& entry : entries) {
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

void TakeMetadata(const Json& j, std::map<std::string, std::string>* metadata) {
  if (!j.is_object()) return;
  for (const auto& [name, text] : j.items()) {
    if (text.is_string()) (*metadata)[name] = text.get<std::string>();
  }
}

// What a file without a sound length of the header is, for those who bring PyTorch's.
std::string NoHeader(std::span<const uint8_t> begin) {
  const bool zip = begin[0] == 'P' && begin[1] == 'K';
  const bool pickle = begin[0] == 0x80 && begin[1] >= 2 && begin[1] <= 5;
  return zip || pickle ? "not a safetensors file but looks like PyTorch's: `pocketune weights "
                         "convert FILE --out FILE.safetensors` makes one of it"
                       : "not a safetensors file: the header's length is beyond the file";
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
    return Bad(path, NoHeader(prefix));
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
    if (name == "__metadata__") {
      TakeMetadata(j, &file.metadata_);
      continue;
    }
    PT_TRY_ASSIGN(WeightsEntry entry, ParseEntry(path, name, j));
    file.Add(std::move(entry));
  }
  PT_TRY(CheckCover(path, file.entries(), size - file.data_offset_));
  return file;
}

absl::StatusOr<std::vector<float>> SafetensorsFile::Read(const WeightsEntry& entry) const {
  std::string raw(entry.end - entry.begin, '\0');
  std::ifstream in(path_, std::ios::binary);
  in.seekg(data_offset_ + entry.begin);
  if (!in.read(raw.data(), static_cast<std::streamsize>(raw.size()))) {
    return absl::UnavailableError(
        absl::StrCat(path_, ": reading tensor ", OneLine(entry.name), " failed"));
  }
  std::vector<float> values;
  if (ToFloats(entry.dtype, raw, &values)) return values;
  return Bad(path_, absl::StrCat("tensor ", entry.name, " is not of a floating-point type (got ",
                                 entry.dtype, ", want F64, F32, F16 or BF16)"));
}

absl::Status WriteSafetensors(const std::string& path,
                              const std::vector<SafetensorsTensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  header["__metadata__"] = metadata;
  header["__metadata__"]["format"] = "pt";
  int64_t offset = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    const int64_t end = offset + static_cast<int64_t>(tensor.values.size() * sizeof(float));
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string bytes = header.dump(-1, ' ', false, Json::error_handler_t::replace);
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
