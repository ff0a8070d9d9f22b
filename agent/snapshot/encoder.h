#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/pipeline/hub.h"
#include "agent/snapshot/format.h"
#include "agent/snapshot/frame.h"

namespace stickmesh::snapshot {

/// Turns what an agent holds into the bytes of a snapshot, in slices between which the agent goes on: each
/// contribution has its own version, so that they need not be of one instant. |hub| must outlive it. No I/O.
class Encoder {
 public:
  enum class Scope : std::uint8_t {
    kAll,
    /// What the next process of a soft restart is not told by `pipeline::TeachingLink`.
    kWithoutContributions,
    /// `one` alone, for Redis.
    kOne,
  };
  explicit Encoder(pipeline::Hub& hub, Scope scope = Scope::kAll);

  /// The next bytes of the file, of about |contributions| of them. Valid until the next call; empty after the
  /// last.
  Bytes next(std::size_t contributions, TimePoint now);
  bool done() const { return done_; }
  /// A snapshot that has one contribution, and of its origin and table what belongs to it. Valid until the
  /// next call.
  Bytes one(const pipeline::TableRecord& record, store::ContributionId id, TimePoint now);
  /// How many are in the bytes until now.
  std::size_t contributions() const { return contributions_; }

 private:
  void write_header();
  void write_fellows();
  /// Of a table of which nothing was written yet, or that has changed its layout meanwhile.
  void write_section(const pipeline::TableRecord& record);
  void write_fellow(const pipeline::Peer& peer);
  /// Whether little enough of every table is left to be told.
  bool nearly_all(const pipeline::Fellowship::Taken& taken) const;
  /// From where other agents are told of the table.
  void write_feed(const pipeline::TableRecord& record);
  void write_stored(const pipeline::TableRecord& record, store::OriginId origin);
  void write_contribution(const pipeline::TableRecord& record, store::ContributionId id, TimePoint now);
  /// The number of |origin| in the file, which gets one, and a record, when it has none.
  store::OriginId number_of(store::OriginId origin);
  const pipeline::Peer* peer_of(store::OriginId origin) const;
  /// The types that |origin| stores of those that the table has.
  static std::uint32_t types_of(const store::Table& table, store::OriginId origin);

  pipeline::Hub& hub_;
  pipeline::Registry& registry_;
  const Scope scope_;
  TimePoint started_{};
  TimePoint clock_{};
  Framer framer_;
  std::vector<char> out_;
  bool begun_ = false;
  bool done_ = false;
  std::size_t contributions_ = 0;

  struct Numbered {
    std::string name;  ///< tells an id that was given to another origin meanwhile
    store::OriginId number = store::kNobody;
  };
  std::vector<Numbered> numbers_;  ///< by origin
  store::OriginId next_number_ = 0;

  /// Of each other agent that can go on, how far it has taken what was told.
  std::map<std::string, pipeline::Fellowship::Taken> told_;

  std::string table_;  ///< the one that is being written; empty before the first
  std::optional<std::uint32_t> layout_number_;
  store::EntryId entry_ = 0;
  std::vector<std::optional<std::uint32_t>> types_;  ///< by origin, as last written for the table
  store::CopyBuffer buffer_;
};

}  // namespace stickmesh::snapshot
