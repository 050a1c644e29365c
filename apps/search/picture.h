// A picture of a search: what each layer's weight brings, and what was chosen.
#pragma once

#include <string>

#include "apps/search/contribution.h"

namespace pocketune {

// An SVG that stands alone. `title` is one line of text (escaped here).
std::string SearchPicture(const SearchSpace& space, const Contributions& contributions,
                          const Learning& chosen, const std::string& title);

}  // namespace pocketune
