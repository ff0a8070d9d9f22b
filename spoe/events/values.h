#pragma once

#include <string_view>
#include <tl/expected.hpp>

#include "agent/pipeline/own_writer.h"
#include "spoe/events/table_view.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::spoe {

/// What an event's argument does to a value of a table's entry; else why it is wrong, in words for the
/// operator. |value| is not null, and its text must outlive what is returned.
using Written = tl::expected<pipeline::OwnValue, std::string_view>;

/// Of `track`: numbers that are added. True is 1.
Written counted_value(const Value& value, const TableView& view, const Field& field);
/// Of `set`.
Written written_value(const Value& value, const TableView& view, const Field& field);

}  // namespace stickmesh::spoe
