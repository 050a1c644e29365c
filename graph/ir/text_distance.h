// "Did you mean ...?"
#pragma once

#include <string>
#include <vector>

namespace pocketune {

// The candidate with the smallest edit distance (Levenshtein, 1966); the first of several; empty
// where there are none.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace pocketune
