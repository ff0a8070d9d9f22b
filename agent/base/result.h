#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "agent/base/reason.h"

namespace stickmesh {

/// Why something was refused: a reason that is counted, and words for the operator.
struct Error {
  Reason reason;
  std::string detail;  ///< what, where, which value; empty where the reason says it all
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> refuse(Reason reason, std::string detail = {}) {
  return tl::unexpected<Error>(Error{reason, std::move(detail)});
}

/// "reason: detail", or the reason alone.
std::string to_string(const Error& error);

}  // namespace stickmesh
