#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "agent/base/table_definition.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::spoe {

/// Appends to |out| the key that HAProxy itself would make of a sample of that type and value for a table of
/// that definition, as the peers protocol carries it. |value| is not null. Returns why there is none, in
/// words for the operator, or nothing; |out| is as it was then.
std::string_view append_key(const TableDefinition& definition, const Value& value,
                            std::vector<std::byte>& out);

}  // namespace stickmesh::spoe
