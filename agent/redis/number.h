#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace stickmesh::redis {

/// The number that |text| is in decimal digits as a whole, if |Number| can hold it.
template <typename Number>
std::optional<Number> read_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace stickmesh::redis
