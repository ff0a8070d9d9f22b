#pragma once

#include <string_view>

namespace stickmesh::config {

/// Keys and parts that the contract has and this version does not act on. They are checked like all others;
/// the operator is told when one of them is set to something else than its default.
inline constexpr std::string_view kNotInThisBuild[] = {
    "admin.http",
    "admin.token-file",
};

}  // namespace stickmesh::config
