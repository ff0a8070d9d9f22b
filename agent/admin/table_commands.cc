#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "agent/admin/answers.h"
#include "agent/admin/commands.h"
#include "agent/admin/entry_text.h"
#include "agent/admin/key_text.h"
#include "agent/config/units.h"
#include "agent/pipeline/own_writer.h"

namespace stickmesh::admin {

using store::EntryId;
using store::kNone;

namespace {

constexpr std::size_t kSlice = 16 * 1024;

Result<std::uint64_t> parse_number(std::string_view word, std::uint64_t maximum) {
  auto value = config::parse_number(word, maximum);
  if (!value) return refuse(Reason::kBadCommand, value.error());
  return *value;
}

struct Filter {
  ValueName value;
  std::string operation;
  std::uint64_t operand;

  bool holds(std::uint64_t number) const {
    if (operation == "eq") return number == operand;
    if (operation == "ne") return number != operand;
    if (operation == "lt") return number < operand;
    if (operation == "le") return number <= operand;
    if (operation == "gt") return number > operand;
    return number >= operand;
  }
};

struct Request {
  std::optional<std::vector<std::byte>> key;
  std::vector<Filter> filters;
  bool origins = false;
  bool json = false;
};

Result<Request> parse_request(const std::vector<std::string>& words, const store::Table& table) {
  Request request;
  for (std::size_t at = 3; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "origins") {
      request.origins = true;
    } else if (word == "json") {
      request.json = true;
    } else if (word == "key" && at + 1 < words.size()) {
      auto key = key_from_text(table.definition(), words[++at]);
      if (!key) return tl::unexpected(key.error());
      request.key = std::move(*key);
    } else if (word.starts_with("data.") && at + 2 < words.size()) {
      const auto value = find_value(table.layout(), std::string_view(word).substr(5));
      if (!value)
        return refuse(Reason::kBadCommand,
                      fmt::format("table {} stores no {}", table.name(), word.substr(5)));
      const std::string& operation = words[at + 1];
      constexpr std::string_view kOperations[] = {"eq", "ne", "lt", "le", "gt", "ge"};
      if (std::find(std::begin(kOperations), std::end(kOperations), operation) == std::end(kOperations)) {
        return refuse(Reason::kBadCommand, fmt::format("'{}' is none of eq, ne, lt, le, gt, ge", operation));
      }
      auto operand = parse_number(words[at + 2], std::numeric_limits<std::uint64_t>::max());
      if (!operand) return tl::unexpected(operand.error());
      request.filters.push_back({*value, operation, *operand});
      at += 2;
    } else {
      return refuse(
          Reason::kBadCommand,
          fmt::format("'{}' is not understood: show table NAME [key K] [data.TYPE OP VALUE] [origins] [json]",
                      word));
    }
  }
  return request;
}

/// A table's rows, a slice at a time: the table may change in between, and may be as large as memory.
class Rows final : public Answer {
 public:
  Rows(std::string name, const store::Table& table, Request request)
      : name_(std::move(name)),
        table_(table),
        request_(std::move(request)),
        text_(table, request_.origins, request_.json),
        layout_number_(table.layout_number()) {}

  bool more(std::string& out, TimePoint now) override {
    const std::size_t begin = out.size();
    if (!started_) head(out);
    started_ = true;
    if (layout_number_ != table_.layout_number()) {
      out += "error: the table was defined anew meanwhile; ask again\n";
      return false;
    }
    // Rows that a filter leaves out cost time too: a slice ends after so many rows, written or not.
    for (std::size_t rows = 0; rows < 1000 && out.size() - begin < kSlice; ++rows) {
      const EntryId entry = following();
      if (entry == kNone) {
        if (request_.json) out += "]}\n";
        return false;
      }
      if (!wanted(entry, now)) continue;
      if (request_.json && std::exchange(separate_, true)) out += ",\n";
      text_.append(out, entry, now);
    }
    return true;
  }

 private:
  void head(std::string& out) {
    const TableDefinition& definition = table_.definition();
    if (request_.json) {
      fmt::format_to(std::back_inserter(out), "{{\"table\":{},\"definition\":{},\"entries\":[",
                     json_string(name_), json_string(describe(definition)));
    } else {
      fmt::format_to(std::back_inserter(out), "# table: {}, type: {}, size:{}, used:{}\n", name_,
                     key_type_name(definition.key_type), table_.max_entries(), table_.entries());
    }
  }
  EntryId following() {
    if (request_.key) return std::exchange(done_, true) ? kNone : table_.find(*request_.key);
    const EntryId entry = table_.next(next_);
    next_ = entry == kNone ? kNone : entry + 1;
    return entry;
  }
  bool wanted(EntryId entry, TimePoint now) {
    if (!table_.shown(entry, now)) return false;
    return std::all_of(request_.filters.begin(), request_.filters.end(), [&](const Filter& filter) {
      const auto number = text_.number(entry, filter.value, now);
      return number && filter.holds(*number);
    });
  }

