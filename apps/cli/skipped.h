// Pictures that were left out: what is said of them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "apps/cli/common.h"
#include "apps/data/dataset_source.h"

namespace pocketune::cli {

// A line for each, naming the file.
std::vector<std::string> ReasonsOf(const std::vector<data::SkippedSample>& skipped);

// Says those from index `said` on, then how many there are; nothing where there are none.
void SaySkipped(const CommonFlags& flags, const std::vector<data::SkippedSample>& skipped,
                size_t said = 0);

}  // namespace pocketune::cli
