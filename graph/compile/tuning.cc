#include "pocketune/tuning.h"

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/base/file_io.h"
#include "nlohmann/json.hpp"

namespace pocketune {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr int64_t kMaxFileBytes = int64_t{16} << 20;

// Reads one entry, or says what is wrong with it.
std::string TakeEntry(const Json& json, Tuning* tuning) {
  if (!json.is_object() || !json.contains("op") || !json["op"].is_string() ||
      !json.contains("kernel") || !json["kernel"].is_string() || !json.contains("ns") ||
      !json["ns"].is_object()) {
    return "an entry lacks op, kernel or ns";
  }
  Tuning::Entry entry;
  entry.kernel = json["kernel"].get<std::string>();
  for (const auto& [kernel, ns] : json["ns"].items()) {
    if (!ns.is_number() || !(ns.get<double>() >= 0)) return "a time is no number from 0 on";
    entry.ns[kernel] = ns.get<double>();
  }
  if (entry.ns.count(entry.kernel) == 0) return "an entry's kernel was not measured";
  if (!tuning->entries.emplace(json["op"].get<std::string>(), std::move(entry)).second) {
    return "two entries are of the same op";
  }
  return "";
}

std::string Take(const Json& json, Tuning* tuning) {
  if (!json.is_object() || json.value("version", Json()) != kVersion) {
    return absl::StrCat("is no tuning table of version ", kVersion);
  }
  for (const char* key : {"cpu", "isa"}) {
    if (!json.contains(key) || !json[key].is_string()) return absl::StrCat("lacks ", key);
  }
  if (!json.contains("threads") || !json["threads"].is_number_integer()) return "lacks threads";
  if (!json.contains("entries") || !json["entries"].is_array()) return "lacks entries";
  tuning->cpu = json["cpu"].get<std::string>();
  tuning->isa = json["isa"].get<std::string>();
  tuning->threads = json["threads"].get<int>();
  for (const Json& entry : json["entries"]) {
    if (std::string error = TakeEntry(entry, tuning); !error.empty()) return error;
  }
  return "";
}

}  // namespace

std::string ToJson(const Tuning& tuning) {
  Json json = {{"version", kVersion},
               {"cpu", tuning.cpu},
               {"isa", tuning.isa},
               {"threads", tuning.threads},
               {"entries", Json::array()}};
  for (const auto& [op, entry] : tuning.entries) {
    json["entries"].push_back({{"op", op}, {"kernel", entry.kernel}, {"ns", entry.ns}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Outcome<Tuning> ParseTuning(const std::string& json, const std::string& where) {
  Tuning tuning;
  const Json root = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  const std::string error = root.is_discarded() ? "is no valid JSON" : Take(root, &tuning);
  if (error.empty()) return tuning;
  return Outcome<Tuning>(StatusCode::kDataLoss, absl::StrCat(where, ": ", error));
}

Outcome<Tuning> ReadTuning(const std::string& path) {
  Result<std::vector<uint8_t>> bytes = ReadFile(path.c_str(), kMaxFileBytes);
  if (!bytes.ok()) {
    const Status& status = bytes.status();
    std::string message = absl::StrCat(path, ": ", status.message());
    if (status.code() == StatusCode::kUnavailable) {
      absl::StrAppend(&message, ": ", std::strerror(status.detail()));
    }
    return Outcome<Tuning>(status.code(), message);
  }
  return ParseTuning(std::string(bytes->begin(), bytes->end()), path);
}

}  // namespace pocketune
