// What every command shares: how much it may take, where it writes, errors.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "apps/train/exit_code.h"

namespace pocketune::cli {

struct CommonFlags {
  std::string json;  // path, "-" for stdout, empty for none
  int threads = 0;   // 0: all cores of the process
  uint64_t seed = 1;
  bool quiet = false;
  std::string isa = "auto";
  std::string tuning;  // path, empty for none
  bool keep_order = false;
  bool batch_only = false;
};

// Cores to use, and caps own kernels at the level asked for. A command that runs a plan has fewer
// threads where the system starts no more, which a line says.
enum class Runs { kPlans, kNothing };
absl::Status ApplyCommonFlags(CommonFlags* flags, Runs runs = Runs::kPlans);

// An error for a model that does not tell classes apart, which `command` takes alone; nothing for
// names that are no model's.
absl::Status CheckClassifies(const std::string& model, const std::string& command);

// For a person: stdout, or stderr where stdout carries the JSON object; silent under --quiet. What
// does not get to stdout makes the command fail at its end (standard_output.h).
void Say(const CommonFlags& flags, const std::string& line);
// A text of lines to the same place, also under --quiet.
void PrintText(const CommonFlags& flags, const std::string& text);
// One line on stderr that no stream of results should carry; silent under --quiet.
void Warn(const CommonFlags& flags, const std::string& line);
// An error's line on stderr, also under --quiet.
void SayError(const absl::Status& status);
// Writes the object where --json asked for it.
absl::Status EmitJson(const CommonFlags& flags, const nlohmann::json& object);

// This process's command line, as a shell would take it.
std::string CommandLine();

// "26.5 MB" (decimal units), "1.2 G" for counts, "3 min 20 s".
std::string HumanBytes(int64_t bytes);
std::string HumanCount(int64_t count);
std::string HumanSeconds(double seconds);

}  // namespace pocketune::cli
