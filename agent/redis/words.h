#pragma once

#include <string>
#include <string_view>

namespace stickmesh::redis {

/// The kind of an error reply, or of what `explain` made of it: its first word, such as "READONLY".
std::string_view kind_of(std::string_view error);
/// The kind, what it means and what to do, in words for the operator, with what the reply says.
std::string explain(std::string_view error);
/// The same of what `explain` said, for the operator of an agent that takes the server for a single one.
std::string explain_to_one(std::string_view explained);
/// Whether it speaks of the server's state, or of who we are to it, and not of the one command: nothing more
/// is worth sending until it has changed.
bool stops_all(std::string_view error);

}  // namespace stickmesh::redis
