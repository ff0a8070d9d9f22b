#include "agent/config/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/peer_name.h"
#include "agent/config/quote.h"

namespace stickmesh::config {
namespace {

constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestPath = 4095;

bool is_space_or_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7f;
}

std::string length_problem(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() <= kLongestName) return {};
  return fmt::format("{} has {} bytes, at most {} are allowed", quote(name), name.size(), kLongestName);
}

std::string name_problem(std::string_view name, std::string_view forbidden) {
  if (std::string problem = length_problem(name); !problem.empty()) return problem;
  for (const char c : name) {
    if (is_space_or_control(c) || forbidden.find(c) != std::string_view::npos) {
      return fmt::format(
          "{}: a name has no {} in it", quote(name),
          is_space_or_control(c) ? "space or control character" : quote(std::string_view(&c, 1)));
    }
  }
  return {};
}

std::string slash_problem(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view bare = name.substr(slash + 1);
  if (bare.empty()) return fmt::format("{}: a table's name has no slash", quote(name));
  return fmt::format("{}: a table's name has no slash: write {}, not {}", quote(name), quote(bare),
                     quote(name));
}

std::string star_problem(std::string_view pattern) {
  if (std::count(pattern.begin(), pattern.end(), '*') <= 1) return {};
  return fmt::format("{} has more than one *", quote(pattern));
}

std::string unless_empty(std::string_view text, std::string (*problem)(std::string_view)) {
  return text.empty() ? std::string() : problem(text);
}

}  // namespace

std::string peer_name_problem(std::string_view name) {
  if (std::string problem = length_problem(name); !problem.empty()) return problem;
  if (is_peer_name(name)) return {};
  return fmt::format("{}: a name is made of letters, digits and _ : . -", quote(name));
}

std::string table_name_problem(std::string_view name) {
  if (std::string problem = slash_problem(name); !problem.empty()) return problem;
  return name_problem(name, "@*");
}

std::string table_pattern_problem(std::string_view pattern) {
  if (std::string problem = slash_problem(pattern); !problem.empty()) return problem;
  if (std::string problem = star_problem(pattern); !problem.empty()) return problem;
  return name_problem(pattern, "@");
}

std::string pattern_problem(std::string_view pattern) {
  if (std::string problem = star_problem(pattern); !problem.empty()) return problem;
  return name_problem(pattern, "");
}

std::string path_problem(std::string_view path) {
  if (path.empty() || path.front() != '/') return fmt::format("{} must be an absolute path", quote(path));
  if (path.size() > kLongestPath) return fmt::format("{} is longer than {} bytes", quote(path), kLongestPath);
  const bool control =
      std::any_of(path.begin(), path.end(), [](char c) { return c != ' ' && is_space_or_control(c); });
  return control ? fmt::format("{} has a control character", quote(path)) : std::string();
}

std::string word_problem(std::string_view text) {
  return name_problem(text, "");
}

std::string optional_path_problem(std::string_view path) {
  return unless_empty(path, path_problem);
}
std::string optional_word_problem(std::string_view text) {
  return unless_empty(text, word_problem);
}
std::string optional_table_name_problem(std::string_view name) {
  return unless_empty(name, table_name_problem);
}

bool matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  const std::string_view head = pattern.substr(0, star);
  const std::string_view tail = pattern.substr(star + 1);
  return name.size() >= head.size() + tail.size() && name.substr(0, head.size()) == head &&
         name.substr(name.size() - tail.size()) == tail;
}

bool covers(std::string_view wide, std::string_view narrow) {
  const std::size_t star = narrow.find('*');
  if (star == std::string_view::npos) return matches(wide, narrow);
  const std::size_t wide_star = wide.find('*');
  if (wide_star == std::string_view::npos) return false;
  const std::string_view head = wide.substr(0, wide_star);
  const std::string_view tail = wide.substr(wide_star + 1);
  const std::string_view narrow_tail = narrow.substr(star + 1);
  return star >= head.size() && narrow.substr(0, head.size()) == head && narrow_tail.size() >= tail.size() &&
         narrow_tail.substr(narrow_tail.size() - tail.size()) == tail;
}

std::string default_agent_name(std::string_view host_name) {
  std::string name = "agent-";
  for (const char c : host_name.substr(0, host_name.find('.'))) name += is_peer_name({&c, 1}) ? c : '-';
  return name;
}

}  // namespace stickmesh::config
