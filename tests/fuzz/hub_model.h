#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "agent/aggregate/totals.h"
#include "agent/pipeline/registry.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/hub_ends.h"

namespace stickmesh::pipeline {

/// What well-behaved origins have said, kept beside the agent in plain maps and compared with it.
class Model {
 public:
  /// |memory_is_short|: entries may have made room for others, but what is there is as it was said.
  Model(Registry& registry, bool memory_is_short) : registry_(registry), short_(memory_is_short) {}

  /// |origin| has just said |values| of |key|, under its own |definition| of the table.
  void said(store::OriginId origin, const TableDefinition& definition, const std::string& key,
            const Values& values, TimePoint now) {
    const std::string table(canonical_name(definition.name));
    const auto found = find(table, key, origin);
    if (!found && short_) return;
    FUZZ_CHECK(found.has_value());
    const TimePoint expires = definition.expire.count() == 0 ? TimePoint::max() : now + definition.expire;
    if (definition.expire.count() != 0) FUZZ_CHECK(found->table->expires(found->id) == expires);
    compare(*found, definition, values, now);
    contributions_[{table, key, origin}] = {definition, expires, written(*found, definition)};
  }

  /// An operator has cleared |key|, whoever had said something of it.
  void cleared(const std::string& table, const std::string& key) {
    std::erase_if(contributions_, [&](const auto& had) {
      return std::get<0>(had.first) == table && std::get<1>(had.first) == key;
    });
  }

  /// No contribution differs from what its origin said, unless it has expired.
  void check(TimePoint now) {
    for (auto at = contributions_.begin(); at != contributions_.end();) {
      const auto& [table, key, origin] = at->first;
      const auto found = find(table, key, origin);
      if (at->second.expires <= now || (short_ && !found)) {
        at = contributions_.erase(at);
        continue;
      }
      FUZZ_CHECK(found.has_value());
      FUZZ_CHECK(written(*found, at->second.definition) == at->second.written);
      ++at;
    }
  }

  /// Each total is what its contributions make, added up anew.
  void check_totals(TimePoint now) {
    for (auto& [name, record] : registry_.tables()) {
      const store::Table& table = *record.table;
      for (store::EntryId entry = table.next(0); entry != store::kNone; entry = table.next(entry + 1)) {
        for (const store::Column& column : table.layout().columns()) {
          for (std::uint32_t element = 0; element < column.elements; ++element) {
            check_total(table, entry, column, element, now);
          }
        }
      }
    }
  }

  /// Calls |visit|(key) for each key of |table| that is still alive.
  template <typename Visit>
  void for_each_key(const std::string& table, Visit&& visit) const {
    for (const auto& [place, contribution] : contributions_) {
      if (std::get<0>(place) == table) visit(std::get<1>(place));
    }
  }

 private:
  struct Found {
    const store::Table* table;
    store::ContributionId id;
  };
  struct Contribution {
    TableDefinition definition;
    TimePoint expires;
    std::string written;
  };

  std::optional<Found> find(const std::string& table, const std::string& key, store::OriginId origin) const {
    const TableRecord* record = registry_.find(table);
    if (record == nullptr) return std::nullopt;
    const store::EntryId entry = record->table->find(as_bytes(key));
    if (entry == store::kNone) return std::nullopt;
    const store::ContributionId id = record->table->find(entry, origin);
    if (id == store::kNone) return std::nullopt;
    return Found{record->table.get(), id};
  }

  static void compare(const Found& found, const TableDefinition& definition, const Values& values,
                      TimePoint now) {
    std::size_t at = 0;
    for (const StoredType& stored : definition.types) {
      const store::Column* column = found.table->layout().find(stored.type);
      FUZZ_CHECK(column != nullptr && found.table->stores(found.id, stored.type));
      for (std::uint32_t element = 0; element < stored.elements; ++element) {
        if (column->kind == ValueKind::kRate) {
          const store::RateValue rate = found.table->rate(found.id, *column, element);
          FUZZ_CHECK(rate.current == values.cells[at + 1] && rate.previous == values.cells[at + 2]);
          if (rate.current != 0 || rate.previous != 0) {
            FUZZ_CHECK(now - rate.start == Duration(static_cast<Duration::rep>(values.cells[at])));
          }
          at += 3;
        } else if (column->kind == ValueKind::kDictionary) {
          FUZZ_CHECK(found.table->text(found.id, *column) == values.text);
          ++at;
        } else {
          FUZZ_CHECK(found.table->number(found.id, *column, element) == values.cells[at++]);
        }
      }
    }
  }

