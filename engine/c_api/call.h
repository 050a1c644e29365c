// What each function of the C interface does around its work: errors, exceptions, arguments.
#pragma once

#include <cstdint>
#include <cstring>

#include "pocketune.h"
#include "pocketune/status.h"

namespace pocketune::capi {

// Keeps the error for ptn_last_error, in printf's words; returns its code. Allocates nothing.
__attribute__((format(printf, 3, 4))) ptn_status Fail(StatusCode code, int32_t detail,
                                                      const char* format, ...);
// The same in the status's own words, with what an errno or a detail says; PTN_OK for ok. `what`
// names the file or the like that it is about, null for nothing.
ptn_status Tell(const Status& status, const char* what = nullptr);

inline ptn_status IsNull(const char* where, const char* argument) {
  return Fail(StatusCode::kInvalidArgument, 0, "%s: %s is NULL", where, argument);
}

// Of the exception that is being handled.
ptn_status TellException();

// Runs `work`, which returns a ptn_status, and lets no exception out.
template <typename Work>
ptn_status Guarded(const Work& work) {
  try {
    return work();
  } catch (...) {
    return TellException();
  }
}

inline bool IsMisaligned(const void* data, size_t alignment) {
  return reinterpret_cast<uintptr_t>(data) % alignment != 0;
}

// May a struct of `alignment` that says it has `bytes` be one of some version? `want` is the size
// of this version's.
ptn_status CheckStruct(const char* where, const void* data, size_t alignment, size_t want);

// Copies a struct that a program of this or of another version gives. Null: the defaults.
template <typename T>
ptn_status TakeOptions(const char* where, const T* given, T* out) {
  *out = {};
  if (given == nullptr) return PTN_OK;
  if (const ptn_status bad = CheckStruct(where, given, alignof(T), sizeof(T))) return bad;
  const uint32_t bytes = given->struct_size;
  const auto* from = reinterpret_cast<const unsigned char*>(given);
  for (uint32_t i = sizeof(T); i < bytes; ++i) {
    if (from[i] == 0) continue;
    return Fail(
        StatusCode::kInvalidArgument, 0,
        "%s: an option that this version does not know is set (got struct_size %u, want %zu)",
        where, bytes, sizeof(T));
  }
  std::memcpy(out, from, bytes < sizeof(T) ? bytes : sizeof(T));
  return PTN_OK;
}

// Fills in a struct of this or of another version: as much of `value` as it has room for, and zeros
// for what only newer ones have.
template <typename T>
ptn_status GiveStruct(const char* where, T value, T* out) {
  if (out == nullptr) return IsNull(where, "out");
  if (const ptn_status bad = CheckStruct(where, out, alignof(T), sizeof(T))) return bad;
  const uint32_t bytes = out->struct_size;
  value.struct_size = bytes;
  auto* to = reinterpret_cast<unsigned char*>(out);
  std::memcpy(to, &value, bytes < sizeof(T) ? bytes : sizeof(T));
  if (bytes > sizeof(T)) std::memset(to + sizeof(T), 0, bytes - sizeof(T));
  return PTN_OK;
}

}  // namespace pocketune::capi
