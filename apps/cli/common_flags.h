// The flags that several commands have.
#pragma once

#include <cstdint>
#include <string>

#include "apps/cli/common.h"
#include "apps/cli/flags.h"
#include "apps/train/run_spec.h"

namespace pocketune::cli {

// Adds --json, --threads, --seed, --quiet, --isa.
void AddCommonFlags(const Command& command, CommonFlags* flags);

// Adds --model, --width, --resolution, --classes, --input-channels, --batch, --weights,
// --no-download, --dropout.
void AddModelFlags(const Command& command, RunSpec* spec, bool model_required);
// Adds a flag that takes a number of bytes above 0: "64MiB", "1.5GB", "4096".
void AddBytesFlag(const Command& command, const std::string& name, int64_t* bytes,
                  const std::string& help);
// Adds --scheme, --optimizer, --momentum, --weight-decay, --decay-bias-and-norm, --label-smoothing,
// --batch-norm, --micro-batch, --clip-norm, --saved-activations, --memory, --cache, --lr-group.
void AddTrainFlags(const Command& command, RunSpec* spec);
// Adds --memory where it bounds the process alone, and no plan is made for it.
void AddProcessMemoryFlag(const Command& command, RunSpec* spec);
// Adds --tuning.
Flag AddTuningFlag(const Command& command, CommonFlags* flags);
// Adds --normalize, --perturb, --class-names.
void AddPictureFlags(const Command& command, DataSpec* spec);
// Adds these and --val-fraction, --test-fraction, --max-train, --max-eval.
void AddDataFlags(const Command& command, DataSpec* spec);

}  // namespace pocketune::cli
