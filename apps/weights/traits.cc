#include "apps/weights/traits.h"

#include <nlohmann/json.hpp>

#include "frontends/weights/safetensors.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

}  // namespace

std::map<std::string, std::string> ToMetadata(const WeightsTraits& traits) {
  std::map<std::string, std::string> metadata;
  const auto put = [&](const char* name, const std::string& text) {
    if (!text.empty()) metadata[name] = text;
  };
  put("pocketune.model", traits.model);
  put("pocketune.normalize", traits.normalize);
  put("pocketune.source", traits.source);
  if (!traits.class_names.empty()) {
    put("pocketune.class_names",
        Json(traits.class_names).dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return metadata;
}

absl::StatusOr<WeightsTraits> ReadTraits(const std::string& path) {
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file.ok()) return file.status();
  const auto text = [&](const char* name) {
    const auto found = file->metadata().find(name);
    return found == file->metadata().end() ? std::string() : found->second;
  };
  WeightsTraits traits = {.model = text("pocketune.model"),
                          .normalize = text("pocketune.normalize"),
                          .class_names = {},
                          .source = text("pocketune.source")};
  const Json names =
      Json::parse(text("pocketune.class_names"), nullptr, /*allow_exceptions=*/false);
  if (!names.is_array()) return traits;
  for (const Json& name : names) {
    traits.class_names.push_back(name.is_string() ? name.get<std::string>() : "");
  }
  return traits;
}

}  // namespace pocketune
