#include "apps/cli/common.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "apps/cli/standard_output.h"
#include "apps/report/html.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/thread_probe.h"
#include "frontends/zoo/zoo.h"

namespace pocketune::cli {
namespace {

int CoresOfProcess() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set);
}

// Steps have so many threads, this one among them; pictures are loaded by as many more, and a
// process that measures counts as one.
void KeepToStartableThreads(CommonFlags* flags) {
  if (flags->threads == 1) return;
  const int wanted = 2 * (flags->threads - 1) + 1;
  const int startable = StartableThreads(wanted);
  if (startable == wanted) return;
  flags->threads = 1 + std::max(0, startable - 1) / 2;
  Warn(*flags, absl::StrCat("--threads: the system starts too few beside this one (got ", startable,
                            ", want ", wanted, "); steps use ", flags->threads));
}

bool WriteFile(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

}  // namespace

absl::Status ApplyCommonFlags(CommonFlags* flags, Runs runs) {
  if (flags->threads == 0) flags->threads = CoresOfProcess();
  if (runs == Runs::kPlans) KeepToStartableThreads(flags);
  const Isa isa = IsaNamed(flags->isa).value_or(Isa::kAuto);
  return As(ExitCode::kLocked, "--isa " + flags->isa, SetIsa(isa));
}

absl::Status CheckClassifies(const std::string& model, const std::string& command) {
  const absl::StatusOr<const ZooEntry*> entry = FindModel(model);
  if (!entry.ok() || (*entry)->task == Task::kClassification) return absl::OkStatus();
  return Fail(ExitCode::kUsage,
              absl::StrCat(model, ": ", command,
                           " learns from labelled pictures, and this model is "
                           "no classifier; compile its plan and train that in a program of your "
                           "own (docs/models.md), or bench it on random data"));
}

void Say(const CommonFlags& flags, const std::string& line) {
  if (flags.quiet) return;
  PrintText(flags, line + "\n");
}

void PrintText(const CommonFlags& flags, const std::string& text) {
  if (flags.json == "-") {
    std::fputs(text.c_str(), stderr);
  } else {
    WriteStandardOutput(text);
  }
}

void Warn(const CommonFlags& flags, const std::string& line) {
  if (!flags.quiet) std::fprintf(stderr, "pocketune: %s\n", line.c_str());
}

void SayError(const absl::Status& status) {
  std::fprintf(stderr, "pocketune: %s\n", std::string(status.message()).c_str());
}

absl::Status EmitJson(const CommonFlags& flags, const nlohmann::json& object) {
  if (flags.json.empty()) return absl::OkStatus();
  const std::string text =
      object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const bool good = flags.json == "-" ? WriteStandardOutput(text) : WriteFile(flags.json, text);
  return good ? absl::OkStatus()
              : Fail(ExitCode::kIo, flags.json + ": the JSON object could not be written");
}

std::string CommandLine() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string line;
  for (std::string word; std::getline(in, word, '\0');) {
    const bool plain = word.find_first_of(" \t\n'\"\\$&|;<>()*?[]#~`!{}") == std::string::npos;
    std::string quoted;
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    absl::StrAppend(&line, line.empty() ? "" : " ",
                    plain && !word.empty() ? word : "'" + quoted + "'");
  }
  return line;
}

// As the report says it, with a space that any terminal knows.
std::string HumanBytes(int64_t bytes) {
  return absl::StrReplaceAll(report::Bytes(double(bytes)), {{"\u00A0", " "}});
}

std::string HumanCount(int64_t count) {
  return absl::StrReplaceAll(report::Count(double(count)), {{"\u00A0", " "}});
}

std::string HumanSeconds(double seconds) {
  const int64_t s = std::llround(seconds);
  if (s < 60) return absl::StrFormat("%.1f s", seconds);
  if (s < 3600) return absl::StrFormat("%d min %02d s", s / 60, s % 60);
  return absl::StrFormat("%d h %02d min", s / 3600, s / 60 % 60);
}

}  // namespace pocketune::cli
