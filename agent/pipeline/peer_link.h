#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/restorer.h"

namespace stickmesh::pipeline {

/// One peers session joined to the tables: what it says goes into them, and their totals go to it. Owned by
/// the connection as its session; known to the hub from its making to `closed`.
class PeerLink final : public Session, private peers::Handler {
 public:
  PeerLink(Hub& hub, peers::Options options, Peer* dialled, Source source, TimePoint now);
  ~PeerLink() override;

  Result<void> receive(Bytes in, TimePoint now) override;
  Bytes pending() const override { return session_.pending(); }
  void sent(std::size_t size, TimePoint now) override { session_.sent(size, now); }
  std::optional<TimePoint> deadline() const override { return session_.deadline(); }
  Result<void> expire(TimePoint now) override { return session_.expire(now); }
  bool wants_input() const override { return session_.wants_input(); }
  void closed(const Error& why, TimePoint now) override;
  const std::optional<Error>& close_reason() const override { return session_.close_reason(); }

  peers::PeerSession& session() { return session_; }
  const peers::PeerSession& session() const { return session_; }
  const Source& source() const { return source_; }
  bool running() const { return session_.state() == peers::State::kRunning; }
  /// The instance has answered our request with all that it has.
  bool synchronised() const { return synchronised_; }

  /// Sends what the peer has not got yet, until its buffer is full; later work of lessons.
  void run(TimePoint now);
  /// When `run` has to be called without any other cause.
  std::optional<TimePoint> next_run() const;

  /// A table that the peer sends us.
  struct Input {
    TableRecord* record;
    store::Plan plan;
    std::uint32_t layout_number;
    TableDefinition definition;
    std::uint64_t updates = 0;
  };
  /// A total that we send it. Its number on the wire is its index plus one.
  struct Subscription {
    TableDefinition announced;
    TableRecord* record;
    std::optional<ShapeId> shape;  ///< nothing while the definitions do not fit
    std::uint32_t layout_number;
    std::uint64_t cursor = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t lesson_end = 0;  ///< where the lesson that we give ends
  };
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<Subscription>& subscriptions() const { return subscriptions_; }

 private:
  friend class Hub;

  Result<void> admit(const peers::Hello& hello, TimePoint now) override;
  void established(TimePoint now) override;
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) override;
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint now) override;
  void lesson_requested(TimePoint now) override;
  void lesson_ended(bool complete, TimePoint now) override;
  void lesson_confirmed(TimePoint /*now*/) override {}
  void acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint now) override;
  void writable(TimePoint /*now*/) override { hub_.wake(); }

  std::string name() const;
  /// A second table under the same canonical name ("/http" beside "http") is one too many.
  bool clashes(const TableDefinition& definition, TimePoint now);
  void subscribe_announced();
  void shape(Subscription& subscription);
  void rewind();
  void begin_lesson();
  bool restore(TimePoint now);
  void end_lesson(TimePoint now);
  bool lesson_given() const;
  bool send(Subscription& subscription, TimePoint now);

  Hub& hub_;
  Peer* peer_;  ///< null until a caller has said who it is
  Source source_;
  peers::PeerSession session_;
  std::vector<Input> inputs_;
  std::map<std::string, std::string> wire_names_;   ///< canonical name to the one announced
  std::map<std::string, TableDefinition> awaited_;  ///< outputs announced whose input nobody has defined yet
  std::vector<Subscription> subscriptions_;
  std::uint64_t outputs_number_ = 0;
  bool new_process_ = false;
  bool synchronised_ = false;
  bool giving_lesson_ = false;
  /// Of a new process until it has said all that it has, and from a request for a lesson until it has taken
  /// ours: its counters may begin anew and be smaller than they will be.
  bool keeps_larger_ = false;
  bool kept_larger_ = false;  ///< it has made a difference since
  bool taught_ =
      false;  ///< our lesson is given; the one asked for after it says what the instance made of it
  Restorer restorer_;
  std::size_t restored_inputs_ = 0;
  bool restoring_ = false;               ///< in the middle of an input's entries
  std::optional<TimePoint> ask_again_;   ///< for a lesson that was only partial
  std::optional<TimePoint> lesson_due_;  ///< when the lesson that was asked of us starts at the latest
};

}  // namespace stickmesh::pipeline
