#pragma once

#include <string_view>
#include <vector>

#include "agent/base/table_definition.h"

namespace stickmesh::events {

/// Appends to |out| the key of a table of that definition. A line has no types: |key| is the text, or the
/// bytes, that HAProxy makes of the sample. Text of an address becomes what the address itself would: that of
/// an IPv4 client in a table of IPv6 addresses is not refused, as a mere string would be. Returns why there
/// is none, in words for the operator, or nothing; |out| is as it was then.
std::string_view append_key(const TableDefinition& definition, std::string_view key,
                            std::vector<std::byte>& out);

}  // namespace stickmesh::events
