#pragma once

#include <cstdio>
#include <cstdlib>

/// Aborts, which is how a fuzz target reports what must not be, whatever the build type.
#define FUZZ_CHECK(condition)                                                        \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                  \
    }                                                                                \
  } while (false)
