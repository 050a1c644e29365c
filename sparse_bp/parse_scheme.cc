// The text forms of a scheme.
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"
#include "sparse_bp/scheme.h"
#include "sparse_bp/scheme_json.h"

namespace pocketune {
namespace {

using Kind = UpdateScheme::Kind;

struct Name {
  const char* text;
  Kind kind;
};
constexpr Name kNames[] = {{"full", Kind::kFull},
                           {"head", Kind::kHead},
                           {"bias", Kind::kBias},
                           {"pockengine", Kind::kPockEngine}};
// Followed by a number.
constexpr Name kCounted[] = {
    {"bias:", Kind::kBiasBlocks}, {"blocks:", Kind::kBlocks}, {"last:", Kind::kLast}};

constexpr char kMcunetV3[] = "mcunetv3:";

// The names that the contract has and that a later issue builds.
bool IsPlanned(const std::string& text) {
  return text == "auto" || text == "lora" || absl::StartsWith(text, "lora(");
}

// K of "<prefix>K"; nothing where `text` has another form.
std::optional<int> CountAfter(const char* prefix, const std::string& text) {
  int count = 0;
  if (!absl::StartsWith(text, prefix)) return std::nullopt;
  if (text.find_first_of(" \t\n\v\f\r") != std::string::npos)
    return std::nullopt;  // SimpleAtoi skips it
  if (!absl::SimpleAtoi(text.substr(std::char_traits<char>::length(prefix)), &count)) {
    return std::nullopt;
  }
  return count;
}

absl::Status Within(const std::string& text, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("scheme ", absl::Utf8SafeCEscape(text), ": ", status.message()));
}

// Splits at the commas that stand in no parentheses and no brackets.
std::vector<std::string> SplitRules(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (char c : text) {
    if (c == '(' || c == '[') ++depth;
    if (c == ')' || c == ']') --depth;
    if (c == ',' && depth <= 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// "PATTERN=UPDATE,PATTERN=UPDATE"
absl::StatusOr<UpdateScheme> ParseRules(const std::string& text) {
  UpdateScheme scheme;
  scheme.kind = Kind::kRules;
  for (const std::string& part : SplitRules(text)) {
    const size_t equals = part.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a rule has no pattern (got ", absl::Utf8SafeCEscape(part), ", want PATTERN=UPDATE)"));
    }
    PT_TRY_ASSIGN(const Update update, ParseUpdate(part.substr(equals + 1)));
    scheme.rules.push_back({part.substr(0, equals), update});
  }
  return scheme;
}

absl::StatusOr<UpdateScheme> ParseMcunetV3(const std::string& name) {
  PT_TRY_ASSIGN(McunetV3Scheme found, FindMcunetV3Scheme(name));
  UpdateScheme scheme;
  scheme.kind = Kind::kLayers;
  scheme.model = std::move(found.model);
  scheme.layers = std::move(found.layers);
  return scheme;
}

absl::StatusOr<UpdateScheme> ParseChannels(const std::string& text) {
  PT_TRY_ASSIGN(const Update update, ParseUpdate(text));
  UpdateScheme scheme;
  scheme.kind = Kind::kRules;
  scheme.fallback = update;
  return scheme;
}

// All but files; without the scheme's name in errors.
absl::StatusOr<UpdateScheme> ParseText(const std::string& text) {
  UpdateScheme scheme;
  for (const Name& name : kNames) {
    if (text != name.text) continue;
    scheme.kind = name.kind;
    return scheme;
  }
  for (const Name& name : kCounted) {
    const std::optional<int> count = CountAfter(name.text, text);
    if (!count.has_value()) continue;
    scheme.kind = name.kind;
    scheme.count = *count;
    return scheme;
  }
  if (absl::StartsWith(text, kMcunetV3)) return ParseMcunetV3(text.substr(sizeof(kMcunetV3) - 1));
  if (absl::StrContains(text, "=")) return ParseRules(text);
  if (absl::StartsWith(text, "channels(")) return ParseChannels(text);
  if (IsPlanned(text)) return absl::UnimplementedError("not built yet");
  return absl::InvalidArgumentError(
      "unknown (want full, head, bias, bias:K, blocks:K, last:K, channels(R), mcunetv3:NAME, "
      "pockengine, PATTERN=UPDATE or FILE.json)");
}

}  // namespace

absl::StatusOr<UpdateScheme> ParseScheme(const std::string& text) {
  if (absl::EndsWith(text, ".json")) return ReadSchemeFile(text);
  absl::StatusOr<UpdateScheme> scheme = ParseText(text);
  if (!scheme.ok()) return Within(text, scheme.status());
  scheme->text = text;
  return scheme;
}

}  // namespace pocketune
