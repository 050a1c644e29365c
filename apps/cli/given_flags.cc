#include "apps/cli/given_flags.h"

#include "absl/strings/str_cat.h"
#include "apps/train/exit_code.h"

namespace pocketune::cli {

std::vector<SettledFlag> SettledModelFlags(const RunSpec& asked, const RunSpec& settled) {
  const ModelSpec& a = asked.model;
  const ModelSpec& s = settled.model;
  return {{"--model", a.name, s.name},
          {"--width", absl::StrCat(a.width), absl::StrCat(s.width)},
          {"--resolution", absl::StrCat(a.resolution), absl::StrCat(s.resolution)},
          {"--classes", absl::StrCat(a.classes), absl::StrCat(s.classes)},
          {"--input-channels", absl::StrCat(a.input_channels), absl::StrCat(s.input_channels)},
          {"--batch", absl::StrCat(a.batch), absl::StrCat(s.batch)},
          {"--dropout", absl::StrCat(a.dropout), absl::StrCat(s.dropout)}};
}

bool GivenFlags::Has(const std::string& flag) const { return command_.IsGiven(flag); }

absl::Status GivenFlags::CheckSettled(const std::vector<SettledFlag>& flags,
                                      const std::string& why) const {
  for (const SettledFlag& flag : flags) {
    if (!Has(flag.flag) || flag.asked == flag.settled) continue;
    return Fail(ExitCode::kUsage, absl::StrCat(flag.flag, ": ", why, " (got ", flag.asked,
                                               ", want ", flag.settled, ", or leave it out)"));
  }
  return absl::OkStatus();
}

}  // namespace pocketune::cli
