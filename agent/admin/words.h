#pragma once

#include <string>
#include <string_view>

#include "agent/base/time.h"

namespace stickmesh::admin {

/// "-" before the first time.
std::string seconds_ago(TimePoint when, TimePoint now);
std::string_view or_dash(std::string_view text);
/// A cell of a table whose columns are separated by tabs.
std::string cell(std::string_view text);

}  // namespace stickmesh::admin
