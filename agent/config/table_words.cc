#include "agent/config/table_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/quote.h"

namespace stickmesh::config {
namespace {

constexpr std::array<std::string_view, 5> kWords = {"type", "len", "size", "expire", "store"};
/// A key must fit one message of HAProxy's (tune.bufsize, 16384) with room for its values.
constexpr std::uint64_t kLongestKey = 8192;
constexpr std::uint32_t kDefaultKeySize = 32;

using Refusal = tl::unexpected<std::string>;
using Done = Parsed<void>;

template <typename... Args>
Refusal refusal(fmt::format_string<Args...> format, Args&&... args) {
  return Refusal(fmt::format(format, std::forward<Args>(args)...));
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find_first_of(separators, start);
    parts.push_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::optional<KeyType> find_key_type(std::string_view name) {
  if (name == "ipv4") return KeyType::kIpv4;
  for (const KeyType type :
       {KeyType::kInteger, KeyType::kIpv4, KeyType::kIpv6, KeyType::kString, KeyType::kBinary}) {
    if (key_type_name(type) == name) return type;
  }
  return std::nullopt;
}

std::uint32_t default_key_size(KeyType type) {
  switch (type) {
    case KeyType::kInteger:
    case KeyType::kIpv4:
      return 4;
    case KeyType::kIpv6:
      return 16;
    case KeyType::kString:
    case KeyType::kBinary:
      break;
  }
  return kDefaultKeySize;
}

/// "gpc0", "gpc0_rate(1m)", "gpt(10)" or "gpc_rate(10,1m)".
Parsed<StoredType> parse_stored(std::string_view text) {
  const std::size_t open = text.find('(');
  const std::string_view name = text.substr(0, open);
  if (name.empty()) return refusal("store: a data type's name is missing; the list has commas, no spaces");
  const std::optional<DataType> type = find_data_type(name);
  if (!type) {
    std::vector<std::string_view> known;
    for (const DataTypeTraits& row : kDataTypes) known.push_back(row.name);
    return refusal("store: {} is no data type of HAProxy's{}", quote(name), did_you_mean(name, known));
  }
  const bool array = traits(*type).array;
  const bool rate = traits(*type).kind == ValueKind::kRate;
  const std::string form = fmt::format("{}{}", name,
                                       array && rate ? "(10,1m)"
                                       : array       ? "(10)"
                                       : rate        ? "(1m)"
                                                     : "");

  std::vector<std::string_view> arguments;
  if (open != std::string_view::npos) {
    if (text.back() != ')') return refusal("store: {}: the closing parenthesis is missing", quote(text));
    arguments = split(text.substr(open + 1, text.size() - open - 2), ",");
  }
  const std::size_t wanted = (array ? 1U : 0U) + (rate ? 1U : 0U);
  if (arguments.size() != wanted) {
    return refusal("store: {} has {} argument{}, not {}; write {}", quote(text), wanted,
                   wanted == 1 ? "" : "s", arguments.size(), form);
  }
  StoredType stored{*type};
  if (array) {
    const Parsed<std::uint64_t> elements = parse_number(arguments.front(), kMaxArrayElements);
    if (!elements || *elements == 0) {
      return refusal("store: {}: the number of elements must be 1 to {}", quote(text), kMaxArrayElements);
    }
    stored.elements = static_cast<std::uint32_t>(*elements);
  }
  if (rate) {
    const Parsed<Duration> period = parse_haproxy_time(arguments.back());
    if (!period) return refusal("store: {}: {}", name, period.error());
    if (*period == Duration(0)) return refusal("store: {}: a rate needs a period above 0", quote(text));
    stored.period = *period;
  }
  return stored;
}

/// Splits at commas outside parentheses.
std::vector<std::string_view> split_store(std::string_view list) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  bool inside = false;
  for (std::size_t at = 0; at < list.size(); ++at) {
    if (list[at] == '(' || list[at] == ')') inside = list[at] == '(';
    if (list[at] != ',' || inside) continue;
    parts.push_back(list.substr(start, at - start));
    start = at + 1;
  }
  parts.push_back(list.substr(start));
  return parts;
}

Done add_stored(TableDefinition& definition, std::string_view list) {
  struct Exclusion {
    DataType array, single;
  };
  constexpr std::array<Exclusion, 5> kExclusions = {{{DataType::kGpt, DataType::kGpt0},
                                                     {DataType::kGpc, DataType::kGpc0},
                                                     {DataType::kGpc, DataType::kGpc1},
                                                     {DataType::kGpcRate, DataType::kGpc0Rate},
                                                     {DataType::kGpcRate, DataType::kGpc1Rate}}};
  for (const std::string_view item : split_store(list)) {
    const Parsed<StoredType> stored = parse_stored(item);
    if (!stored) return Refusal(stored.error());
    if (definition.find(stored->type)) return refusal("store: {} is given twice", traits(stored->type).name);
    definition.types.push_back(*stored);
  }
  for (const Exclusion& exclusion : kExclusions) {
    if (definition.find(exclusion.array) && definition.find(exclusion.single)) {
      return refusal("store: {} takes the place of {}; a table has one or the other",
                     traits(exclusion.array).name, traits(exclusion.single).name);
    }
  }
  std::sort(definition.types.begin(), definition.types.end(),
            [](const StoredType& a, const StoredType& b) { return a.type < b.type; });
  return {};
}

Done set_key(TableDefinition& definition, std::string_view type_name) {
  const std::optional<KeyType> type = find_key_type(type_name);
  if (!type) return refusal("type: {} must be ip, ipv6, integer, string or binary", quote(type_name));
  definition.key_type = *type;
  definition.key_size = default_key_size(*type);
  return {};
}

Done set_length(TableDefinition& definition, std::string_view text) {
  const bool sized = definition.key_type == KeyType::kString || definition.key_type == KeyType::kBinary;
  if (!sized)
    return refusal("len: only a string or binary key has one, not {}", key_type_name(definition.key_type));
  const Parsed<std::uint64_t> length = parse_number(text, kLongestKey);
  if (!length || *length == 0) return refusal("len: {} must be 1 to {} bytes", quote(text), kLongestKey);
  // HAProxy counts the final NUL of a string into the size that it announces, but only when `len` is given.
  definition.key_size =
      static_cast<std::uint32_t>(*length) + (definition.key_type == KeyType::kString ? 1 : 0);
  return {};
}

Refusal unknown_word(std::string_view word) {
  if (word == "nopurge") return refusal("nopurge: agents bound memory by purging the oldest entries");
  for (const std::string_view local : {"peers", "srvkey", "write-to", "brates-factor", "recv-only"}) {
    if (word == local) return refusal("{}: means something inside HAProxy only; leave it out", word);
  }
  return refusal("{} is none of type, len, size, expire and store{}", quote(word),
                 did_you_mean(word, kWords));
}

}  // namespace

Parsed<TableWords> parse_table_words(std::string_view words) {
  std::vector<std::string_view> parts = split(words, " \t\r\n");
  parts.erase(std::remove(parts.begin(), parts.end(), std::string_view()), parts.end());

  TableWords table;
  std::vector<std::string_view> seen;
  for (std::size_t at = 0; at < parts.size(); at += 2) {
    const std::string_view word = parts[at];
    if (std::find(kWords.begin(), kWords.end(), word) == kWords.end()) return unknown_word(word);
    if (std::find(seen.begin(), seen.end(), word) != seen.end()) return refusal("{} is given twice", word);
    if (word == "len" && (seen.empty() || seen.back() != "type")) {
      return refusal("len: follows the type at once: \"type string len 64\"");
    }
    if (at + 1 == parts.size()) return refusal("{}: its value is missing", word);
    seen.push_back(word);

    const std::string_view value = parts[at + 1];
    Done done;
    if (word == "type") done = set_key(table.definition, value);
    if (word == "len") done = set_length(table.definition, value);
    if (word == "store") done = add_stored(table.definition, value);
    if (word == "size") {
      const Parsed<std::uint64_t> size = parse_haproxy_size(value);
      if (!size) return refusal("size: {}", size.error());
      table.size = *size;
    }
    if (word == "expire") {
      const Parsed<Duration> expire = parse_haproxy_time(value);
      if (!expire) return refusal("expire: {}", expire.error());
      table.definition.expire = *expire;
    }
    if (!done) return Refusal(done.error());
  }
  for (const std::string_view needed : {"type", "size"}) {
    if (std::find(seen.begin(), seen.end(), needed) == seen.end()) {
      return refusal("{} is missing; write such as \"type string len 64 size 100k expire 10m store gpc0\"",
                     needed);
    }
  }
  return table;
}

}  // namespace stickmesh::config
