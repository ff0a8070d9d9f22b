#pragma once

#include <fmt/format.h>

#include <toml++/toml.h>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "agent/config/quote.h"
#include "agent/config/report.h"
#include "agent/config/units.h"

/// Reading TOML values into the structs of config.h. Included by the .cc files of this folder only.
namespace stickmesh::config {

/// One value being read: where it stands and what to call it.
struct Spot {
  Report& report;
  std::string path;
  const toml::node& node;

  unsigned line() const { return node.source().begin.line; }
  /// Reports |what| about this value; returns nothing, for a reader to return in turn.
  std::nullopt_t fail(std::string_view what) const;
  /// |wanted|: "a list of addresses", with its example.
  std::nullopt_t wrong_type(std::string_view wanted) const;
};

/// A table being read. It remembers the keys that were asked for, so that `finish` can name the others.
class Section {
 public:
  Section(Report& report, const toml::table& table, std::string path)
      : report_(report), table_(table), path_(std::move(path)) {}
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  unsigned line() const { return table_.source().begin.line; }
  /// Of the key's value, or of the table without it.
  unsigned line_of(std::string_view key) const;
  void fail(std::string_view key, std::string_view what);

  /// Reads |key| into |out|. |reader| takes a Spot and returns an optional, having reported what is wrong;
  /// then, and when the key is absent, |out| keeps its value. Returns whether the key is present.
  template <typename T, typename Reader>
  bool read(std::string_view key, T& out, const Reader& reader) {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    const Spot spot{report_, full(key), *node};
    std::optional<T> value = reader(spot);
    if (!value) return true;
    if (!(*value == out)) report_.differs(spot.path, spot.line());
    out = std::move(*value);
    return true;
  }

  /// The same for a key without a default; |example| shows how it is written.
  template <typename T, typename Reader>
  void require(std::string_view key, T& out, const Reader& reader, std::string_view example) {
    if (!read(key, out, reader)) fail(key, fmt::format("is missing; write {} = {}", key, example));
  }

  using Body = std::function<void(Section&)>;
  /// Reads the table |key|, if there is one.
  void table(std::string_view key, const Body& body);
  /// Reads each entry of the list of tables |key|.
  void tables(std::string_view key, const Body& body);
  /// Reads a table whose keys are names of the operator's choice: |body| gets each of them.
  void each(std::string_view key, const std::function<void(std::string_view name, const Spot&)>& body);

  /// Reports every key that nobody asked for.
  void finish();

 private:
  const toml::node* find(std::string_view key);
  std::string full(std::string_view key) const;

  Report& report_;
  const toml::table& table_;
  std::string path_;
  std::vector<std::string> known_;
};

using Problem = std::string (*)(std::string_view);

std::optional<bool> read_boolean(const Spot& spot);
std::optional<std::string> read_text(const Spot& spot, Problem problem);
std::optional<Duration> read_time(const Spot& spot, Duration least, Duration most);
std::optional<std::uint64_t> read_size(const Spot& spot, std::uint64_t least, std::uint64_t most);
std::optional<std::uint64_t> read_number(const Spot& spot, std::uint64_t least, std::uint64_t most);
/// The index of the text in |names|.
std::optional<std::size_t> read_choice(const Spot& spot, const std::vector<std::string_view>& names);

/// A text that |problem| finds nothing wrong with.
inline auto text(Problem problem) {
  return [problem](const Spot& spot) { return read_text(spot, problem); };
}

inline auto time(Duration least, Duration most) {
  return [least, most](const Spot& spot) { return read_time(spot, least, most); };
}

inline auto size(std::uint64_t least, std::uint64_t most) {
  return [least, most](const Spot& spot) { return read_size(spot, least, most); };
}

inline auto number(std::uint32_t least, std::uint32_t most) {
  return [least, most](const Spot& spot) -> std::optional<std::uint32_t> {
    const std::optional<std::uint64_t> value = read_number(spot, least, most);
    if (!value) return std::nullopt;
    return static_cast<std::uint32_t>(*value);
  };
}

template <typename Enum>
auto choice(std::initializer_list<std::pair<std::string_view, Enum>> values) {
  return [list = std::vector(values)](const Spot& spot) -> std::optional<Enum> {
    std::vector<std::string_view> names;
    for (const auto& value : list) names.push_back(value.first);
    const std::optional<std::size_t> index = read_choice(spot, names);
    if (!index) return std::nullopt;
    return list[*index].second;
  };
}

/// A text for |parse|, which returns Parsed<T>; |what| says what it holds.
template <typename Parse>
auto parsed(std::string_view what, Parse parse) {
  using Value = typename decltype(parse(std::string_view()))::value_type;
  return [what, parse](const Spot& spot) -> std::optional<Value> {
    const std::optional<std::string> given = spot.node.value_exact<std::string>();
    if (!given) return spot.wrong_type(what);
    auto value = parse(*given);
    if (!value) return spot.fail(value.error());
    return std::move(*value);
  };
}

/// The same, where an empty text means nothing.
template <typename Reader>
auto unless_empty(Reader reader) {
  using Value = typename decltype(reader(std::declval<const Spot&>()))::value_type;
  return [reader](const Spot& spot) -> std::optional<std::optional<Value>> {
    if (spot.node.value_exact<std::string>() == "") return std::optional<Value>();
    auto value = reader(spot);
    if (!value) return std::nullopt;
    return value;
  };
}

/// A list; each wrong element is reported at its own line.
template <typename Reader>
auto list(std::string_view what, Reader reader) {
  using Value = typename decltype(reader(std::declval<const Spot&>()))::value_type;
  return [what, reader](const Spot& spot) -> std::optional<std::vector<Value>> {
    const toml::array* array = spot.node.as_array();
    if (array == nullptr) return spot.wrong_type(what);
    std::vector<Value> values;
    for (const toml::node& element : *array) {
      auto value = reader(Spot{spot.report, spot.path, element});
      if (value) values.push_back(std::move(*value));
    }
    if (values.size() != array->size()) return std::nullopt;
    return values;
  };
}

}  // namespace stickmesh::config
