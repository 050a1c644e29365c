// What a scheme search found, as a table and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/search/contribution.h"
#include "apps/search/finals.h"
#include "apps/search/search_space.h"
#include "pocketune/compiler.h"
#include "sparse_bp/selection.h"

namespace pocketune::cli {

struct SearchOutcome {
  const SearchSpace& space;
  const Contributions& contributions;
  Selection exact, evolved;
  std::vector<Finalist> finalists;  // the exact choice first; without finals it alone, untrained
  size_t winner = 0;
  int64_t trial_steps = 0, final_steps = 0;  // no finals: 0
  int trained_now = 0;                       // trials and finals that were not known before
  int64_t extra_memory_bytes = 0;            // of the winner
  PlanFigures figures;                       // of its plan

  const Learning& chosen() const { return finalists[winner].learning; }
  // Of all trials and finals, whoever made them, and of the classifier before them.
  int64_t training_steps() const;
};

std::vector<std::string> TableOf(const SearchOutcome& outcome);
nlohmann::json ToJson(const SearchOutcome& outcome);

}  // namespace pocketune::cli
