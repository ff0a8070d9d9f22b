#pragma once

#include <cstddef>

/// How often memory was asked for by `new`, of a test program that has allocations.cc among its sources.
extern std::size_t allocations;
