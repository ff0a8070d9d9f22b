#include <set>

#include "agent/config/names.h"
#include "agent/config/sections.h"
#include "agent/config/table_words.h"

namespace stickmesh::config {
namespace {

std::optional<DataType> read_data_type(const Spot& spot) {
  return parsed("a data type such as \"http_req_rate\"", [](std::string_view name) -> Parsed<DataType> {
    if (const std::optional<DataType> type = find_data_type(name)) return *type;
    std::vector<std::string_view> known;
    for (const DataTypeTraits& row : kDataTypes) known.push_back(row.name);
    return tl::unexpected<std::string>(
        fmt::format("{} is no data type of HAProxy's{}", quote(name), did_you_mean(name, known)));
  })(spot);
}

/// A data type that stands as a key.
std::optional<DataType> data_type_key(std::string_view name, const Spot& spot) {
  const std::optional<DataType> type = find_data_type(name);
  if (type) return type;
  std::vector<std::string_view> known;
  for (const DataTypeTraits& row : kDataTypes) known.push_back(row.name);
  return spot.fail(fmt::format("is no data type of HAProxy's{}", did_you_mean(name, known)));
}

/// Why |function| makes no sense for |type|; empty when it does.
std::string function_problem(DataType type, Function function) {
  if (traits(type).kind == ValueKind::kRate && function != Function::kSum) return "a rate's total is a sum";
  const bool identifier =
      traits(type).kind == ValueKind::kDictionary || traits(type).kind == ValueKind::kSigned32;
  if (identifier && function != Function::kLast) return "it names a server: only \"last\" makes sense";
  return {};
}

std::string copy_problem(DataType from, DataType to) {
  const auto counter = [](DataType type) {
    return traits(type).kind == ValueKind::kUnsigned32 && traits(type).merge == Merge::kSum &&
           !traits(type).array;
  };
  const ValueKind source = traits(from).kind;
  if (source == ValueKind::kRate) return "a rate cannot be copied: its copy would not fall by itself";
  if (source == ValueKind::kDictionary || source == ValueKind::kSigned32)
    return "it names a server and is no number";
  if (traits(from).array) return "an array cannot be copied";
  if (from == to) return "it would be copied to itself";
  if (!counter(to)) {
    return fmt::format("{} is no counter of 32 bits; copy to one such as gpc0, gpc1 or sess_cnt",
                       traits(to).name);
  }
  return {};
}

void read_function(std::string_view name, const Spot& spot, Aggregate& aggregate) {
  const std::optional<DataType> type = data_type_key(name, spot);
  const std::optional<Function> function = choice<Function>(
      {{"sum", Function::kSum}, {"max", Function::kMax}, {"min", Function::kMin}, {"last", Function::kLast}})(
      spot);
  if (!type || !function) return;
  if (const std::string problem = function_problem(*type, *function); !problem.empty()) {
    spot.fail(fmt::format("{} is not possible: {}", quote(*spot.node.value<std::string_view>()), problem));
    return;
  }
  aggregate.function[*type] = *function;
}

void read_copy(std::string_view name, const Spot& spot, Aggregate& aggregate) {
  const std::optional<DataType> from = data_type_key(name, spot);
  const std::optional<DataType> to = read_data_type(spot);
  if (!from || !to) return;
  if (const std::string problem = copy_problem(*from, *to); !problem.empty()) {
    spot.fail(fmt::format("{} is not possible: {}", quote(traits(*to).name), problem));
    return;
  }
  aggregate.copy[*from] = *to;
}

/// With one copy per target and no target that is copied on, there is no cycle and no order to think about.
void check_copies(Section& section, const Aggregate& aggregate) {
  std::set<DataType> targets;
  for (const auto& [from, to] : aggregate.copy) {
    if (!targets.insert(to).second)
      section.fail("copy", fmt::format("two types are copied to {}", traits(to).name));
    if (aggregate.copy.count(to) == 0) continue;
    section.fail("copy", fmt::format("{} is copied to {}, which is itself copied to {}", traits(from).name,
                                     traits(to).name, traits(aggregate.copy.at(to)).name));
  }
}

void check_patterns(Section& section, const Aggregate& aggregate) {
  if (aggregate.from.empty() || aggregate.to.empty()) return;
  const bool from_star = aggregate.from.find('*') != std::string::npos;
  const bool to_star = aggregate.to.find('*') != std::string::npos;
  if (aggregate.to == "*") {
    section.fail("to", "\"*\" would make every table an output; write such as \"*.total\"");
  } else if (aggregate.to == aggregate.from) {
    section.fail(
        "to", fmt::format("{} is the same as from; totals need a table of their own", quote(aggregate.to)));
  } else if (to_star && !from_star) {
    section.fail("to", fmt::format("{} has a *, but from = {} has none to carry over", quote(aggregate.to),
                                   quote(aggregate.from)));
  } else if (from_star && !to_star) {
    section.fail("to",
                 fmt::format("{} has no *: every table that fits from = {} would be written to this one",
                             quote(aggregate.to), quote(aggregate.from)));
  }
}

}  // namespace

Merges merges_of(const Aggregate& aggregate) {
  Merges merges = default_merges();
  for (const auto& [type, function] : aggregate.function) {
    Merge& merge = merges[static_cast<std::size_t>(type)];
    switch (function) {
      case Function::kMax:
        merge = Merge::kMax;
        break;
      case Function::kMin:
        merge = Merge::kMin;
        break;
      case Function::kLast:
        merge = Merge::kLastChange;
        break;
      case Function::kSum:
        // The default of rates and of conn_cur is a sum already, with rules of its own.
        if (merge == Merge::kLastChange) merge = Merge::kSum;
        break;
    }
  }
  return merges;
}

void read_table(Section& section, Table& table) {
  table.line.number = section.line_of("name");
  section.require("name", table.definition.name, text(table_name_problem), R"("login")");
  TableWords words;
  section.require("define", words, parsed("stick-table words", parse_table_words),
                  R"("type string len 64 size 100k expire 10m store gpc0")");
  words.definition.name = std::move(table.definition.name);
  table.definition = std::move(words.definition);
  table.size = words.size;
  section.read("private", table.is_private, read_boolean);
}

void read_aggregate(Section& section, Aggregate& aggregate) {
  aggregate.line.number = section.line_of("from");
  aggregate.to_line.number = section.line_of("to");
  section.require("from", aggregate.from, text(table_pattern_problem), R"("*")");
  section.require("to", aggregate.to, text(table_pattern_problem), R"("*.total")");
  section.each("function",
               [&](std::string_view name, const Spot& spot) { read_function(name, spot, aggregate); });
  section.each("copy", [&](std::string_view name, const Spot& spot) { read_copy(name, spot, aggregate); });
  check_patterns(section, aggregate);
  check_copies(section, aggregate);
}

void read_replicate(Section& section, Replicate& replicate) {
  replicate.line.number = section.line_of("tables");
  section.require("tables", replicate.tables, text(table_pattern_problem), R"("sessions*")");
}

void read_limit(Section& section, Limit& limit) {
  limit.line.number = section.line_of("name");
  const auto numeric_type = [](const Spot& spot) -> std::optional<DataType> {
    const std::optional<DataType> type = read_data_type(spot);
    if (!type) return std::nullopt;
    if (traits(*type).array)
      return spot.fail(fmt::format("{}: an array has no single value", traits(*type).name));
    if (traits(*type).kind == ValueKind::kDictionary || traits(*type).kind == ValueKind::kSigned32) {
      return spot.fail(fmt::format("{} names a server and cannot be compared", traits(*type).name));
    }
    return type;
  };
  section.require("name", limit.name, text(peer_name_problem), R"("api")");
  section.require("table", limit.table, text(table_name_problem), R"("http")");
  section.require("type", limit.type, numeric_type, R"("http_req_rate")");
  // The number is published as gpt0, which has 32 bits.
  section.require("above", limit.above, number(0, 0xffffffff), "100");
  section.read("mode", limit.mode,
               choice<LimitMode>({{"enforce", LimitMode::kEnforce}, {"shadow", LimitMode::kShadow}}));
}

}  // namespace stickmesh::config
