// PT_CHECK: for what only a bug of ours can break, never for what a user or a file can get wrong.
#pragma once

#include <cstdio>
#include <cstdlib>

#define PT_CHECK(cond)                                                                       \
  do {                                                                                       \
    if (!(cond)) [[unlikely]] {                                                              \
      std::fprintf(stderr, "%s:%d: internal check failed: %s\n", __FILE__, __LINE__, #cond); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
