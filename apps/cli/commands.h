// The commands. Each adds itself to the application with its flags and help, and sets `*run` to
// what to do when it is the one that was given.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/status.h"

namespace pocketune::cli {

using Run = std::function<absl::Status()>;

void AddModels(CLI::App& app, Run* run);
void AddTrain(CLI::App& app, Run* run);
void AddEval(CLI::App& app, Run* run);
void AddInfer(CLI::App& app, Run* run);
void AddCompile(CLI::App& app, Run* run);
void AddInspect(CLI::App& app, Run* run);
void AddIr(CLI::App& app, Run* run);
void AddBench(CLI::App& app, Run* run);
void AddSearch(CLI::App& app, Run* run);
void AddExport(CLI::App& app, Run* run);

}  // namespace pocketune::cli
