#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/time.h"
#include "agent/store/change_feed.h"
#include "agent/store/index.h"
#include "agent/store/layout.h"
#include "agent/store/origins.h"
#include "agent/store/slab.h"
#include "agent/store/string_pool.h"
#include "agent/store/wheel.h"

namespace stickmesh::store {

using EntryId = std::uint32_t;
using ContributionId = std::uint32_t;

/// Made by a contribution's origin: which of its lives, and its own number of the update within it.
struct Version {
  std::uint32_t generation = 0;
  std::uint32_t update_id = 0;
  bool operator==(const Version&) const = default;
  /// Update ids go round.
  bool newer_than(const Version& other) const {
    if (generation != other.generation) return generation > other.generation;
    return static_cast<std::int32_t>(update_id - other.update_id) > 0;
  }
};

/// The values of a rate as HAProxy keeps them; |start| is when its current period began.
struct RateValue {
  TimePoint start;
  std::uint32_t current;
  std::uint32_t previous;
};

/// What every table of one agent shares. Owned by the registry; outlives its tables.
struct Shared {
  MemoryBudget& budget;
  Origins& origins;
  StringPool& texts;
  std::uint64_t& lamport;   ///< number of the newest change that this agent knows of
  std::uint64_t hash_seed;  ///< keys are chosen by clients: unpredictable, drawn at start
  /// Called before a table without a free row grows while memory is scarce: purges the oldest of the largest
  /// table.
  std::function<void()> make_room;
};

/// The life of an entry of a table without `expire`: far enough that no reader sees it end, and still ordered
/// by last use.
inline constexpr Duration kUnlimitedLife{std::int64_t{1} << 50U};

/// What the cell of a text says, as `peers::Update` has it.
inline constexpr std::uint64_t kTextNone = 0;
inline constexpr std::uint64_t kTextSet = 1;
inline constexpr std::uint64_t kTextUnchanged = 2;

enum class LifeKind : std::uint8_t {
  kAnew,       ///< the full `expire` from now: a live update
  kRemaining,  ///< what the sender says is left: a lesson
};

struct Change {
  OriginId origin;
  Version version;
  Bytes key;
  std::span<const std::uint64_t> cells;  ///< as `peers::Update::cells`
  std::string_view server_key;
  LifeKind life = LifeKind::kAnew;
  Duration remaining{0};
  /// The origin has lost what it had and is about to be taught it: its smaller counters of the new generation
  /// do not replace those of the old one, and the contribution stays the old generation's.
  bool keep_larger = false;
};

/// A contribution as one holder tells it to another: all that decides a total, whoever holds it.
struct Copy {
  OriginId origin = kNobody;
  Version version;
  Bytes key;
  std::span<const std::uint64_t> cells;  ///< as `Change`
  std::string_view server_key;
  /// The number of the last change of each element that is no rate, in the order of the cells; 0 where none
  /// is kept.
  std::span<const std::uint64_t> changes;
  TimePoint expires;
  bool cleared = false;       ///< all values are 0 because an operator said so
  bool owed = false;          ///< and the origin does not know it yet
  OriginId writer = kNobody;  ///< of a replicated entry
  /// This agent had it from the origin itself, before a restart: what the origin says next is newer, whatever
  /// its number.
  bool heard = false;
  /// It takes the place of whatever is held here: the same agent says so, from before a soft restart.
  bool stands = false;
};

/// Which contributions a table remembers for `Table::take_heard`.
enum class Tracking : std::uint8_t {
  kNothing,
  kHeard,  ///< of which their own origin, or an operator, has said something
  kAll,    ///< these, and those that another agent has told or of which a flag has changed
};

/// Room for the values of a `Copy` that is being read.
struct CopyBuffer {
  std::vector<std::uint64_t> cells;
  std::vector<std::uint64_t> changes;
};

enum class Applied : std::uint8_t {
  kChanged,    ///< a value differs from before, or the contribution is new
  kRefreshed,  ///< only its life time or version does
  kKept,       ///< a counter larger than the change's stays (`Change::keep_larger`)
  kStale,      ///< an older generation's; nothing was done
  kCleared,    ///< its origin does not know yet that the key was cleared; nothing was done
  kNoMemory,   ///< a new key for which there is no room
};

struct TableCounters {
  std::uint64_t updates = 0;
  std::uint64_t created = 0;  ///< entries
  std::uint64_t stale = 0;    ///< updates of an older generation
  std::uint64_t falls = 0;    ///< counters that an origin said had become smaller
  std::uint64_t expired = 0;  ///< contributions
  std::uint64_t purged = 0;   ///< entries that made room for others
  std::uint64_t refused = 0;  ///< new keys without room
};

/// The entries of one table: what each origin said of each key, with the sums of it. Single-threaded, no I/O.
///
/// Entries and contributions are named by ids that are valid until the row is removed; pointers into rows
/// never outlive the call.
class Table {
 public:
  /// |max_entries| 0: bounded by the shared memory alone.
  /// |single|: the last writer of an entry has its only contribution.
  Table(std::string name, const TableDefinition& definition, const Merges& merges, std::size_t max_entries,
        Shared& shared, TimePoint now, bool single = false);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  const std::string& name() const { return name_; }
  /// The standing definition: key and life time, and all data types that any origin stores.
  const TableDefinition& definition() const { return definition_; }
  const Layout& layout() const { return layout_; }
  /// Counts the changes of `layout()`: plans made before are void.
  std::uint32_t layout_number() const { return layout_number_; }
  /// Takes in data types of a definition that does not mismatch. False when there is no memory for the longer
  /// rows: nothing has changed then.
  bool extend(const TableDefinition& definition);
  /// Gives entries another life time. What they have left is cut to it, and begins anew where either is
  /// unlimited.
  void change_expire(Duration expire, TimePoint now);
  /// Drops everything and starts over with |definition|.
  void redefine(const TableDefinition& definition, TimePoint now);

