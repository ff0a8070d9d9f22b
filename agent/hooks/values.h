#pragma once

#include <lua.hpp>

#include "spoe/events/table_view.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::hooks {

/// Pushes what a script sees of |value|: nil, a boolean, an integer, or text (addresses as they are written).
void push_value(lua_State* state, const spoe::Value& value);

/// The value at |index| as SPOE would carry it: nil is null, a number without a fraction an integer. Raises
/// an error of the script for what it cannot carry; |what| names the value there. A text is a view of the
/// script's.
spoe::Value value_at(lua_State* state, int index, const char* what);

/// Pushes the key of |entry|, as `table:lookup` and the others take it.
void push_key(lua_State* state, const store::Table& table, store::EntryId entry);

/// Pushes a table with the totals of |entry|: of the fields that |of| names by index, or of all.
void push_totals(lua_State* state, spoe::TableView& view, store::EntryId entry,
                 const std::vector<std::uint32_t>* of, TimePoint now);

}  // namespace stickmesh::hooks
