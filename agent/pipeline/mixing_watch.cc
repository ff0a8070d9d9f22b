#include "agent/pipeline/mixing_watch.h"

#include <fmt/format.h>

namespace stickmesh::pipeline {

using store::Column;
using store::ContributionId;
using store::EntryId;
using store::kNone;

namespace {

constexpr Duration kStep{1000};
constexpr std::size_t kEntriesAtOnce = 2000;
// Small counters are equal by chance.
constexpr std::uint64_t kTelling = 10;
constexpr std::uint64_t kPairsNeeded = 20;

/// The counters of two contributions that tell something: whether there are any, and whether all are equal.
struct Comparison {
  bool telling = false;
  bool equal = true;
};

Comparison compare(const store::Table& table, ContributionId left, ContributionId right) {
  Comparison result;
  for (const Column& column : table.layout().columns()) {
    if (traits(column.type).merge != Merge::kSum) continue;
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      const std::uint64_t number = table.number(left, column, element);
      result.telling |= number >= kTelling;
      result.equal &= number == table.number(right, column, element);
    }
  }
  return result;
}

}  // namespace

void MixingWatch::look(const Registry& registry, TimePoint now, const Report& report) {
  if (now < next_) return;
  next_ = now + kStep;
  const auto& tables = registry.tables();
  auto at = tables.lower_bound(table_);
  if (at == tables.end()) at = tables.begin();
  if (at == tables.end()) return;
  if (at->first != table_) {
    table_ = at->first;
    entry_ = 0;
    seen_.clear();
  }
  if (!at->second.replicated && !look_at(*at->second.table, now)) return;
  judge(registry, table_, report);
  const auto following = std::next(at);
  table_ = following == tables.end() ? std::string() : following->first;
  entry_ = 0;
  seen_.clear();
}

bool MixingWatch::look_at(const store::Table& table, TimePoint now) {
  for (std::size_t looked = 0; looked < kEntriesAtOnce; ++looked) {
    const EntryId entry = table.next(entry_);
    if (entry == kNone) return true;
    entry_ = entry + 1;
    for (ContributionId left = table.first(entry); left != kNone; left = table.following(left)) {
      if (!table.live(left, now)) continue;
      for (ContributionId right = table.following(left); right != kNone; right = table.following(right)) {
        if (!table.live(right, now)) continue;
        const Comparison comparison = compare(table, left, right);
        if (!comparison.telling) continue;
        Seen& seen = seen_[std::minmax(table.origin(left), table.origin(right))];
        ++seen.pairs;
        if (comparison.equal) ++seen.equal;
      }
    }
  }
  return false;
}

void MixingWatch::judge(const Registry& registry, const std::string& table, const Report& report) {
  for (const auto& [pair, seen] : seen_) {
    if (seen.pairs < kPairsNeeded || seen.equal * 2 < seen.pairs) continue;
    if (!reported_.emplace(table, pair).second) continue;
    const std::string& left = registry.origins()[pair.first].name;
    const std::string& right = registry.origins()[pair.second].name;
    report(
        {Reason::kSuspectedMixing,
         fmt::format(
             "{} and {} have equal counters on {} of {} keys: are both in one peers section? List there only "
             "the instance itself and agents (`server \"$HAPROXY_LOCALPEER\"`)",
             left, right, seen.equal, seen.pairs)},
        table);
  }
}

}  // namespace stickmesh::pipeline
