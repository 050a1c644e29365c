// What the flags of a training mean for a run that is continued.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/train/run_spec.h"
#include "pocketune/train.h"

namespace pocketune {

enum class OnResume : uint8_t {
  kObeyed,     // changes the run from here on
  kReplans,    // the same, and the plan, which is compiled anew
  kFixed,      // decided when the run began
  kOfProcess,  // says how this process works, and nothing about the run
};

struct ResumeRule {
  std::string_view flag;  // "--lr"
  OnResume rule;
  std::string_view field;  // of ToJson(RunSpec), a JSON pointer; empty where it has none
};

// nullptr for a flag that has no rule; such a flag is fixed.
const ResumeRule* FindResumeRule(std::string_view flag);
// The rule of the flag that sets a field of the spec; nullptr where there is none.
const ResumeRule* FindResumeRuleOf(std::string_view field);

// A flag that stands in the command line, with its value as text.
struct GivenFlag {
  std::string name;
  std::string value;
};

// The flags as spec.json remembers them under "asked".
nlohmann::json ToJson(const std::vector<GivenFlag>& given);

// The spec of a run that goes on: `run`, changed by those flags of `given` that are obeyed, whose
// values `asked` holds. With another batch a run of so many steps and its warm-up keep their number
// of pictures, unless other steps are given. A fixed flag may be given as it was when the run began
// (`asked_before`, the "asked" of spec.json, may be null) or with the value that the run has.
// kUsage for any other, naming the flag and both values.
absl::StatusOr<RunSpec> SpecOnResume(const RunSpec& run, const nlohmann::json& asked_before,
                                     const RunSpec& asked, const std::vector<GivenFlag>& given);

// Do the specs differ in what plans are compiled for, of all that may change in a run?
bool NeedsOtherPlan(const RunSpec& before, const RunSpec& now);

// What differs between the specs, a line for each flag: "--lr 0.5 (was 0.01)".
std::vector<std::string> ChangedFlags(const RunSpec& before, const RunSpec& now);

// Makes the state of a run of `before` one of `now`: another rate counts in full whatever the guard
// made of the last one, another length or patience counts patience anew, and the best epoch is
// looked for from here on where it was not before.
void AdaptState(const RunSpec& before, const RunSpec& now, TrainState* state);

// The best epoch is looked for from here on.
void ForgetBest(TrainState* state);

// What `report` tells of a session that was restored under another plan, a line for each kind.
// Where states of AdamW start at zero beside others that do not, all of them do, and its count of
// steps with them: its averages are corrected by one count for all.
std::vector<std::string> AdaptSession(const std::string& optimizer, const RestoreReport& report,
                                      Session* session);

}  // namespace pocketune
