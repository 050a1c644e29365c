#include "sparse_bp/scheme_json.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace pocketune {
namespace {

using Json = nlohmann::json;

constexpr std::streamsize kMaxFileBytes = 1 << 20;

absl::Status Bad(const std::string& where, const std::string& fact) {
  return absl::InvalidArgumentError(absl::StrCat("scheme ", where, ": ", fact));
}

// The string at `key`, or an error.
absl::StatusOr<std::string> StringAt(const Json& object, const char* key,
                                     const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string()) {
    return Bad(where, absl::StrCat("\"", key, "\" must be a string"));
  }
  return it->get<std::string>();
}

absl::Status CheckKeys(const Json& object, std::initializer_list<const char*> known,
                       const std::string& where) {
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      return Bad(where,
                 absl::StrCat("unknown key (got \"", absl::Utf8SafeCEscape(item.key()), "\")"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Update> UpdateAt(const Json& object, const char* key, const std::string& where) {
  PT_TRY_ASSIGN(std::string text, StringAt(object, key, where));
  absl::StatusOr<Update> update = ParseUpdate(text);
  if (update.ok()) return update;
  return absl::Status(update.status().code(),
                      absl::StrCat("scheme ", where, ": ", update.status().message()));
}

absl::StatusOr<UpdateRule> ParseRule(const Json& json, const std::string& where) {
  if (!json.is_object()) return Bad(where, "each of \"params\" must be an object");
  PT_TRY(CheckKeys(json, {"pattern", "update"}, where));
  PT_TRY_ASSIGN(std::string pattern, StringAt(json, "pattern", where));
  PT_TRY_ASSIGN(Update update, UpdateAt(json, "update", where));
  return UpdateRule{std::move(pattern), update};
}

}  // namespace

absl::StatusOr<UpdateScheme> ParseSchemeJson(const std::string& json, const std::string& where) {
  const Json root = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) return Bad(where, "is no valid JSON");
  if (!root.is_object()) return Bad(where, "must be a JSON object");
  PT_TRY(CheckKeys(root, {"default", "model", "params"}, where));
  UpdateScheme scheme;
  scheme.text = where;
  scheme.kind = UpdateScheme::Kind::kRules;
  if (root.contains("default")) {
    PT_TRY_ASSIGN(Update fallback, UpdateAt(root, "default", where));
    scheme.fallback = fallback;
  }
  if (root.contains("model")) {
    PT_TRY_ASSIGN(std::string model, StringAt(root, "model", where));
    scheme.model = std::move(model);
  }
  const auto params = root.find("params");
  if (params == root.end()) return scheme;
  if (!params->is_array()) return Bad(where, "\"params\" must be an array");
  for (const Json& item : *params) {
    PT_TRY_ASSIGN(UpdateRule rule, ParseRule(item, where));
    scheme.rules.push_back(std::move(rule));
  }
  return scheme;
}

absl::StatusOr<UpdateScheme> ReadSchemeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), kMaxFileBytes + 1);
  if (!file.eof() && file.fail()) {
    return absl::NotFoundError(absl::StrCat("scheme ", path, ": cannot be read"));
  }
  if (file.gcount() > kMaxFileBytes) return Bad(path, "is larger than 1 MiB");
  text.resize(static_cast<size_t>(file.gcount()));
  return ParseSchemeJson(text, path);
}

}  // namespace pocketune
