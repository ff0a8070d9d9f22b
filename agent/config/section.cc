#include "agent/config/section.h"

#include <algorithm>

namespace stickmesh::config {
namespace {

/// "the integer 10", "the string "x"", "a list".
std::string describe_node(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return fmt::format("the string {}", quote(*node.value<std::string_view>()));
    case toml::node_type::integer:
      return fmt::format("the integer {}", *node.value<std::int64_t>());
    case toml::node_type::floating_point:
      return fmt::format("the float {}", *node.value<double>());
    case toml::node_type::boolean:
      return fmt::format("the boolean {}", *node.value<bool>());
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time of day";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

/// A key as TOML writes it: bare, or else in quotes.
std::string describe_key(std::string_view key) {
  const bool bare = !key.empty() && key.size() <= 60 && std::all_of(key.begin(), key.end(), [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  return bare ? std::string(key) : quote(key);
}

}  // namespace

std::nullopt_t Spot::fail(std::string_view what) const {
  report.fail(line(), fmt::format("{}: {}", path, what));
  return std::nullopt;
}

std::nullopt_t Spot::wrong_type(std::string_view wanted) const {
  return fail(fmt::format("must be {}, not {}", wanted, describe_node(node)));
}

unsigned Section::line_of(std::string_view key) const {
  const toml::node* node = table_.get(key);
  return node == nullptr ? line() : node->source().begin.line;
}

void Section::fail(std::string_view key, std::string_view what) {
  report_.fail(line_of(key), fmt::format("{}: {}", full(key), what));
}

const toml::node* Section::find(std::string_view key) {
  known_.emplace_back(key);
  return table_.get(key);
}

std::string Section::full(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void Section::table(std::string_view key, const Body& body) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const Spot spot{report_, full(key), *node};
  if (node->is_array_of_tables()) {
    spot.fail(fmt::format("stands once; write [{0}], not [[{0}]]", spot.path));
  } else if (const toml::table* inner = node->as_table()) {
    Section section(report_, *inner, spot.path);
    body(section);
    section.finish();
  } else {
    spot.wrong_type(fmt::format("a table, [{}]", spot.path));
  }
}

void Section::tables(std::string_view key, const Body& body) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const Spot spot{report_, full(key), *node};
  const std::string wanted = fmt::format("a list of tables; write [[{}]]", spot.path);
  const toml::array* entries = node->as_array();
  if (entries == nullptr) {
    spot.wrong_type(wanted);
    return;
  }
  for (const toml::node& entry : *entries) {
    const Spot one{report_, spot.path, entry};
    const toml::table* inner = entry.as_table();
    if (inner == nullptr) {
      one.wrong_type(wanted);
      continue;
    }
    report_.differs(one.path, one.line());
    Section section(report_, *inner, one.path);
    body(section);
    section.finish();
  }
}

void Section::each(std::string_view key, const std::function<void(std::string_view, const Spot&)>& body) {
  table(key, [&](Section& section) {
    for (const auto& [name, node] : section.table_) {
      section.known_.emplace_back(name.str());
      body(name.str(), Spot{report_, section.full(describe_key(name.str())), node});
    }
  });
}

void Section::finish() {
  for (const auto& [name, node] : table_) {
    if (std::find(known_.begin(), known_.end(), name.str()) != known_.end()) continue;
    const std::string hint = did_you_mean(name.str(), known_);
    report_.fail(name.source().begin.line,
                 fmt::format("{}: unknown key{}", full(describe_key(name.str())),
                             hint.empty() ? fmt::format("; known are {}", fmt::join(known_, ", ")) : hint));
  }
}

std::optional<bool> read_boolean(const Spot& spot) {
  const std::optional<bool> value = spot.node.value_exact<bool>();
  if (!value) return spot.wrong_type("true or false");
  return value;
}

std::optional<std::string> read_text(const Spot& spot, Problem problem) {
  std::optional<std::string> value = spot.node.value_exact<std::string>();
  if (!value) return spot.wrong_type("a string in quotes");
  if (const std::string found = problem(*value); !found.empty()) return spot.fail(found);
  return value;
}

std::optional<Duration> read_time(const Spot& spot, Duration least, Duration most) {
  const std::optional<std::int64_t> bare = spot.node.value_exact<std::int64_t>();
  if (bare && *bare > 0) return spot.fail(fmt::format(R"({0} has no unit; write "{0}s" or "{0}ms")", *bare));
  const std::optional<std::string> text = bare == 0 ? "0" : spot.node.value_exact<std::string>();
  if (!text) return spot.wrong_type(R"(a time such as "10s" or "20ms")");
  const Parsed<Duration> value = parse_duration(*text);
  if (!value) return spot.fail(value.error());
  if (*value >= least && *value <= most) return *value;
  return spot.fail(fmt::format("{} must be {} to {}", quote(*text), describe(least), describe(most)));
}

std::optional<std::uint64_t> read_size(const Spot& spot, std::uint64_t least, std::uint64_t most) {
  Parsed<std::uint64_t> value = 0;
  const std::optional<std::string> text = spot.node.value_exact<std::string>();
  const std::optional<std::int64_t> bytes = spot.node.value_exact<std::int64_t>();
  if (text) {
    value = parse_size(*text);
  } else if (bytes && *bytes >= 0) {
    value = static_cast<std::uint64_t>(*bytes);
  } else {
    return spot.wrong_type(R"(a size such as "16MiB", or a number of bytes)");
  }
  if (!value) return spot.fail(value.error());
  if (*value >= least && *value <= most) return *value;
  return spot.fail(fmt::format("{} must be {} to {}", text ? quote(*text) : fmt::to_string(*bytes),
                               describe_size(least), describe_size(most)));
}

std::optional<std::uint64_t> read_number(const Spot& spot, std::uint64_t least, std::uint64_t most) {
  const std::optional<std::int64_t> value = spot.node.value_exact<std::int64_t>();
  if (!value) return spot.wrong_type(fmt::format("a whole number, {} to {}", least, most));
  if (*value >= 0 && static_cast<std::uint64_t>(*value) >= least &&
      static_cast<std::uint64_t>(*value) <= most) {
    return static_cast<std::uint64_t>(*value);
  }
  return spot.fail(fmt::format("{} must be {} to {}", *value, least, most));
}

std::optional<std::size_t> read_choice(const Spot& spot, const std::vector<std::string_view>& names) {
  const std::string allowed = fmt::format("\"{}\"", fmt::join(names, "\", \""));
  const std::optional<std::string> value = spot.node.value_exact<std::string>();
  if (!value) return spot.wrong_type(fmt::format("one of {}", allowed));
  const auto found = std::find(names.begin(), names.end(), *value);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  return spot.fail(fmt::format("{} is none of {}{}", quote(*value), allowed, did_you_mean(*value, names)));
}

}  // namespace stickmesh::config
