#include "agent/pipeline/server_watch.h"

#include <fmt/format.h>

#include <algorithm>

namespace stickmesh::pipeline {

namespace {

// The log takes one line a second of one reason.
constexpr Duration kStep{1000};
// Each is compared with all others.
constexpr std::size_t kOriginsAtOnce = 16;

std::string describe(const ServerPairs::Disagreement& found) {
  const std::string more = found.servers == 1 ? "" : fmt::format(" (and {} more)", found.servers - 1);
  return fmt::format(
      "{}{}: give each server the same `id`, or list the servers in the same order, and the table the same "
      "`srvkey`, in haproxy.cfg of both",
      found.words, more);
}

}  // namespace

void ServerWatch::look(Registry& registry, TimePoint now, const Report& report) {
  if (now < next_) return;
  next_ = now + kStep;
  std::size_t looked = 0;
  for (auto& [name, record] : registry.tables()) {
    while (looked < kOriginsAtOnce) {
      const auto changed = record.servers->take_changed();
      if (!changed) break;
      judge(name, *record.servers, *changed, registry.origins());
      ++looked;
    }
  }
  tell(report);
}

void ServerWatch::tell(const Report& report) {
  const auto untold =
      std::find_if(standing_.begin(), standing_.end(), [](const auto& had) { return !had.second.told; });
  if (untold == standing_.end()) return;
  untold->second.told = true;
  ++reported_;
  report({Reason::kServerMismatch, untold->second.words}, std::get<0>(untold->first));
}

void ServerWatch::judge(const std::string& table, const ServerPairs& servers, store::OriginId changed,
                        const store::Origins& origins) {
  if (servers.size(changed) == 0) {
    std::erase_if(standing_, [&](const auto& had) {
      return std::get<0>(had.first) == table &&
             (std::get<1>(had.first) == changed || std::get<2>(had.first) == changed);
    });
    return;
  }
  for (const store::OriginId other : servers.origins()) {
    if (other == changed) continue;
    const auto [left, right] = std::minmax(changed, other);
    const Place place{table, left, right};
    const auto found = servers.compare(left, right, origins);
    if (!found) {
      standing_.erase(place);
      continue;
    }
    if (standing_.size() < kMaxStanding || standing_.contains(place))
      standing_[place].words = describe(*found);
  }
}

std::string ServerWatch::note(store::OriginId origin) const {
  std::string first;
  std::size_t count = 0;
  for (const auto& [place, disagreement] : standing_) {
    const auto& [table, left, right] = place;
    if (left != origin && right != origin) continue;
    if (count++ == 0) first = fmt::format("table {}: {}", table, disagreement.words);
  }
  if (count == 0) return {};
  if (count > 1) first += fmt::format("; and {} more like it", count - 1);
  return to_string({Reason::kServerMismatch, std::move(first)});
}

}  // namespace stickmesh::pipeline