  Applied apply(const Plan& plan, const Change& change, TimePoint now);
  /// Takes what another holder has of a contribution, if it is newer than what is held here. The plan is of
  /// the definition of the other's copies.
  Applied adopt(const Plan& plan, const Copy& copy, TimePoint now);
  /// What is held here, for others to adopt: the values of `copied_definition` of its origin. The views are
  /// valid until |buffer| or the row changes.
  Copy copy(ContributionId contribution, CopyBuffer& buffer, TimePoint now) const;
  /// Bit n: |origin| stores data type n.
  std::uint32_t stored_types(OriginId origin) const {
    return origin < stored_types_.size() ? stored_types_[origin] : 0;
  }
  /// The standing definition with the data types alone that |origin| stores.
  TableDefinition copied_definition(OriginId origin) const;
  /// Takes expired contributions out, at most |limit|; false when more are due.
  bool expire(TimePoint now, std::size_t limit);
  /// Removes the entry that has lived longest without an update. False when there is none.
  bool purge_oldest();
  void remove_entry(EntryId entry);

  /// Puts every value of the entry to 0 and keeps it for one `expire`, so that nothing older brings it back.
  /// Until `settle`, what an origin for which |owes|(origin) holds says of the key is not taken.
  template <typename Owes>
  void clear(EntryId entry, TimePoint now, Owes&& owes) {
    for (ContributionId id = first(entry); id != kNone; id = following(id)) zero(id, now, owes(origin(id)));
    mark_changed(entry);
  }
  /// The same of one contribution.
  void clear_contribution(ContributionId contribution, TimePoint now, bool owed) {
    zero(contribution, now, owed);
    mark_changed(entry(contribution));
  }
  bool cleared_contribution(ContributionId contribution) const {
    return (head(contribution).flags & kClearedFlag) != 0;
  }
  /// Whether nothing was said of the entry since it was cleared.
  bool cleared(EntryId entry) const;
  /// Whether the entry is there for those who ask: it lives, and something was said of it since it was
  /// cleared.
  bool shown(EntryId entry, TimePoint now) const;
  /// Whether |contribution|'s origin still has to be told that its key was cleared.
  bool owed(ContributionId contribution) const { return (head(contribution).flags & kOwed) != 0; }
  /// How many keys that origin has to be told of.
  std::size_t owed(OriginId origin) const { return origin < owed_.size() ? owed_[origin] : 0; }
  void settle(ContributionId contribution);
  /// Whether another holder told it, not its origin.
  bool adopted(ContributionId contribution) const { return (head(contribution).flags & kAdopted) != 0; }

