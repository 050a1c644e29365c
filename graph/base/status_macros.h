// How the compile side and the applications hand errors on: a call that fails ends the function
// that made it. The runtime's Status has PT_RETURN_IF_ERROR of pocketune/status.h; public headers
// use neither of the two below.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the function where `expr`, an absl::Status, is an error.
#define PT_TRY(...)                         \
  do {                                      \
    absl::Status pt_status = (__VA_ARGS__); \
    if (!pt_status.ok()) return pt_status;  \
  } while (false)

// Assigns the value of an absl::StatusOr to `lhs`, which may declare a variable, or returns its
// error:
//   PT_TRY_ASSIGN(const Graph graph, ParseGraph(text));
// These are several statements, so that a declared name stays in scope: not for a branch without
// braces. `lhs` holds no comma outside of parentheses; the expression may.
#define PT_TRY_ASSIGN(lhs, ...) \
  PT_TRY_ASSIGN_AT(PT_TRY_NAME(pt_status_or_, __LINE__), lhs, __VA_ARGS__)
#define PT_TRY_ASSIGN_AT(name, lhs, ...)           \
  auto name = (__VA_ARGS__);                       \
  if (!name.ok()) return std::move(name).status(); \
  lhs = *std::move(name)
#define PT_TRY_NAME(prefix, line) PT_TRY_NAME_OF(prefix, line)
#define PT_TRY_NAME_OF(prefix, line) prefix##line
