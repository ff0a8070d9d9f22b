#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/store/table.h"

namespace stickmesh::store {

__extension__ using Wide = unsigned __int128;

/// A second, slow and obvious table: maps of maps, each rule written out anew from DESIGN.md. Sums are added
/// up when asked for. Who is expired or purged is told to it by the test, which has checked that it may be.
class TableOracle {
 public:
  struct Value {
    std::uint64_t number = 0;
    std::uint64_t change = 0;
    std::int64_t start = 0;
    std::uint64_t current = 0;
    std::uint64_t previous = 0;
    std::string text;
  };
  using Name = std::pair<DataType, std::uint32_t>;  // of an array's element
  struct Contribution {
    Version version;
    std::int64_t expires = 0;
    std::map<Name, Value> values;
  };
  using Entry = std::map<OriginId, Contribution>;

  explicit TableOracle(Duration expire) : expire_(expire.count()) {}

  Applied apply(const TableDefinition& sender, const Change& change, std::int64_t now) {
    const std::string key(as_text(change.key));
    Entry& entry = entries[key];
    const bool fresh = !entry.contains(change.origin);
    Contribution& held = entry[change.origin];
    if (!fresh && change.version.generation < held.version.generation) return Applied::kStale;

    const bool anew = change.life == LifeKind::kAnew;
    const bool same_version = !fresh && held.version == change.version;
    counted_ = false;
    const bool differs = write(held, sender, change, now);
    if (!anew || counted_ || !same_version)
      held.expires = now + (anew ? expire_ : std::min<std::int64_t>(change.remaining.count(), expire_));
    held.version = change.version;
    if (fresh || differs) {
      changed.insert(key);
      return Applied::kChanged;
    }
    if (std::abs(end(key) - published_end[key]) > expire_ / 10) changed.insert(key);
    return Applied::kRefreshed;
  }

  void drop_contribution(const std::string& key, OriginId origin) {
    entries.at(key).erase(origin);
    changed.insert(key);
    if (entries.at(key).empty()) drop_entry(key);
  }
  void drop_entry(const std::string& key) {
    entries.erase(key);
    changed.erase(key);
    published_end.erase(key);
  }

  std::int64_t end(const std::string& key) const {
    std::int64_t latest = 0;
    for (const auto& [origin, held] : entries.at(key)) latest = std::max(latest, held.expires);
    return latest;
  }
  Wide sum(const std::string& key, Name name) const {
    Wide total = 0;
    for (const auto& [origin, held] : entries.at(key)) {
      const auto value = held.values.find(name);
      if (value != held.values.end()) total += value->second.number;
    }
    return total;
  }
  std::size_t contributions() const {
    std::size_t count = 0;
    for (const auto& [key, entry] : entries) count += entry.size();
    return count;
  }

  std::map<std::string, Entry> entries;
  std::set<std::string> changed;
  std::map<std::string, std::int64_t> published_end;
  std::uint64_t lamport = 0;
  std::uint64_t falls = 0;

 private:
  bool write(Contribution& held, const TableDefinition& sender, const Change& change, std::int64_t now) {
    bool differs = false;
    std::size_t cell = 0;
    for (const StoredType& stored : sender.types) {
      for (std::uint32_t element = 0; element < stored.elements; ++element) {
        Value& value = held.values[{stored.type, element}];
        switch (traits(stored.type).kind) {
          case ValueKind::kRate:
            differs |= write_rate(value, stored.period.count(), &change.cells[cell], now);
            cell += 3;
            break;
          case ValueKind::kDictionary:
            counted_ |= write_text(value, change.cells[cell++], std::string(change.server_key));
            break;
          default:
            counted_ |= write_number(value, stored.type, change.cells[cell++]);
        }
      }
    }
    return differs || counted_;
  }

  bool write_number(Value& value, DataType type, std::uint64_t after) {
    if (value.number == after) return false;
    const Merge merge = traits(type).merge;
    if (merge == Merge::kLastChange) value.change = ++lamport;
    if (merge == Merge::kSum && after < value.number) ++falls;
    value.number = after;
    return true;
  }

  bool write_text(Value& value, std::uint64_t cell, const std::string& text) {
    if (cell == kTextUnchanged) return false;
    const std::string after = cell == kTextSet ? text : "";
    if (value.text == after) return false;
    value.text = after;
    value.change = ++lamport;
    return true;
  }

  bool write_rate(Value& value, std::int64_t period, const std::uint64_t* cells, std::int64_t now) {
    const auto age = static_cast<std::int64_t>(cells[0]);
    Value after;
    if (age <= 2 * period && (cells[1] != 0 || cells[2] != 0)) {
      after.start = now - age;
      after.current = cells[1];
      after.previous = cells[2];
    }
    const bool other = after.current != value.current || after.previous != value.previous;
    counted_ |= other && (after.current != 0 || after.previous != 0);
    const bool differs = other || std::abs(after.start - value.start) > period / 64 + 20;
    value = after;
    return differs;
  }

  std::int64_t expire_;
  bool counted_ = false;  ///< the change says more than that time has passed
};

}  // namespace stickmesh::store
