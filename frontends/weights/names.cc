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
using Named = std::vector<std::pair<std::string, const WeightsEntry*>>;

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

// How well one set of names is found in a file.
struct Search {
  Named named;
  Beginning best;
  std::string left_out;
};

Search SearchFor(const Names& names, const WeightsFile& file) {
  Search search;
  for (const WeightsEntry& entry : file.entries()) search.named.emplace_back(entry.name, &entry);
  search.best = BestBeginning(search.named, names);
  search.left_out = search.best.text;
  if (search.best.found == names.size()) return search;
  Named unwrapped = search.named;
  std::string word;
  for (auto& [name, entry] : unwrapped) name = Unwrapped(name, &word).value_or(name);
  const Beginning without = BestBeginning(unwrapped, names);
  if (without.found <= search.best.found) return search;
  return {std::move(unwrapped), without, absl::StrCat(word, ".", without.text)};
}

}  // namespace

absl::StatusOr<NameMatch> MatchNames(const std::vector<std::string>& wanted,
                                     const WeightsFile& file) {
  std::map<std::string, std::string, std::less<>> ours;  // by the file's names
  for (const std::string& name : wanted) ours[name] = name;
  Names names(wanted.begin(), wanted.end());
  Search search = SearchFor(names, file);
  NameMatch match;
  for (const Naming& naming : Namings()) {
    if (search.best.found == names.size()) break;
    const std::optional<std::vector<std::string>> theirs = naming.translate(wanted);
    if (!theirs) continue;
    const Names others(theirs->begin(), theirs->end());
    Search of_theirs = SearchFor(others, file);
    if (of_theirs.best.found <= search.best.found) continue;
    search = std::move(of_theirs);
    names = others;
    match.naming = &naming;
    ours.clear();
    for (size_t i = 0; i < wanted.size(); ++i) ours[(*theirs)[i]] = wanted[i];
  }
  const Beginning& best = search.best;
  match.left_out = search.left_out;
  if (!best.rival.empty() && best.found == names.size()) return Ambiguous(best.text, best.rival);
  for (const auto& [name, entry] : search.named) {
    if (name.compare(0, best.text.size(), best.text) != 0) continue;
    const auto found = ours.find(std::string_view(name).substr(best.text.size()));
    if (found == ours.end()) continue;
    const auto [at, added] = match.entries.emplace(found->second, entry);
    if (!added) return Ambiguous(at->second->name, entry->name);
  }
  return match;
}

}  // namespace pocketune
