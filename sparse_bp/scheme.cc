#include "sparse_bp/scheme.h"

#include <algorithm>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "autodiff/glob.h"
#include "sparse_bp/scheme_json.h"

namespace pocketune {
namespace {

using Kind = UpdateScheme::Kind;

bool IsBias(const Value& param) {
  return param.role == ParamRole::kBias || param.role == ParamRole::kNormShift;
}

// Can a scheme make it learn?
bool IsModelParam(const Value& value) {
  return value.kind == ValueKind::kParam &&
         (IsBias(value) || value.role == ParamRole::kWeight || value.role == ParamRole::kNormScale);
}

bool Learns(Update update, const Value& param) {
  return update == Update::kAll || (update == Update::kBias && IsBias(param));
}

int CountBlocks(const Graph& graph) {
  int blocks = 0;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kParam && value.section == Section::kBlock) {
      blocks = std::max(blocks, value.block + 1);
    }
  }
  return blocks;
}

// `first_block`: of the last K that the scheme names.
Update UpdateOf(const UpdateScheme& scheme, const Value& param, int first_block) {
  if (param.section == Section::kClassifier) return Update::kAll;
  const bool in_last = param.section == Section::kBlock && param.block >= first_block;
  switch (scheme.kind) {
    case Kind::kFull:
      return Update::kAll;
    case Kind::kHead:
      return Update::kNone;
    case Kind::kBias:
      return Update::kBias;
    case Kind::kBiasBlocks:
      return in_last ? Update::kBias : Update::kNone;
    case Kind::kBlocks:
      return in_last || param.section == Section::kTail ? Update::kAll : Update::kNone;
    case Kind::kRules:
      break;
  }
  Update update = scheme.fallback;
  for (const UpdateRule& rule : scheme.rules) {
    if (MatchesGlob(rule.pattern, param.name)) update = rule.update;
  }
  return update;
}

size_t CommonPrefix(const std::string& a, const std::string& b) {
  const size_t length = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + length, b.begin()).first - a.begin();
}

// Each rule must match something: a misspelt one would freeze what it meant, in silence. The name
// with the longest common beginning is suggested: names and patterns are paths.
absl::Status CheckRules(const Graph& graph, const UpdateScheme& scheme) {
  for (const UpdateRule& rule : scheme.rules) {
    const Value* nearest = nullptr;
    bool matched = false;
    for (const Value& value : graph.values) {
      if (!IsModelParam(value)) continue;
      matched = matched || MatchesGlob(rule.pattern, value.name);
      if (nearest == nullptr ||
          CommonPrefix(rule.pattern, value.name) > CommonPrefix(rule.pattern, nearest->name)) {
        nearest = &value;
      }
    }
    if (matched) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("scheme ", scheme.text, ": no parameter matches (got ",
                     absl::Utf8SafeCEscape(rule.pattern), nearest == nullptr ? "" : ", nearest is ",
                     nearest == nullptr ? "" : nearest->name.c_str(), ")"));
  }
  return absl::OkStatus();
}

absl::Status CheckBlocks(const UpdateScheme& scheme, int blocks) {
  if (scheme.kind != Kind::kBiasBlocks && scheme.kind != Kind::kBlocks) return absl::OkStatus();
  if (blocks == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("scheme ", scheme.text, ": the model has no blocks"));
  }
  if (scheme.blocks < 1 || scheme.blocks > blocks) {
    return absl::InvalidArgumentError(absl::StrCat("scheme ", scheme.text, ": the model has ",
                                                   blocks, " blocks (got ", scheme.blocks,
                                                   ", want 1 to ", blocks, ")"));
  }
  return absl::OkStatus();
}

// The names that the contract has and that a later issue builds.
bool IsPlanned(const std::string& text) {
  return text == "auto" || text == "pockengine" || text == "lora" ||
         absl::StartsWith(text, "mcunetv3:") || absl::StartsWith(text, "channels(") ||
         absl::StartsWith(text, "lora(");
}

// K of "<prefix>K"; nothing where `text` has another form.
std::optional<int> BlocksAfter(const char* prefix, const std::string& text) {
  int blocks = 0;
  if (!absl::StartsWith(text, prefix)) return std::nullopt;
  if (text.find_first_of(" \t\n\v\f\r") != std::string::npos)
    return std::nullopt;  // SimpleAtoi skips it
  if (!absl::SimpleAtoi(text.substr(std::char_traits<char>::length(prefix)), &blocks)) {
    return std::nullopt;
  }
  return blocks;
}

}  // namespace

absl::StatusOr<UpdateScheme> ParseScheme(const std::string& text) {
  UpdateScheme scheme;
  scheme.text = text;
  if (text == "full" || text == "head" || text == "bias") {
    scheme.kind = text == "full" ? Kind::kFull : text == "head" ? Kind::kHead : Kind::kBias;
    return scheme;
  }
  if (const std::optional<int> blocks = BlocksAfter("bias:", text)) {
    scheme.kind = Kind::kBiasBlocks;
    scheme.blocks = *blocks;
    return scheme;
  }
  if (const std::optional<int> blocks = BlocksAfter("blocks:", text)) {
    scheme.kind = Kind::kBlocks;
    scheme.blocks = *blocks;
    return scheme;
  }
  if (absl::EndsWith(text, ".json")) return ReadSchemeFile(text);
  if (IsPlanned(text)) {
    return absl::UnimplementedError(
        absl::StrCat("scheme ", absl::Utf8SafeCEscape(text), ": not built yet"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("scheme: unknown (got ", absl::Utf8SafeCEscape(text),
                   ", want full, head, bias, bias:K, blocks:K or FILE.json)"));
}

absl::Status ApplyScheme(Graph& forward, const UpdateScheme& scheme) {
  const int blocks = CountBlocks(forward);
  if (absl::Status status = CheckBlocks(scheme, blocks); !status.ok()) return status;
  if (absl::Status status = CheckRules(forward, scheme); !status.ok()) return status;
  for (Value& value : forward.values) {
    if (!IsModelParam(value)) continue;
    value.trainable = Learns(UpdateOf(scheme, value, blocks - scheme.blocks), value);
  }
  if (LearningParams(forward).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("scheme ", scheme.text, ": nothing would learn: the model has no classifier"));
  }
  return absl::OkStatus();
}

bool UsesBatchStatistics(const UpdateScheme& scheme) { return scheme.kind == Kind::kFull; }

int64_t CountTrainableParams(const Graph& graph) {
  int64_t count = 0;
  for (ValueId id : LearningParams(graph)) count += graph.shape(id).elems();
  return count;
}

}  // namespace pocketune