  EntryId find(Bytes key) const;
  /// The first entry with an id of at least |from|; kNone after the last.
  EntryId next(EntryId from) const;
  std::size_t entries() const { return entries_.live(); }
  std::size_t contributions() const { return contributions_.live(); }
  std::size_t memory() const;
  bool has_room() const { return entries_.has_free() && contributions_.has_free(); }
  /// Whether the budget allows for more rows than there are.
  bool can_grow() const {
    return shared_->budget.has_room_for(std::max(entries_.chunk_size(), contributions_.chunk_size()));
  }
  const TableCounters& counters() const { return counters_; }
  /// How often everything was dropped for another definition.
  std::uint32_t redefinitions() const { return redefinitions_; }
  std::size_t max_entries() const { return max_entries_; }
  bool single() const { return single_; }
  const Shared& shared() const { return *shared_; }

  /// Whether |entry| is a row in use: ids that were kept since an earlier call need asking.
  bool uses(EntryId entry) const { return entry < entries_.end() && entry_head(entry).used; }
  /// The same of a contribution.
  bool holds(ContributionId contribution) const {
    return contribution < contributions_.end() && head(contribution).entry != kNone;
  }
  Bytes key(EntryId entry) const;
  ContributionId first(EntryId entry) const { return entry_head(entry).first; }
  ContributionId following(ContributionId contribution) const {
    const Contribution& here = head(contribution);
    // Each row is a read of memory away: for keys of many origins several are fetched at a time.
    const std::byte* soon = contributions_.row(here.ahead);
    __builtin_prefetch(soon);
    __builtin_prefetch(soon + kValuesOffset);
    return here.next;
  }
  ContributionId find(EntryId entry, OriginId origin) const;
  EntryId entry(ContributionId contribution) const { return head(contribution).entry; }
  OriginId origin(ContributionId contribution) const { return head(contribution).origin; }
  /// Of a replicated entry, whose only contribution is the accepting agent's: who wrote it.
  OriginId writer(ContributionId contribution) const { return head(contribution).writer; }
  void set_writer(ContributionId contribution, OriginId writer) { head(contribution).writer = writer; }
  Version version(ContributionId contribution) const;
  TimePoint expires(ContributionId contribution) const {
    return TimePoint(Duration(head(contribution).expires));
  }
  bool live(ContributionId contribution, TimePoint now) const { return expires(contribution) > now; }
  /// Whether the origin stores that type at all.
  bool stores(ContributionId contribution, DataType type) const;

  /// unsigned32, signed32 (sign-extended) and unsigned64 columns.
  std::uint64_t number(ContributionId contribution, const Column& column, std::uint32_t element) const;
  RateValue rate(ContributionId contribution, const Column& column, std::uint32_t element) const;
  std::string_view text(ContributionId contribution, const Column& column) const;
  /// 0: this origin never changed it.
  std::uint64_t change_number(ContributionId contribution, const Column& column, std::uint32_t element) const;
  /// The sum over all contributions of a summed column, in two halves for sums past 64 bits.
  struct Sum {
    std::uint64_t low;
    std::uint64_t high;
  };
  Sum sum(EntryId entry, const Column& column, std::uint32_t element) const;

