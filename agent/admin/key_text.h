#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/base/table_definition.h"

namespace stickmesh::admin {

/// A key as HAProxy's `show table` writes it: addresses and numbers in their usual form, strings with a
/// backslash before what would end a word, binary keys in hexadecimal.
std::string key_to_text(KeyType type, Bytes key);

/// The stored form of a key that a user wrote. Binary keys are hexadecimal and padded with zeros.
Result<std::vector<std::byte>> key_from_text(const TableDefinition& definition, std::string_view text);

}  // namespace stickmesh::admin
