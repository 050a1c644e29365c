// What a Status says, for people.
#pragma once

#include <cstring>
#include <string>

#include "pocketune/status.h"

namespace pocketune {

// "<where>: <message>", with the system's reason behind where reading or writing failed, else with
// the number that the status carries.
inline std::string TextOf(const std::string& where, const Status& status) {
  std::string text = where + ": " + status.message();
  if (status.detail() == 0) return text;
  if (status.code() == StatusCode::kUnavailable)
    return text + ": " + std::strerror(status.detail());
  return text + " (" + std::to_string(status.detail()) + ")";
}

}  // namespace pocketune
