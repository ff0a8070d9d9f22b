#include "agent/pipeline/server_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace stickmesh::pipeline {

namespace {

/// Where two lists, both in the order of |group|, have a group in common and no |member| of it: calls
/// |found|(left, right) with the first of each side.
template <typename Pair, typename Group, typename Member, typename Found>
void find_disjoint(const std::vector<Pair>& left, const std::vector<Pair>& right, Group Pair::*group,
                   Member Pair::*member, Found&& found) {
  auto from = left.begin();
  auto other = right.begin();
  const auto end_of = [&](auto begin, auto end) {
    return std::find_if(begin, end, [&](const Pair& pair) { return pair.*group != (*begin).*group; });
  };
  while (from != left.end() && other != right.end()) {
    if ((*from).*group < (*other).*group) {
      ++from;
    } else if ((*other).*group < (*from).*group) {
      ++other;
    } else {
      const auto from_end = end_of(from, left.end());
      const auto other_end = end_of(other, right.end());
      const bool common = std::any_of(from, from_end, [&](const Pair& pair) {
        return std::any_of(other, other_end, [&](const Pair& had) { return had.*member == pair.*member; });
      });
      if (!common) found(*from, *other);
      from = from_end;
      other = other_end;
    }
  }
}

}  // namespace

// Data types come in the order of their numbers, of which it has the first.
std::int32_t server_id(const TableDefinition& defined, std::span<const std::uint64_t> cells) {
  if (defined.types.empty() || defined.types.front().type != DataType::kServerId || cells.empty()) return 0;
  return static_cast<std::int32_t>(cells.front());
}

ServerPairs::~ServerPairs() {
  for (const auto& [origin, said] : said_) {
    for (const Pair& pair : said.by_id) texts_->release(pair.name);
  }
}

void ServerPairs::hear(const store::Table& table, store::OriginId origin, Bytes key, std::int32_t id,
                       std::string_view name) {
  if (id == 0 || name.empty() || knows(origin, id, name) || holds(table, origin, key, id, name)) return;
  add(origin, id, name);
}

bool ServerPairs::knows(store::OriginId origin, std::int32_t id, std::string_view name) const {
  const auto known = said_.find(origin);
  if (known == said_.end()) return false;
  const std::vector<Pair>& pairs = known->second.by_id;
  auto pair = std::lower_bound(pairs.begin(), pairs.end(), id,
                               [](const Pair& had, std::int32_t wanted) { return had.id < wanted; });
  for (; pair != pairs.end() && pair->id == id; ++pair) {
    if (texts_->text(pair->name) == name) return true;
  }
  return pairs.size() >= kMaxPairs;
}

bool ServerPairs::holds(const store::Table& table, store::OriginId origin, Bytes key, std::int32_t id,
                        std::string_view name) {
  const store::Column* ids = table.layout().find(DataType::kServerId);
  const store::Column* names = table.layout().find(DataType::kServerKey);
  const store::EntryId entry = table.find(key);
  if (ids == nullptr || names == nullptr || entry == store::kNone) return false;
  const store::ContributionId held = table.single() ? table.first(entry) : table.find(entry, origin);
  return held != store::kNone && static_cast<std::int32_t>(table.number(held, *ids, 0)) == id &&
         table.text(held, *names) == name;
}

void ServerPairs::add(store::OriginId origin, std::int32_t id, std::string_view name) {
  const Pair added{id, texts_->acquire(name)};
  Said& said = said_[origin];
  const auto id_first = [](const Pair& left, const Pair& right) {
    return std::tie(left.id, left.name) < std::tie(right.id, right.name);
  };
  const auto name_first = [](const Pair& left, const Pair& right) {
    return std::tie(left.name, left.id) < std::tie(right.name, right.id);
  };
  said.by_id.insert(std::upper_bound(said.by_id.begin(), said.by_id.end(), added, id_first), added);
  said.by_name.insert(std::upper_bound(said.by_name.begin(), said.by_name.end(), added, name_first), added);
  changed_.insert(origin);
}

void ServerPairs::forget(store::OriginId origin) {
  const auto known = said_.find(origin);
  if (known == said_.end()) return;
  for (const Pair& pair : known->second.by_id) texts_->release(pair.name);
  said_.erase(known);
  changed_.insert(origin);
}

std::optional<ServerPairs::Disagreement> ServerPairs::compare(store::OriginId left, store::OriginId right,
                                                              const store::Origins& origins) const {
  const auto here = said_.find(left);
  const auto there = said_.find(right);
  if (here == said_.end() || there == said_.end()) return std::nullopt;
  const std::string& here_name = origins[left].name;
  const std::string& there_name = origins[right].name;
  Disagreement found;
  find_disjoint(here->second.by_id, there->second.by_id, &Pair::id, &Pair::name,
                [&](const Pair& one, const Pair& other) {
                  if (found.servers++ != 0) return;
                  found.words =
                      fmt::format("server id {} is '{}' at {} and '{}' at {}", one.id, texts_->text(one.name),
                                  here_name, texts_->text(other.name), there_name);
                });
  find_disjoint(here->second.by_name, there->second.by_name, &Pair::name, &Pair::id,
                [&](const Pair& one, const Pair& other) {
                  if (found.servers++ != 0) return;
                  found.words = fmt::format("server '{}' has id {} at {} and {} at {}",
                                            texts_->text(one.name), one.id, here_name, other.id, there_name);
                });
  return found.servers == 0 ? std::nullopt : std::optional(std::move(found));
}

std::optional<store::OriginId> ServerPairs::take_changed() {
  if (changed_.empty()) return std::nullopt;
  return changed_.extract(changed_.begin()).value();
}

std::vector<store::OriginId> ServerPairs::origins() const {
  std::vector<store::OriginId> all;
  for (const auto& [origin, said] : said_) all.push_back(origin);
  return all;
}

std::size_t ServerPairs::size(store::OriginId origin) const {
  const auto known = said_.find(origin);
  return known == said_.end() ? 0 : known->second.by_id.size();
}

}  // namespace stickmesh::pipeline
