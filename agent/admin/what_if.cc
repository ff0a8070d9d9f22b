#include <fmt/format.h>

#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "agent/admin/answers.h"
#include "agent/admin/commands.h"
#include "agent/admin/entry_text.h"
#include "agent/admin/key_text.h"
#include "agent/admin/words.h"
#include "agent/config/units.h"

namespace stickmesh::admin {

namespace {

using store::ContributionId;
using store::EntryId;
using store::kNone;

struct Question {
  ValueName value;
  std::uint64_t limit = 0;
  std::optional<Duration> since;  ///< only keys that somebody counted within this time
};

/// The keys above a limit, a slice at a time, and how many they are at the end.
class Refused final : public Answer {
 public:
  Refused(const store::Table& table, Question question)
      : table_(table),
        question_(question),
        text_(table, /*origins=*/false, /*json=*/false),
        layout_number_(table.layout_number()) {}

  bool more(std::string& out, TimePoint now) override {
    constexpr int kSlice = 1000;
    if (!std::exchange(started_, true)) out += "# key\ttotal\tlargest\tof\tseen_by_one\n";
    if (layout_number_ != table_.layout_number()) {
      out += "error: the table was defined anew meanwhile; ask again\n";
      return false;
    }
    for (int rows = 0; rows < kSlice; ++rows) {
      const EntryId entry = table_.next(next_);
      if (entry == kNone) {
        summary(out);
        return false;
      }
      next_ = entry + 1;
      judge(out, entry, now);
    }
    return true;
  }

 private:
  void judge(std::string& out, EntryId entry, TimePoint now) {
    if (!table_.shown(entry, now)) return;
    if (question_.since && table_.end(entry) - table_.definition().expire < now - *question_.since) return;
    ++keys_;
    const std::uint64_t total = text_.number(entry, question_.value, now).value_or(0);
    if (total <= question_.limit) return;
    ++refused_;
    const auto [origin, largest] = largest_part(entry, now);
    const bool seen = largest > question_.limit;
    if (!seen) ++unseen_;
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\n",
                   cell(key_to_text(table_.definition().key_type, table_.key(entry))), total, largest,
                   or_dash(origin), seen ? "yes" : "no");
  }

  /// Which origin counts most of it, and how much.
  std::pair<std::string, std::uint64_t> largest_part(EntryId entry, TimePoint now) const {
    std::pair<std::string, std::uint64_t> largest;
    for (ContributionId id = table_.first(entry); id != kNone; id = table_.following(id)) {
      if (!table_.live(id, now) || !table_.stores(id, question_.value.column->type)) continue;
      const std::uint64_t number = text_.part(id, question_.value, now);
      if (number > largest.second) largest = {table_.shared().origins[table_.origin(id)].name, number};
    }
    return largest;
  }

  void summary(std::string& out) const {
    fmt::format_to(std::back_inserter(out), "# {} of {} keys are above {}; {} of them at no single origin\n",
                   refused_, keys_, question_.limit, unseen_);
  }

  const store::Table& table_;
  Question question_;
  EntryText text_;
  std::uint32_t layout_number_;
  bool started_ = false;
  EntryId next_ = 0;
  std::uint64_t keys_ = 0, refused_ = 0, unseen_ = 0;
};

Result<Question> parse_question(const std::vector<std::string>& words, const store::Table& table) {
  const auto value = find_value(table.layout(), words[2]);
  if (!value || value->column->kind == ValueKind::kDictionary ||
      value->column->kind == ValueKind::kSigned32) {
    return refuse(Reason::kBadCommand, fmt::format("table {} stores no number {}", table.name(), words[2]));
  }
  Question question{*value, 0, {}};
  const auto limit = config::parse_number(words[3], std::numeric_limits<std::uint64_t>::max());
  if (!limit) return refuse(Reason::kBadCommand, limit.error());
  question.limit = *limit;
  if (words.size() == 4) return question;
  const auto since = config::parse_haproxy_time(words[5]);
  if (!since) {
    return refuse(Reason::kBadCommand, fmt::format("since: '{}' is no time such as 30s or 10m", words[5]));
  }
  if (table.definition().expire.count() == 0) {
    return refuse(Reason::kBadCommand, fmt::format("since: the entries of table {} do not expire, so that it "
                                                   "is not known when they were counted",
                                                   table.name()));
  }
  question.since = *since;
  return question;
}

}  // namespace

std::unique_ptr<Answer> Commands::what_if(const Words& words, TimePoint now) {
  const auto refused = [&](const Error& error) { return this->refused("whatif", error, now); };
  if (words.size() != 4 && !(words.size() == 6 && words[4] == "since")) {
    return refused({Reason::kBadCommand, "whatif TABLE TYPE LIMIT [since TIME]"});
  }
  const pipeline::TableRecord* record = find_table(words[1]);
  if (record == nullptr) {
    return refused(
        {Reason::kNotFound, fmt::format("there is no table '{}'; 'show tables' lists them", words[1])});
  }
  const Result<Question> question = parse_question(words, *record->table);
  if (!question) return refused(question.error());
  return std::make_unique<Refused>(*record->table, *question);
}

}  // namespace stickmesh::admin
