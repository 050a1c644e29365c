#include "apps/cli/skipped.h"

#include "absl/strings/str_format.h"

namespace pocketune::cli {

std::vector<std::string> ReasonsOf(const std::vector<data::SkippedSample>& skipped) {
  std::vector<std::string> reasons;
  for (const data::SkippedSample& picture : skipped) reasons.push_back(picture.reason);
  return reasons;
}

void SaySkipped(const CommonFlags& flags, const std::vector<data::SkippedSample>& skipped,
                size_t said) {
  if (skipped.empty()) return;
  for (size_t i = said; i < skipped.size(); ++i) Say(flags, "skipped: " + skipped[i].reason);
  Say(flags,
      absl::StrFormat("%d bad picture%s left out", skipped.size(), skipped.size() == 1 ? "" : "s"));
}

}  // namespace pocketune::cli
