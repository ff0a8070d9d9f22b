#pragma once

#include <exception>
#include <utility>

namespace stickmesh::net {

/// Logs what reached the edge of a callback; never throws itself.
void log_exception(const char* where, const char* what) noexcept;

/// The barrier between our code and libev's C frames: an exception ends the call, not the loop.
template <typename Call>
void guarded(const char* where, Call&& call) noexcept {
  try {
    std::forward<Call>(call)();
  } catch (const std::exception& exception) {
    log_exception(where, exception.what());
  } catch (...) {
    log_exception(where, "not a std::exception");
  }
}

}  // namespace stickmesh::net
