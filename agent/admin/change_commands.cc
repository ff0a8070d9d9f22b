#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "agent/admin/answers.h"
#include "agent/admin/commands.h"
#include "agent/admin/key_text.h"

namespace stickmesh::admin {

namespace {

constexpr std::string_view kNoSuchKey = "a key that the table does not have";

struct Outcome {
  std::size_t told = 0;
  std::size_t owed = 0;
};
using Outcomes = std::map<std::string, Outcome>;

void clear_entry(pipeline::Hub& hub, pipeline::TableRecord& record, store::EntryId entry, TimePoint now,
                 Outcomes& outcomes) {
  for (const pipeline::Hub::Cleared& cleared : hub.clear(record, entry, now)) {
    Outcome& outcome = outcomes[cleared.instance];
    ++(cleared.told ? outcome.told : outcome.owed);
  }
}

}  // namespace

std::unique_ptr<Answer> Commands::clear_table(const Words& words, TimePoint now) {
  const bool one_key = words.size() == 5 && words[3] == "key";
  if (words.size() != 3 && !one_key) {
    return refused("clear table", {Reason::kBadCommand, "clear table NAME [key K]"}, now);
  }
  pipeline::TableRecord* record = find_table(words[2]);
  if (record == nullptr) {
    return refused(
        "clear table",
        {Reason::kNotFound, fmt::format("there is no table '{}'; 'show tables' lists them", words[2])}, now);
  }
  store::Table& table = *record->table;
  Outcomes outcomes;
  std::size_t keys = 0;
  if (one_key) {
    const auto key = key_from_text(table.definition(), words[4]);
    if (!key) return refused_quietly("clear table", key.error(), kNoSuchKey, now);
    const store::EntryId entry = table.find(*key);
    if (entry == store::kNone || table.end(entry) <= now) {
      const Error error{Reason::kNotFound, fmt::format("table {} has no key '{}'", table.name(), words[4])};
      return refused_quietly("clear table", error, kNoSuchKey, now);
    }
    clear_entry(hub_, *record, entry, now, outcomes);
    keys = 1;
  } else {
    for (store::EntryId entry = table.next(0); entry != store::kNone; entry = table.next(entry + 1)) {
      if (table.cleared(entry)) continue;
      clear_entry(hub_, *record, entry, now, outcomes);
      ++keys;
    }
  }
  std::string out = fmt::format("{} {} cleared\n", keys, keys == 1 ? "key" : "keys");
  for (const auto& [instance, outcome] : outcomes) {
    fmt::format_to(std::back_inserter(out), "{}: {}\n", instance,
                   outcome.owed == 0 ? "cleared" : "away (done when it returns)");
  }
  return text_answer(std::move(out));
}

std::unique_ptr<Answer> Commands::set_peer(const Words& words, TimePoint now) {
  if (words.size() != 4 || (words[3] != "maint" && words[3] != "ready")) {
    return refused("set peer", {Reason::kBadCommand, "set peer NAME maint|ready"}, now);
  }
  const bool maintenance = words[3] == "maint";
  if (auto set = hub_.set_maintenance(words[2], maintenance); !set) {
    return refused("set peer", set.error(), now);
  }
  const pipeline::Hub::Attendance here = hub_.attendance(now);
  return text_answer(fmt::format("{}: {}; {} of {} expected instances are present\n{}{}", words[2],
                                 maintenance ? "in maintenance, not expected" : "expected", here.present,
                                 here.expected, unsaved_line(), here_only_line()));
}

std::string Commands::unsaved_line() const {
  if (hub_.runtime_unsaved().empty()) return {};
  return fmt::format("not kept over a restart or reload of this agent: {}; then say it again\n",
                     hub_.runtime_unsaved());
}

std::string Commands::here_only_line() const {
  return hub_.agents() == 0 ? std::string() : "this agent's marks only: say it to the other agents, too\n";
}

std::unique_ptr<Answer> Commands::forget_peer(const Words& words, TimePoint now) {
  if (words.size() != 3) return refused("forget peer", {Reason::kBadCommand, "forget peer NAME"}, now);
  if (auto forgotten = hub_.forget(words[2], now); !forgotten) {
    return refused("forget peer", forgotten.error(), now);
  }
  return text_answer(
      fmt::format("{}: forgotten; what it counted stays until it expires\n{}", words[2], here_only_line()));
}

}  // namespace stickmesh::admin
