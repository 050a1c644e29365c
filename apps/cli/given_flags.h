// Flags that somebody gave against what a run or a plan was made with.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/cli/flags.h"
#include "apps/train/run_spec.h"

namespace pocketune::cli {

// A flag whose value is settled, as text.
struct SettledFlag {
  const char* flag;
  std::string asked;
  std::string settled;
};

// Those of AddModelFlags, but --weights.
std::vector<SettledFlag> SettledModelFlags(const RunSpec& asked, const RunSpec& settled);

// Of a command that has been read.
class GivenFlags {
 public:
  explicit GivenFlags(const Command& command) : command_(command) {}

  // False for a flag that the command does not have.
  bool Has(const std::string& flag) const;
  // kUsage for a flag that was given another value than is settled; `why` says by what.
  absl::Status CheckSettled(const std::vector<SettledFlag>& flags, const std::string& why) const;

 private:
  Command command_;
};

}  // namespace pocketune::cli
