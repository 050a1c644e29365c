#include "apps/data/classes.h"

#include <algorithm>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"

namespace pocketune::data {
namespace {

constexpr size_t kNamesInAMessage = 8;

}  // namespace

std::string ListNames(const std::vector<std::string>& names, size_t limit) {
  const size_t written = names.size() > limit ? limit : names.size();
  std::string text = absl::StrJoin(names.begin(), names.begin() + written, ", ");
  if (written < names.size()) absl::StrAppend(&text, " and ", names.size() - written, " more");
  return text;
}

absl::Status MatchKnownClasses(const std::string& path, const std::vector<std::string>& known,
                               DatasetContents* contents) {
  std::unordered_map<std::string, int32_t> index;
  for (size_t i = 0; i < known.size(); ++i) index.insert({known[i], int32_t(i)});
  std::vector<int32_t> renumbered;
  for (const std::string& name : contents->class_names) {
    const auto found = index.find(name);
    renumbered.push_back(found == index.end() ? -1 : found->second);
  }
  for (Sample& sample : contents->samples) {
    const std::string& name = contents->class_names[sample.label];
    sample.label = renumbered[sample.label];
    if (sample.label >= 0) continue;
    return BadData(path, absl::StrCat("a class that was not learned (got \"", name, "\", want of ",
                                      ListNames(known, kNamesInAMessage), ")"));
  }
  contents->class_names = known;
  return absl::OkStatus();
}

}  // namespace pocketune::data
