#include "sparse_bp/update.h"

#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

absl::Status Unknown(const std::string& text) {
  return absl::InvalidArgumentError(
      absl::StrCat("unknown update (got ", absl::Utf8SafeCEscape(text),
                   ", want none, bias, all, channels(R) or channels(R,ORDER))"));
}

absl::Status ParseOrder(const std::string& text, Update* update) {
  if (text == "magnitude") {
    update->order = ChannelOrder::kMagnitude;
  } else if (text == "first") {
    update->order = ChannelOrder::kFirst;
  } else if (text == "random" || absl::StartsWith(text, "random:")) {
    update->order = ChannelOrder::kRandom;
    const std::string seed = text == "random" ? "1" : text.substr(7);
    if (seed.find_first_not_of("0123456789") == std::string::npos &&
        absl::SimpleAtoi(seed, &update->seed)) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat("channels: the seed is no whole number (got ",
                                                   absl::Utf8SafeCEscape(seed), ")"));
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("channels: unknown order (got ", absl::Utf8SafeCEscape(text),
                     ", want magnitude, first, random or random:SEED)"));
  }
  return absl::OkStatus();
}

// `inside`: what stands between the parentheses.
absl::StatusOr<Update> ParseChannels(const std::string& inside) {
  const std::vector<std::string> parts = absl::StrSplit(inside, absl::MaxSplits(',', 1));
  Update update(Update::kChannels);
  if (!absl::SimpleAtod(parts[0], &update.ratio) || !(update.ratio >= 0 && update.ratio <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("channels: the ratio is out of range (got ",
                                                   absl::Utf8SafeCEscape(parts[0]),
                                                   ", want 0 to 1)"));
  }
  if (parts.size() == 1) return update;
  const std::string order(absl::StripAsciiWhitespace(parts[1]));
  PT_TRY(ParseOrder(order, &update));
  return update;
}

}  // namespace

absl::StatusOr<Update> ParseUpdate(const std::string& text) {
  if (text == "none") return Update(Update::kNone);
  if (text == "bias") return Update(Update::kBias);
  if (text == "all") return Update(Update::kAll);
  if (absl::StartsWith(text, "channels(") && absl::EndsWith(text, ")")) {
    return ParseChannels(text.substr(9, text.size() - 10));
  }
  if (absl::StartsWith(text, "lora(")) {
    return absl::UnimplementedError(
        absl::StrCat("update ", absl::Utf8SafeCEscape(text), ": not built yet"));
  }
  return Unknown(text);
}

}  // namespace pocketune