  std::string name_;
  const store::Table& table_;
  Request request_;
  EntryText text_;
  std::uint32_t layout_number_;
  bool started_ = false;
  bool separate_ = false;
  bool done_ = false;
  EntryId next_ = 0;
};

/// |word| must outlive what is returned.
Result<pipeline::OwnValue> parse_assignment(const store::Table& table, std::string_view name,
                                            const std::string& word) {
  const auto value = find_value(table.layout(), name);
  if (!value) return refuse(Reason::kBadCommand, fmt::format("table {} stores no {}", table.name(), name));
  pipeline::OwnValue assignment;
  assignment.column = static_cast<std::uint32_t>(value->column - table.layout().columns().data());
  assignment.element = value->element;
  if (value->column->kind == ValueKind::kDictionary) {
    if (word.size() > 255)
      return refuse(Reason::kBadCommand, fmt::format("{} is longer than 255 bytes", name));
    assignment.text = word;
    return assignment;
  }
  const std::uint64_t maximum = value->column->kind == ValueKind::kUnsigned64
                                    ? std::numeric_limits<std::uint64_t>::max()
                                    : std::numeric_limits<std::uint32_t>::max();
  auto number = parse_number(word, maximum);
  if (!number)
    return tl::unexpected(Error{number.error().reason, fmt::format("{}: {}", name, number.error().detail)});
  assignment.number = *number;
  return assignment;
}

}  // namespace

std::unique_ptr<Answer> Commands::show_table(const Words& words, TimePoint now) {
  const auto refused = [&](const Error& error) { return this->refused("show table", error, now); };
  if (words.size() < 3) {
    return refused({Reason::kBadCommand, "which table? 'show tables' lists them"});
  }
  const pipeline::TableRecord* record = find_table(words[2]);
  if (record == nullptr) {
    return refused(
        {Reason::kNotFound, fmt::format("there is no table '{}'; 'show tables' lists them", words[2])});
  }
  Result<Request> request = parse_request(words, *record->table);
  if (!request)
    return refused_quietly("show table", request.error(), "a request that is not understood", now);
  return std::make_unique<Rows>(words[2], *record->table, std::move(*request));
}

std::unique_ptr<Answer> Commands::set_table(const Words& words, TimePoint now) {
  const auto refused = [&](const Error& error) { return this->refused("set table", error, now); };
  const auto quietly = [&](const Error& error, std::string_view recorded) {
    return refused_quietly("set table", error, recorded, now);
  };
  if (words.size() < 7 || words[3] != "key") {
    return refused({Reason::kBadCommand, "set table NAME key K [expire TIME] data.TYPE V ..."});
  }
  pipeline::TableRecord* record = find_table(words[2]);
  if (record == nullptr) {
    return refused(
        {Reason::kNotFound,
         fmt::format("there is no table '{}': no instance has announced it, and no [[table]] declares it",
                     words[2])});
  }
  store::Table& table = *record->table;
  if (words[2] != table.name() && words[2] != '/' + table.name()) {
    return refused({Reason::kBadCommand, fmt::format("'{}' is a total, which is only shown: set table {}",
                                                     words[2], table.name())});
  }
  const auto key = key_from_text(table.definition(), words[4]);
  if (!key) return quietly(key.error(), "a key that the table cannot have");
  std::size_t at = 5;
  std::optional<Duration> life;
  if (words[at] == "expire") {
    const auto parsed = config::parse_haproxy_time(words[at + 1]);
    if (!parsed || parsed->count() <= 0) {
      return refused(
          {Reason::kBadCommand, fmt::format("expire: '{}' is no time such as 30s or 10m", words[at + 1])});
    }
    if (table.definition().expire.count() == 0) {
      return refused(
          {Reason::kBadCommand, fmt::format("expire: the entries of table {} do not expire", table.name())});
    }
    life = *parsed;
    at += 2;
  }
  std::vector<pipeline::OwnValue> assignments;
  for (; at < words.size(); at += 2) {
    if (!words[at].starts_with("data.") || at + 1 == words.size()) {
      return quietly({Reason::kBadCommand, fmt::format("'{}' is not followed as in: data.TYPE V", words[at])},
                     "words that are not understood");
    }
    auto assignment = parse_assignment(table, std::string_view(words[at]).substr(5), words[at + 1]);
    if (!assignment) return refused(assignment.error());
    assignments.push_back(*assignment);
  }
  if (assignments.empty()) return refused({Reason::kBadCommand, "nothing to set: data.TYPE V is missing"});
  if (!pipeline::OwnWriter(hub_).write(*record, *key, assignments, life, now)) {
    return refused({Reason::kNoMemory, "no room for a new key: raise [agent] max-memory"});
  }
  // Nor would an instance keep it for longer.
  if (life && *life > table.definition().expire)
    return text_answer(fmt::format("done, for {}: no entry lives longer than its table's expire\n",
                                   describe(table.definition().expire)));
  return text_answer("done\n");
}

}  // namespace stickmesh::admin
