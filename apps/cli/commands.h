// The commands. Each adds itself to the command line with its flags and help, and what it does.
#pragma once

#include "apps/cli/flags.h"

namespace pocketune::cli {

void AddModels(Commands& commands);
void AddTrain(Commands& commands);
void AddEval(Commands& commands);
void AddInfer(Commands& commands);
void AddCompile(Commands& commands);
void AddInspect(Commands& commands);
void AddIr(Commands& commands);
void AddBench(Commands& commands);
void AddSearch(Commands& commands);
void AddWeights(Commands& commands);
void AddExport(Commands& commands);

}  // namespace pocketune::cli
