#include "engine/c_api/call.h"

#include <cxxabi.h>

#include <cstdarg>
#include <cstdio>
#include <new>

namespace pocketune::capi {
namespace {

constexpr size_t kMessageBytes = 512;
constexpr uint32_t kMostStructBytes = 4096;

struct LastError {
  char message[kMessageBytes];
  int32_t detail;
};
thread_local LastError t_error = {};

}  // namespace

ptn_status Fail(StatusCode code, int32_t detail, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(t_error.message, kMessageBytes, format, arguments);
  va_end(arguments);
  t_error.detail = detail;
  return static_cast<ptn_status>(code);
}

ptn_status Tell(const Status& status, const char* what) {
  if (status.ok()) return PTN_OK;
  const char* const before = what == nullptr ? "" : what;
  const char* const colon = what == nullptr ? "" : ": ";
  const int32_t detail = status.detail();
  const bool is_errno =
      status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kPermissionDenied;
  char reason[128] = "";
  if (is_errno && detail != 0) {
    // GNU's strerror_r, which g++ makes the default.
    char buffer[96];
    std::snprintf(reason, sizeof(reason), " (%s)", strerror_r(detail, buffer, sizeof(buffer)));
  } else if (detail != 0 && status.code() != StatusCode::kNotFound) {
    std::snprintf(reason, sizeof(reason), " (%d)", detail);
  }
  return Fail(status.code(), detail, "%s%s%s%s", before, colon, status.message(), reason);
}

ptn_status TellException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return Fail(StatusCode::kResourceExhausted, 0, "memory: the system has not enough");
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread ends (pthread_exit, pthread_cancel), and must be let
  } catch (...) {
    return Fail(StatusCode::kInternal, 0, "call: the C++ library threw an exception");
  }
}

ptn_status CheckStruct(const char* where, const void* data, size_t alignment, size_t want) {
  if (IsMisaligned(data, alignment)) {
    return Fail(StatusCode::kInvalidArgument, 0, "%s: the struct is misaligned (want %zu bytes)",
                where, alignment);
  }
  const uint32_t bytes = *static_cast<const uint32_t*>(data);
  if (bytes >= sizeof(uint32_t) && bytes <= kMostStructBytes && bytes % alignment == 0) {
    return PTN_OK;
  }
  return Fail(StatusCode::kInvalidArgument, 0,
              "%s: struct_size is no version's (got %u, want %zu in this one)", where, bytes, want);
}

}  // namespace pocketune::capi

using pocketune::StatusCode;

extern "C" {

const char* ptn_last_error(void) { return pocketune::capi::t_error.message; }

int32_t ptn_last_error_detail(void) { return pocketune::capi::t_error.detail; }

uint32_t ptn_version(void) { return PTN_VERSION; }

const char* ptn_status_name(ptn_status status) {
  switch (status) {
    case PTN_OK:
      return "ok";
    case PTN_CANCELLED:
      return "cancelled";
    case PTN_INVALID_ARGUMENT:
      return "invalid argument";
    case PTN_NOT_FOUND:
      return "not found";
    case PTN_PERMISSION_DENIED:
      return "permission denied";
    case PTN_RESOURCE_EXHAUSTED:
      return "resource exhausted";
    case PTN_FAILED_PRECONDITION:
      return "failed precondition";
    case PTN_ABORTED:
      return "aborted";
    case PTN_OUT_OF_RANGE:
      return "out of range";
    case PTN_UNIMPLEMENTED:
      return "unimplemented";
    case PTN_INTERNAL:
      return "internal error";
    case PTN_UNAVAILABLE:
      return "unavailable";
    case PTN_DATA_LOSS:
      return "data loss";
    default:
      return "unknown status";
  }
}

}  // extern "C"
