#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/aggregate/totals.h"
#include "agent/base/result.h"
#include "agent/peers/session/handler.h"
#include "agent/peers/wire/entry_update.h"
#include "agent/store/change_feed.h"
#include "agent/store/table.h"

namespace stickmesh::pipeline {

/// What a receiver takes of a total: the types that it has announced and that the input can fill, and its
/// life time. Receivers that take the same share their encodings.
using ShapeId = std::uint32_t;

/// The published total of one aggregated table: when an entry is due, and its updates in the order of the
/// change feed. One for each table with an `[[aggregate]]` rule; owned by the registry, beside the table,
/// which outlives it.
class Output {
 public:
  using Copies = std::vector<std::pair<DataType, DataType>>;

  Output(store::Table& table, std::string name, Copies copies, TimePoint now);
  /// Of a replicated table, which goes out under its own name.
  Output(store::Table& table, TimePoint now);

  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { table_->on_removed({}); }

  /// The canonical name under which instances get the total. Empty: they do not.
  const std::string& name() const { return name_; }
  bool replicated() const { return replicated_; }
  /// Of a replicated table: whether |receiver| has to be told of the entry's newest state, which it may have
  /// written itself.
  bool is_news_to(store::OriginId receiver, store::EntryId entry) const {
    return table_->uses(entry) && table_->writer(table_->first(entry)) != receiver;
  }
  const store::Table& table() const { return *table_; }
  const store::ChangeFeed& feed() const { return feed_; }

  /// The shape for a receiver that announced |receiver|, or why it can have no total. Void when the table's
  /// layout number changes: ask again then. To be given back with `release`.
  Result<ShapeId> shape_for(const TableDefinition& receiver);
  /// A receiver needs |shape|, which it got under |layout_number|, no longer.
  void release(ShapeId shape, std::uint32_t layout_number);
  /// Somebody follows the feed who reads the table's entries himself, as they are when he comes to them.
  void add_reader() { reader_ = true; }
  /// What updates of that shape hold, under the receiver's own name for the table.
  const TableDefinition& definition(ShapeId shape) const { return shapes_[shape].definition; }

  /// Gives every entry that changed, or whose rate has strayed at a receiver, its place in the feed. At most
  /// once per `publish-interval`.
  void publish(TimePoint now);
  /// Gives the entry that was published last a new place.
  void publish_newest_again();
  /// Whether `publish` has something to do.
  bool due(TimePoint now);
  /// Whether rates will have to be sent again though nothing was received.
  bool strays_waiting() const { return strays_.scheduled() != 0; }

  /// The newest state of the entry at |place| under that place's number, made at most 10 ms ago; empty when
  /// there is nothing left to send for it. Valid until the next call.
  Bytes encode(ShapeId shape, const store::ChangeFeed::Place& place, TimePoint now);
  /// Whether what a receiver of that shape, whose definition is |announced|, says of |entry| is what it would
  /// be sent. Of rates and open connections it says nothing: these move on, and some versions learn no
  /// conn_cur.
  bool says_the_same(ShapeId shape, const TableDefinition& announced, const peers::Update& update,
                     store::EntryId entry, TimePoint now);
  /// The number under which |entry| was last published; 0 when it has gone.
  std::uint64_t newest(store::EntryId entry) const {
    return table_->uses(entry) ? table_->published_sequence(entry) : 0;
  }
  /// How often places of the feed that are no entry's newest were dropped.
  std::uint64_t compactions() const { return compactions_; }

  std::uint64_t published() const { return published_; }
  std::uint64_t saturated() const { return totals_.saturated(); }
  aggregate::Totals& totals() { return totals_; }
  std::size_t memory() const;

  /// The column of the input that fills |type| of the output; null when none does.
  const store::Column* source(DataType type) const;

 private:
  struct Encoded {
    std::uint64_t sequence = 0;
    TimePoint made{};
    std::vector<std::byte> bytes;
  };
  struct Shape {
    TableDefinition definition;
    std::vector<const store::Column*> columns;
    std::vector<Encoded> recent;  ///< by sequence number, modulo its size
    std::size_t users = 0;        ///< none: its place is free
  };

  bool says_the_same(DataType type, const store::Column& column, const std::uint64_t* cells,
                     std::string_view text, store::EntryId entry, TimePoint now);
  void encode_entry(const Shape& shape, std::uint32_t update_id, store::EntryId entry,
                    std::optional<Duration> remaining, TimePoint now);
  /// Has the entry sent again when the counters that are sent now will have left the true rates.
  enum class Watch : std::uint8_t { kAnew, kAtTheLatest };
  void watch_rates(store::EntryId entry, Watch watch, TimePoint now);
  /// A copy may be published as a narrower type.
  std::uint64_t number(DataType as, const store::Column& column, std::uint32_t element, store::EntryId entry,
                       TimePoint now);

  store::Table* table_;
  std::string name_;
  bool replicated_ = false;
  Copies copies_;
  store::ChangeFeed feed_;
  aggregate::Totals totals_;
  store::Wheel strays_;        ///< entries by when the published rate leaves the true one
  std::vector<Shape> shapes_;  ///< of the table's layout number |layout_number_|
  std::size_t receivers_ = 0;  ///< users of all shapes
  bool reader_ = false;
  std::uint32_t layout_number_;
  peers::UpdateEncoder encoder_;
  std::uint64_t published_ = 0;
  std::uint64_t compactions_ = 0;
  TimePoint last_publish_{};
  std::uint64_t before_last_publish_ = 0;
};

}  // namespace stickmesh::pipeline
