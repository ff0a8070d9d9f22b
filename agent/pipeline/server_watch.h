#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>

#include "agent/base/result.h"
#include "agent/pipeline/registry.h"

namespace stickmesh::pipeline {

/// Looks for instances that know a server's id under different names, or a server under different ids: what
/// one writes sends the other's clients to another server. A few instances at a time.
class ServerWatch {
 public:
  /// Past this many, disagreements are neither told nor remembered.
  static constexpr std::size_t kMaxStanding = 1000;

  /// |report|(error, table) is called once for each disagreement, again only after it was settled; at most
  /// once a second, so that none is left out of the log.
  using Report = std::function<void(const Error&, const std::string& table)>;
  void look(Registry& registry, TimePoint now, const Report& report);

  /// What |origin| disagrees about, in words; empty when nothing.
  std::string note(store::OriginId origin) const;
  /// Disagreements of two instances about a table, now, and since the start.
  std::size_t standing() const { return standing_.size(); }
  std::uint64_t reported() const { return reported_; }

 private:
  struct Disagreement {
    std::string words;
    bool told = false;
  };
  using Place = std::tuple<std::string, store::OriginId, store::OriginId>;  ///< the table and two instances

  void judge(const std::string& table, const ServerPairs& servers, store::OriginId changed,
             const store::Origins& origins);
  void tell(const Report& report);

  TimePoint next_{};
  std::map<Place, Disagreement> standing_;
  std::uint64_t reported_ = 0;
};

}  // namespace stickmesh::pipeline
