#include "frontends/weights/names.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/one_line.h"

namespace pocketune {
namespace {

using Names = std::set<std::string, std::less<>>;

// Each entry under the name that is looked for in it.
using Named = std::vector<std::pair<std::string, const SafetensorsEntry*>>;

// For each beginning of a name, "" among them, how many wanted names stand behind it.
std::map<std::string, size_t> CountBehind(const Named& named, const Names& wanted) {
  size_t longest = 0;
  for (const std::string& name : wanted) longest = std::max(longest, name.size());
  std::map<std::string, size_t> counts = {{"", 0}};
  for (const auto& [name, entry] : named) {
    const std::string_view all = name;
    for (size_t at = all.size(); at > 0; --at) {
      const bool begins = at == 1 || all[at - 2] == '.';
      const size_t rest = all.size() - (at - 1);
      if (rest > longest) break;
      if (begins && wanted.contains(all.substr(at - 1))) {
        ++counts[std::string(all.substr(0, at - 1))];
      }
    }
  }
  return counts;
}

struct Beginning {
  std::string text;
  size_t found = 0;
  std::string rival;  // another that finds as many; empty: none
};

// The one with the most wanted names behind it; the empty one where it is as good.
Beginning BestBeginning(const Named& named, const Names& wanted) {
  const std::map<std::string, size_t> counts = CountBehind(named, wanted);
  Beginning best = {"", counts.at(""), ""};
  for (const auto& [text, found] : counts) {
    if (text.empty() || found < best.found) continue;
    if (found > best.found) {
      best = {text, found, ""};
    } else if (!best.text.empty()) {
      best.rival = text;
    }
  }
  return best;
}

// Without the words that wrappers of modules leave anywhere in a name; nothing where there is none.
std::optional<std::string> Unwrapped(const std::string& name, std::string* word) {
  std::vector<std::string> kept;
  bool wrapped = false;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(name, '.'))) {
    const bool is_wrapper = part == "module" || part == "_orig_mod";
    if (is_wrapper) *word = part;
    wrapped = wrapped || is_wrapper;
    if (!is_wrapper) kept.push_back(part);
  }
  if (!wrapped) return std::nullopt;
  return absl::StrJoin(kept, ".");
}

absl::Status Ambiguous(const std::string& one, const std::string& other) {
  return absl::InvalidArgumentError(absl::StrCat("weights: two sets of tensors fit (got ",
                                                 OneLine(one), "* and ", OneLine(other),
                                                 "*, want one: leave the other out of the file)"));
}

}  // namespace

absl::StatusOr<NameMatch> MatchNames(const std::vector<std::string>& wanted,
                                     const SafetensorsFile& file) {
  const Names names(wanted.begin(), wanted.end());
  Named named;
  for (const SafetensorsEntry& entry : file.entries()) named.emplace_back(entry.name, &entry);
  Beginning best = BestBeginning(named, names);
  NameMatch match;
  match.left_out = best.text;
  if (best.found < names.size()) {
    Named unwrapped = named;
    std::string word;
    for (auto& [name, entry] : unwrapped) name = Unwrapped(name, &word).value_or(name);
    const Beginning without = BestBeginning(unwrapped, names);
    if (without.found > best.found) {
      best = without;
      named = std::move(unwrapped);
      match.left_out = absl::StrCat(word, ".", without.text);
    }
  }
  if (!best.rival.empty() && best.found == names.size()) return Ambiguous(best.text, best.rival);
  for (const auto& [name, entry] : named) {
    if (name.compare(0, best.text.size(), best.text) != 0) continue;
    const std::string_view rest = std::string_view(name).substr(best.text.size());
    if (!names.contains(rest)) continue;
    const auto [at, added] = match.entries.emplace(rest, entry);
    if (!added) return Ambiguous(at->second->name, entry->name);
  }
  return match;
}

}  // namespace pocketune
