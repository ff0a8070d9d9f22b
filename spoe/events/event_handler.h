#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/pipeline/hub.h"
#include "agent/pipeline/own_writer.h"
#include "spoe/events/other_messages.h"
#include "spoe/events/table_view.h"
#include "spoe/events/uses.h"
#include "spoe/session/handler.h"

namespace stickmesh::spoe {

/// What has become of messages since the start.
struct EventCounters {
  std::uint64_t tracked = 0;
  std::uint64_t looked_up = 0;
  std::uint64_t set = 0;
  std::uint64_t without_key = 0;  ///< of the above: HAProxy had no sample for the key
  std::uint64_t hooked = 0;       ///< handled by a Lua hook
  std::uint64_t refused = 0;      ///< a wrong argument, or no room: without variables
  std::uint64_t unknown = 0;      ///< of a kind that nothing handles: without variables
};

/// The messages `track`, `lookup` and `set` (DESIGN, "SPOE messages"): counts in the agent's own contribution
/// and answers totals. One for all connections, which it outlives.
///
/// All messages of an event are read and checked before the first of them takes effect: what is counted is
/// always answered as such. A wrong message is left without variables, recorded in the hub's errors, and does
/// not keep the others from taking effect.
class EventHandler final : public Handler {
 public:
  explicit EventHandler(pipeline::Hub& hub) : hub_(hub), views_(hub.registry(), hub.limits()), writer_(hub) {}

  void established(const HaproxyHello& hello, TimePoint now) override;
  Result<void> notified(MessageReader messages, Answer& answer, TimePoint now) override;
  void refused(std::uint64_t events, const Error& why, TimePoint now) override;
  bool draining() const override { return draining_; }

  /// From now on health checks fail.
  void drain() { draining_ = true; }
  /// Whether another process counts in place of this one: every event is then answered with `ok` false.
  void set_replaced(bool replaced) { replaced_ = replaced; }

  /// Who handles messages that are no `track`, `lookup` or `set`; must outlive it.
  void set_others(OtherMessages& others) { others_ = &others; }

  const EventCounters& counters() const { return counters_; }

 private:
  struct Prepared {
    std::string_view message;
    Use* use = nullptr;
    TableView* view = nullptr;
    bool has_key = false;
    std::size_t key = 0, key_size = 0;        ///< in |keys_|
    std::size_t first = 0, count = 0;         ///< in |named_|
    std::size_t first_value = 0, values = 0;  ///< in |values_|; of a hook's message, its |arguments_|
  };

  Result<void> prepare(const Message& message, Use& use, MessageReader& reader);
  Result<void> prepare_table(MessageReader& reader, Prepared& prepared);
  Result<void> prepare_key(MessageReader& reader, Prepared& prepared);
  void prepare_other(const Message& message, Use& use, MessageReader& reader);
  Result<void> prepare_value(const Argument& argument, Prepared& prepared);
  void carry_out_other(const Prepared& prepared, Answer& answer, TimePoint now);
  void carry_out(const Prepared& prepared, Answer& answer, TimePoint now);
  void answer_totals(const Prepared& prepared, store::EntryId entry, Answer& answer, TimePoint now);
  /// What the limits say to the totals that an event is answered.
  struct Verdict {
    bool limited = false;  ///< there are limits
    const pipeline::Limit* refuser =
        nullptr;       ///< that is exceeded: one that is enforced first, then the longest
    Duration wait{0};  ///< until it is not any more
  };
  void judge(TableView& view, store::EntryId entry, const Field& field, const Value& total, TimePoint now,
             Verdict& verdict) const;
  void answer_verdict(const Use& use, const Verdict& verdict, Answer& answer) const;
  void record(std::string_view message, const Error& why, TimePoint now);

  pipeline::Hub& hub_;
  TableViews views_;
  Uses uses_;
  pipeline::OwnWriter writer_;
  OtherMessages* others_ = nullptr;
  EventCounters counters_;
  bool draining_ = false;
  bool replaced_ = false;
  // Of the event at hand; kept for their memory.
  std::vector<Prepared> prepared_;
  std::vector<std::byte> keys_;
  std::vector<std::uint32_t> named_;  ///< fields that a message names, which are what it is answered
  std::vector<pipeline::OwnValue> values_;
  std::vector<Argument> arguments_;  ///< of messages for hooks
};

}  // namespace stickmesh::spoe
