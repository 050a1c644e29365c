// Deterministic mutations: the result depends on the seeds and the run's number alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pocketune::fuzz {

// One of `seeds` (at least one) with one to five changes: flipped bits, extreme integers of 8 to 64
// bits in either byte order, extreme decimals in place of digits, bytes cut off, taken out, copied
// elsewhere, or taken from another seed.
std::string Mutate(const std::vector<std::string>& seeds, uint64_t run);

}  // namespace pocketune::fuzz
