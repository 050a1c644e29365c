#include "sparse_bp/auto_scheme.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

int CountBlocks(const Graph& forward) {
  int blocks = 0;
  for (const Value& value : forward.values) {
    if (value.section == Section::kBlock) blocks = std::max(blocks, value.block + 1);
  }
  return blocks;
}

// The largest K in [1, blocks] for which `prefix`K fits; 0 for none.
absl::StatusOr<int> MostBlocks(const char* prefix, int blocks, const FitsScheme& fits) {
  int fit = 0;
  for (int too_many = blocks + 1; too_many - fit > 1;) {
    const int middle = (fit + too_many) / 2;
    PT_TRY_ASSIGN(const bool answer, fits(absl::StrCat(prefix, middle)));
    (answer ? fit : too_many) = middle;
  }
  return fit;
}

}  // namespace

absl::StatusOr<std::string> RichestScheme(const Graph& forward, const FitsScheme& fits) {
  const int blocks = CountBlocks(forward);
  for (const char* scheme : {"full", "blocks:", "bias", "bias:", "head"}) {
    if (std::string(scheme).back() == ':') {
      PT_TRY_ASSIGN(const int most, MostBlocks(scheme, blocks, fits));
      if (most > 0) return absl::StrCat(scheme, most);
      continue;
    }
    PT_TRY_ASSIGN(const bool answer, fits(scheme));
    if (answer) return std::string(scheme);
  }
  return std::string();
}

}  // namespace pocketune
