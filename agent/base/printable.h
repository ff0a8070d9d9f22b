#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stickmesh {

/// Text of a remote, fit for an error's detail: in UTF-8 without control characters, and cut to |limit|
/// bytes.
std::string readable(std::string_view text, std::size_t limit = 64);
/// The same in quotes.
std::string printable(std::string_view text, std::size_t limit = 64);

/// Whether |text| has a byte below space, or DEL: neither names of peers nor of tables may.
bool has_control_character(std::string_view text);

}  // namespace stickmesh
