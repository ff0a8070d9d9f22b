#pragma once

#include <string>
#include <string_view>

namespace stickmesh::config {

/// |text| in double quotes for a message: control bytes escaped, cut after 60 bytes, so that a strange file
/// can neither break a line of the log nor flood it.
std::string quote(std::string_view text);

/// How many single-byte edits (insert, drop, replace, swap neighbours) lead from |a| to |b|.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The entry of |known| that |given| is most likely a slip of: "; did you mean x?", or nothing when none is
/// near.
template <typename Names>
std::string did_you_mean(std::string_view given, const Names& known) {
  std::string_view best;
  std::size_t distance = given.size() < 4 ? 2 : 1 + given.size() / 3;
  for (const std::string_view name : known) {
    const bool shortened = given.size() >= 3 && name.substr(0, given.size()) == given;
    const std::size_t candidate = shortened ? 1 : edit_distance(given, name);
    if (candidate >= distance) continue;
    distance = candidate;
    best = name;
  }
  return best.empty() ? std::string() : "; did you mean " + std::string(best) + "?";
}

}  // namespace stickmesh::config
