// Errors of the runtime: 16 bytes, no allocation, no exceptions. What goes wrong is in what a call
// returns, and nowhere else.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

namespace pocketune {

// The canonical codes of Abseil and gRPC, value for value, so that the compile side converts 1:1.
// Behind each stands what it means here; the others are there for the sake of the numbers.
enum class StatusCode : uint8_t {
  kOk = 0,
  kCancelled = 1,  // a callback or a signal asked to stop
  kUnknown = 2,
  kInvalidArgument = 3,  // the caller gave what is not allowed: a name, a size, a null pointer
  kDeadlineExceeded = 4,
  kNotFound = 5,  // no file, checkpoint, input or parameter of that name
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,   // too little memory, threads or room for what is asked
  kFailedPrecondition = 9,  // right in itself, but not now or not on this machine
  kAborted = 10,            // numbers that are not finite: a step or a save was not made
  kOutOfRange = 11,
  kUnimplemented = 12,  // sound, but not built: an operator, a version, a kernel
  kInternal = 13,       // a fault of pocketune's own
  kUnavailable = 14,    // the system failed to read or write; `detail` is its errno
  kDataLoss = 15,       // bytes that are not what they must be: a damaged or foreign file
};

// The outcome of a call. `message` is a string literal and lives for ever; it names what is wrong,
// not where: the caller knows the file. `detail` is one number that helps (an index, an errno, an
// offset), 0 where none does. Copying is free. Thread-compatible.
class [[nodiscard]] Status {
 public:
  // All is well.
  constexpr Status() = default;
  // An error: a code other than kOk, and a literal, which is neither copied nor freed.
  constexpr Status(StatusCode code, const char* message, int32_t detail = 0)
      : message_(message), detail_(detail), code_(code) {}

  constexpr bool ok() const { return code_ == StatusCode::kOk; }
  // What a program decides by.
  constexpr StatusCode code() const { return code_; }
  // Never null; empty where all is well.
  constexpr const char* message() const { return message_; }
  // 0 where the message names no number.
  constexpr int32_t detail() const { return detail_; }

 private:
  const char* message_ = "";
  int32_t detail_ = 0;
  StatusCode code_ = StatusCode::kOk;
};
static_assert(sizeof(Status) == 16);

// The same as Status(), where that reads better.
constexpr Status OkStatus() { return Status(); }

// A value or the Status that says why there is none. Owns the value; moved, never copied, and
// without allocating. `value()` and `->` need `ok()` and give references into this; a moved-from
// one keeps a moved-from value. Thread-compatible.
template <typename T>
class [[nodiscard]] Result {
 public:
  // An error, never the OK status.
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
  // Why there is no value; the OK status beside one.
  const Status& status() const { return status_; }
  // Only where there is one.
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

// For a function that returns Status or a Result: ends it with the error where `expr`, a Status
// that is evaluated once, is one.
#define PT_RETURN_IF_ERROR(expr)                  \
  do {                                            \
    const ::pocketune::Status pt_status = (expr); \
    if (!pt_status.ok()) return pt_status;        \
  } while (false)

}  // namespace pocketune