  /// Whether entries whose total may have changed are remembered for `take_changed`. Off until someone
  /// publishes the table.
  void track_changes(bool on);
  bool has_changed() const { return !changed_.empty(); }
  bool has_changed(EntryId entry) const { return entry_head(entry).changed; }
  /// Calls |publish|(entry) once for each entry that changed since the last time.
  template <typename Publish>
  void take_changed(Publish&& publish) {
    // An entry that has gone may be in the list, and its id in it twice when it was used again.
    for (std::size_t at = 0; at < changed_.size(); ++at) {
      prefetch_ahead(at, changed_.size(), [this](std::size_t index) { return changed_[index]; });
      const EntryId entry = changed_[at];
      Entry& taken = entry_head(entry);
      if (!taken.used || !taken.changed) continue;
      taken.changed = false;
      publish(entry);
    }
    changed_.clear();
  }
  void mark_changed(EntryId entry);
  /// Off until there is somebody to tell.
  void track(Tracking tracking) { tracking_ = tracking; }
  bool has_heard() const { return !heard_.empty(); }
  /// Calls |tell|(contribution) once for each of them since the last time.
  template <typename Tell>
  void take_heard(Tell&& tell) {
    // One that has gone may be in the list, and its id in it twice when it was used again.
    for (const ContributionId id : heard_) {
      if (!holds(id) || (head(id).flags & kHeard) == 0) continue;
      head(id).flags &= ~kHeard;
      tell(id);
    }
    heard_.clear();
  }
  /// For a walk in an order of its own, at position |at| of |size|: has the processor fetch the rows of the
  /// entries |entry_at|(position) that come next, since each is several dependent reads of memory away.
  template <typename EntryAt>
  void prefetch_ahead(std::size_t at, std::size_t size, EntryAt&& entry_at) const {
    if (at + 24 < size) __builtin_prefetch(entries_.row(entry_at(at + 24)));
    if (at + 12 >= size) return;
    // Ids of entries that have gone meanwhile are valid rows all the same, whose first word links free ones.
    const Entry& soon = entry_head(entry_at(at + 12));
    if (soon.used && soon.first != kNone) __builtin_prefetch(contributions_.row(soon.first));
  }
  /// Marks every entry to which an origin contributes that type with a value other than 0: its presence has
  /// changed.
  void mark_present_sums(OriginId origin);

  /// What the publisher remembers of an entry.
  std::uint64_t published_sequence(EntryId entry) const { return entry_head(entry).sequence; }
  TimePoint published_end(EntryId entry) const { return TimePoint(Duration(entry_head(entry).end)); }
  void set_published(EntryId entry, std::uint64_t sequence, TimePoint end);
  /// When the entry's longest-living contribution ends.
  TimePoint end(EntryId entry) const;

  /// Called with an entry that is about to go, for those who keep something by its id.
  void on_removed(std::function<void(EntryId)> callback) { on_removed_ = std::move(callback); }

 private:
  struct Entry {
    std::uint64_t sequence;
    std::int64_t end;
    ContributionId first;
    std::uint32_t sums;  ///< its row of sums; kNone while it has never had a second contribution
    std::uint16_t key_size;
    bool used;
    bool changed;
  };
  /// The key follows at once, in what would be padding.
  static constexpr std::size_t kKeyOffset = 28;
  struct Contribution {
    std::int64_t expires;
    ContributionId next;
    EntryId entry;
    std::uint32_t generation;
    std::uint32_t update_id;
    OriginId origin;
    OriginId writer;
    std::uint32_t flags;
    ContributionId ahead;  ///< was kAhead further on when this one came: a hint, which may be any id
  };
  /// The values follow at once, in what would be padding.
  static constexpr std::size_t kValuesOffset = 36;
  static constexpr int kAhead = 4;
  static constexpr std::uint32_t kClearedFlag = 1;  ///< all values are 0 because an operator said so
  static constexpr std::uint32_t kOwed = 2;         ///< the origin does not know it yet
  static constexpr std::uint32_t kAdopted = 4;      ///< as another holder told it
  static constexpr std::uint32_t kHeard = 8;        ///< it is in |heard_|

