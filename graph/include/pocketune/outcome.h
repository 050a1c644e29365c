// Errors of the compile side's public interface. They own their text, which names files, tensors
// and numbers; the runtime's Status (status.h) has literals alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "pocketune/status.h"

namespace pocketune {

// A value, or the code and the one-line message that say why there is none. Owns both; a plain
// value, which may be copied where T may. What a call's comment lists as errors are codes; the
// message is for people, `<where>: <fact> (got ..., want ...)`, and may change. Thread-compatible.
template <typename T>
class [[nodiscard]] Outcome {
 public:
  // Implicit, so that functions return what they have made.
  Outcome(T value) : value_(std::move(value)) {}  // NOLINT: values convert by design
  // An error: a code other than kOk.
  Outcome(StatusCode code, std::string message, int64_t detail = 0)
      : code_(code), message_(std::move(message)), detail_(detail) {}

  // Whether there is a value. Only then may it be asked for: `value` and `->` of an error are
  // undefined.
  bool ok() const { return value_.has_value(); }
  // kOk and an empty message beside a value.
  StatusCode code() const { return code_; }
  // One line, without a break at its end.
  const std::string& message() const { return message_; }
  // A number that the message names, of the unit that the call states, such as the bytes of memory
  // that would do; 0 where it states none.
  int64_t detail() const { return detail_; }
  // A reference into this: it lives as long. Moving it out leaves an unspecified value behind.
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
