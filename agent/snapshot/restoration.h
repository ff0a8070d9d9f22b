#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/pipeline/hub.h"
#include "agent/snapshot/decoder.h"

namespace stickmesh::snapshot {

/// Lays a snapshot over what an agent holds, which is best nothing yet: the newer version of a contribution
/// wins. Lives and ages go on by the time since it was written, as the wall clock says; a clock that went
/// back says that it was none. One with a `Continuity` makes this the same agent as before, without any time
/// between. To be given to `decode` with one snapshot or several, then asked for `finish`.
class Restoration final : public Receiver {
 public:
  Restoration(pipeline::Hub& hub, TimePoint now) : hub_(hub), registry_(hub.registry()), now_(now) {}

  /// Time has passed since it was made.
  void set_now(TimePoint now) { now_ = now; }

  void header(const Header& header) override;
  void clock(Duration since_written) override;
  void origin(const OriginRecord& origin) override;
  void table(const TableSection& section) override;
  void stored(const StoredTypes& stored) override;
  void contribution(const Contribution& contribution) override;
  void fellow(const FellowRecord& fellow) override;
  void taken(std::string_view fellow, std::uint64_t sequence) override;
  void place(const FeedPlace& place) override;
  void feed(std::uint64_t last) override;

  struct Counts {
    std::size_t restored = 0;
    std::size_t expired = 0;
    std::size_t left_out = 0;  ///< the config has no place for their table or origin
  };
  /// Says what was left out, in notices and errors of the hub's log.
  Counts finish();

 private:
  /// How much of the time that contributions had left is over.
  Duration away() const { return std::max(away_ - since_written_, Duration(0)); }

  pipeline::Hub& hub_;
  pipeline::Registry& registry_;
  TimePoint now_;
  bool goes_on_ = false;
  Duration away_{0};
  Duration since_written_{0};
  std::vector<store::OriginId> origins_;  ///< by their numbers in the file; kNobody: no place
  std::vector<pipeline::Peer*> fellows_;
  std::set<store::OriginId> gone_;           ///< what they counted is all there is of them
  pipeline::TableRecord* record_ = nullptr;  ///< null: the config has no place for it
  std::string table_;
  TableDefinition standing_;
  std::vector<store::Plan> plans_;  ///< by number of the origin, for the current table
  std::vector<std::uint64_t> cells_;
  std::vector<store::ChangeFeed::Place> places_;
  std::map<std::string, std::string> refused_;  ///< tables, and why
  Counts counts_;
};

}  // namespace stickmesh::snapshot