  /// All that the agent keeps of a contribution: values, the numbers of their changes, version and end.
  static std::string written(const Found& found, const TableDefinition& definition) {
    const store::Table& table = *found.table;
    const store::Version version = table.version(found.id);
    std::string text = fmt::format("{}.{} {}", version.generation, version.update_id,
                                   table.expires(found.id).time_since_epoch().count());
    const auto put = std::back_inserter(text);
    for (const StoredType& stored : definition.types) {
      const store::Column* column = table.layout().find(stored.type);
      FUZZ_CHECK(column != nullptr && table.stores(found.id, stored.type));
      for (std::uint32_t element = 0; element < stored.elements; ++element) {
        if (column->kind == ValueKind::kRate) {
          const store::RateValue rate = table.rate(found.id, *column, element);
          fmt::format_to(put, " {}:{}:{}", rate.start.time_since_epoch().count(), rate.current,
                         rate.previous);
        } else if (column->kind == ValueKind::kDictionary) {
          fmt::format_to(put, " {}", table.text(found.id, *column));
        } else {
          fmt::format_to(put, " {}", table.number(found.id, *column, element));
        }
        fmt::format_to(put, "#{}", table.change_number(found.id, *column, element));
      }
    }
    return text;
  }

  void check_total(const store::Table& table, store::EntryId entry, const store::Column& column,
                   std::uint32_t element, TimePoint now) {
    aggregate::Totals totals(table);
    if (column.kind == ValueKind::kRate) {
      std::uint64_t sum = 0;
      for (store::ContributionId id = table.first(entry); id != store::kNone; id = table.following(id)) {
        if (!table.live(id, now)) continue;
        const store::RateValue rate = table.rate(id, column, element);
        if (rate.current == 0 && rate.previous == 0) continue;
        sum += aggregate::reading({std::max(now - rate.start, Duration(0)), rate.current, rate.previous},
                                  column.period);
      }
      const aggregate::Counter total = totals.rate(entry, column, element, now);
      sum = std::min<std::uint64_t>(sum, 0xffffffff);
      if (totals.saturated() == 0) FUZZ_CHECK(aggregate::reading(total, column.period) == sum);
      return;
    }
    __extension__ unsigned __int128 sum = 0;
    std::uint64_t newest = 0;
    store::ContributionId last = store::kNone;
    const store::Origins& origins = registry_.origins();
    for (store::ContributionId id = table.first(entry); id != store::kNone; id = table.following(id)) {
      const store::Origin& origin = origins[table.origin(id)];
      const std::uint64_t number =
          column.kind == ValueKind::kDictionary ? 0 : table.number(id, column, element);
      const std::uint64_t change = table.change_number(id, column, element);
      const bool live = table.live(id, now);
      if (column.merge == Merge::kSum) sum += number;
      if (column.merge == Merge::kMax && live) sum = std::max<decltype(sum)>(sum, number);
      if (column.merge == Merge::kPresentSum && live && table.stores(id, column.type) && origin.present &&
          origin.generation == table.version(id).generation) {
        sum += number;
      }
      if (!live || change == 0 || change < newest) continue;
      // Numbers are given by one agent here, each once.
      FUZZ_CHECK(change > newest);
      newest = change;
      last = id;
    }
    if (column.kind == ValueKind::kDictionary) {
      FUZZ_CHECK(totals.text(entry, column, now) == (last == store::kNone ? "" : table.text(last, column)));
      return;
    }
    if (column.merge == Merge::kLastChange) {
      sum = last == store::kNone ? 0 : table.number(last, column, element);
    } else {
      const std::uint64_t most = column.kind == ValueKind::kUnsigned64 ? ~std::uint64_t{0} : 0xffffffff;
      if (sum > most) sum = most;
    }
    FUZZ_CHECK(totals.number(entry, column, element, now) == sum);
  }

  Registry& registry_;
  bool short_;
  std::map<std::tuple<std::string, std::string, store::OriginId>, Contribution> contributions_;
};

}  // namespace stickmesh::pipeline
