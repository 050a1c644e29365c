// Errors of the compile side's public interface.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "pocketune/status.h"

namespace pocketune {

// A value, or the code and the one-line message that say why there is none.
template <typename T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : value_(std::move(value)) {}  // NOLINT: values convert by design
  Outcome(StatusCode code, std::string message, int64_t detail = 0)
      : code_(code), message_(std::move(message)), detail_(detail) {}

  bool ok() const { return value_.has_value(); }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  int64_t detail() const { return detail_; }  // a number that the message names, where stated
  T& value() { return *value_; }
  const T& value() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
  int64_t detail_ = 0;
};

}  // namespace pocketune
