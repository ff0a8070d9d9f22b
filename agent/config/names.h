#pragma once

#include <string>
#include <string_view>

/// What is wrong with a name, in words; empty when nothing is.
namespace stickmesh::config {

/// Of a peer or a limit: HAProxy takes letters, digits and _ : . - in peer names.
std::string peer_name_problem(std::string_view name);
/// Of a table as the config writes it: no slash, nothing that `TABLE@ORIGIN` or a pattern gives a meaning.
std::string table_name_problem(std::string_view name);
/// Of a pattern of table names: at most one `*`.
std::string table_pattern_problem(std::string_view pattern);
/// Of a pattern of other names.
std::string pattern_problem(std::string_view pattern);
/// Of a path that must be absolute.
std::string path_problem(std::string_view path);
/// Of free text without spaces: a user, a group, a prefix.
std::string word_problem(std::string_view text);
/// The same, where empty means off.
std::string optional_path_problem(std::string_view path);
std::string optional_word_problem(std::string_view text);
std::string optional_table_name_problem(std::string_view name);

/// Whether |name| fits |pattern|, whose `*`, if any, stands for any run of characters.
bool matches(std::string_view pattern, std::string_view name);
/// Whether all that fits |narrow| fits |wide|.
bool covers(std::string_view wide, std::string_view narrow);

/// "agent-" and |host_name| up to its first dot, with what a peer name cannot have replaced by "-".
std::string default_agent_name(std::string_view host_name);

}  // namespace stickmesh::config