  Entry& entry_head(EntryId entry) { return *reinterpret_cast<Entry*>(entries_.row(entry)); }
  const Entry& entry_head(EntryId entry) const {
    return *reinterpret_cast<const Entry*>(entries_.row(entry));
  }
  Contribution& head(ContributionId id) { return *reinterpret_cast<Contribution*>(contributions_.row(id)); }
  const Contribution& head(ContributionId id) const {
    return *reinterpret_cast<const Contribution*>(contributions_.row(id));
  }
  std::uint32_t* values(ContributionId id) {
    return reinterpret_cast<std::uint32_t*>(contributions_.row(id) + kValuesOffset);
  }
  const std::uint32_t* values(ContributionId id) const { return const_cast<Table*>(this)->values(id); }
  /// Only of an entry that has a row of sums.
  std::uint32_t* sums(EntryId id) { return reinterpret_cast<std::uint32_t*>(sums_.row(entry_head(id).sums)); }
  const std::uint32_t* sums(EntryId id) const { return const_cast<Table*>(this)->sums(id); }

  std::size_t entry_size() const { return kKeyOffset + definition_.key_size; }
  std::size_t sums_size() const { return std::max<std::size_t>(layout_.sum_words(), 1) * 4; }
  bool add_sums(EntryId entry);
  std::size_t contribution_size() const { return kValuesOffset + std::size_t{layout_.value_words()} * 4; }
  std::uint64_t hash(Bytes key) const;
  EntryId find(Bytes key, std::uint64_t hash) const;
  EntryId add_entry(Bytes key, std::uint64_t hash);
  ContributionId add_contribution(EntryId entry, OriginId origin, TimePoint expires);
  void hand_over(ContributionId contribution, OriginId origin);
  bool supersedes(const Copy& copy, ContributionId held) const;
  struct Place {
    ContributionId id;
    bool fresh;
  };
  Place place(Bytes key, OriginId origin, TimePoint expires);
  struct Written {
    bool differs = false;
    bool counted = false;  ///< differs by more than the time that its rates were on the way or idle
    bool kept = false;     ///< a larger counter than the change's
  };
  Written write(ContributionId contribution, const Plan& plan, const Change& change, bool keep_larger,
                TimePoint now);
  bool write_number(ContributionId contribution, const Column& column, std::uint32_t element,
                    std::uint64_t after);
  void write_rate(ContributionId contribution, const Column& column, std::uint32_t element,
                  const std::uint64_t* cells, TimePoint now, Written& written);
  bool write_text(ContributionId contribution, const Column& column, std::uint64_t cell,
                  std::string_view text);
  void count_change(ContributionId contribution, const Column& column, std::uint32_t element);
  void set_change_number(ContributionId contribution, const Column& column, std::uint32_t element,
                         std::uint64_t number);
  bool write_copy(ContributionId contribution, const Plan& plan, const Copy& copy, TimePoint now);
  void owe(ContributionId contribution);
  void hear(ContributionId contribution, Tracking cause = Tracking::kHeard);
  /// What follows any update of a contribution: its total may have to be published again.
  void mark_moved(EntryId entry, bool differs);
  void move_sum(EntryId entry, const Column& column, std::uint32_t element, std::uint64_t before,
                std::uint64_t after);
  void make_rows(TimePoint now);
  void remove_contribution(ContributionId contribution);
  void zero(ContributionId contribution, TimePoint now, bool owed);
  void set_expiry(ContributionId contribution, TimePoint expires);
  TimePoint expiry(const Change& change, TimePoint now) const;
  TimePoint due(TimePoint expires) const;

  std::string name_;
  TableDefinition definition_;
  Merges merges_;
  std::size_t max_entries_;
  bool single_;
  Shared* shared_;
  Layout layout_;
  std::uint32_t layout_number_ = 0;
  Slab entries_;
  Slab contributions_;
  Slab sums_;  ///< of entries with several contributions: of a single one the sum is its value
  std::unique_ptr<Index> index_;
  std::unique_ptr<Wheel> wheel_;
  std::vector<std::uint32_t> stored_types_;  ///< by origin: bit n set when it stores data type n
  std::vector<std::size_t> owed_;            ///< by origin
  std::uint32_t redefinitions_ = 0;
  std::vector<EntryId> changed_;
  bool track_changes_ = false;
  std::vector<ContributionId> heard_;
  Tracking tracking_ = Tracking::kNothing;
  TableCounters counters_;
  std::function<void(EntryId)> on_removed_;
};

}  // namespace stickmesh::store
