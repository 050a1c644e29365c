// Errors of the runtime: 16 bytes, no allocation, no exceptions.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

namespace pocketune {

// The canonical codes of Abseil and gRPC, value for value, so that the compile side converts 1:1.
enum class StatusCode : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
};

// The outcome of a call. `message` is a string literal and lives for ever; it names what is wrong,
// not where: the caller knows the file. `detail` is one number that helps (an index, an errno, an
// offset), 0 where none does. Copying is free. Thread-compatible.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr Status(StatusCode code, const char* message, int32_t detail = 0)
      : message_(message), detail_(detail), code_(code) {}

  constexpr bool ok() const { return code_ == StatusCode::kOk; }
  constexpr StatusCode code() const { return code_; }
  constexpr const char* message() const { return message_; }
  constexpr int32_t detail() const { return detail_; }

 private:
  const char* message_ = "";
  int32_t detail_ = 0;
  StatusCode code_ = StatusCode::kOk;
};
static_assert(sizeof(Status) == 16);

constexpr Status OkStatus() { return Status(); }

// A value or the Status that says why there is none. Owns the value. `value()` needs `ok()`.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(Status status) : status_(status) {}  // NOLINT: errors convert by design
  Result(T value) : has_value_(true) { new (&value_) T(std::move(value)); }  // NOLINT
  Result(Result&& other) noexcept : status_(other.status_), has_value_(other.has_value_) {
    if (has_value_) new (&value_) T(std::move(other.value_));
  }
  Result& operator=(Result&&) = delete;
  Result(const Result&) = delete;
  ~Result() {
    if (has_value_) value_.~T();
  }

  bool ok() const { return has_value_; }
  const Status& status() const { return status_; }
  T& value() & { return value_; }
  const T& value() const& { return value_; }
  T&& value() && { return std::move(value_); }
  T* operator->() { return &value_; }

 private:
  Status status_;
  bool has_value_ = false;
  union {
    T value_;
  };
};

#define PT_RETURN_IF_ERROR(expr)                  \
  do {                                            \
    const ::pocketune::Status pt_status = (expr); \
    if (!pt_status.ok()) return pt_status;        \
  } while (false)

}  // namespace pocketune
