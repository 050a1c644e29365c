// From the compile side's errors, absl::Status, to those of its public interface, Outcome.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "pocketune/outcome.h"

namespace pocketune {

// An error that carries a number for Outcome::detail.
absl::Status WithDetail(absl::Status status, int64_t detail);
int64_t DetailOf(const absl::Status& status);  // 0 where it carries none

// The public form of an error.
template <typename T>
Outcome<T> ToOutcome(const absl::Status& status) {
  return Outcome<T>(static_cast<StatusCode>(status.code()), std::string(status.message()),
                    DetailOf(status));
}

}  // namespace pocketune
