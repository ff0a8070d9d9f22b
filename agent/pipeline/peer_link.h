#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/mesh_link.h"
#include "agent/pipeline/progress.h"
#include "agent/pipeline/restorer.h"
#include "agent/pipeline/row_table.h"
#include "agent/pipeline/subscriptions.h"

namespace stickmesh::pipeline {

/// A table that an instance sends us.
struct Input {
  TableRecord* record = nullptr;
  TableDefinition definition;
  store::Plan plan;  ///< empty while the definition does not fit the standing one
  std::uint32_t layout_number = 0;
  std::uint32_t redefinitions = 0;
  std::uint64_t updates = 0;
  std::uint32_t* live_id = nullptr;  ///< of the peer's process: its newest live update of this table
  std::string problem;               ///< why it does not fit; empty when it does
};

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
  /// Something came from it lately (DESIGN, "Is the total to be trusted?").
  bool heard_lately(TimePoint now) const;

  /// Sends what the peer has not got yet, until its buffer is full; later work of lessons.
  void run(TimePoint now);
  /// When `run` has to be called without any other cause.
  std::optional<TimePoint> next_run() const;

  /// Whether marks, and limits with them, have someone to go to.
  bool wants_marks() const {
    return synchronised_ && (status_.wanted() || limits_.wanted()) && publishing_ == Hub::Publishing::kHere;
  }
  /// The other half of a session with an agent; null with an instance.
  const MeshLink* mesh() const { return mesh_.get(); }
  /// Another session takes its place.
  void replaced() {
    if (mesh_) mesh_->interrupted();
  }
  Hub::Publishing publishing() const { return publishing_; }
  /// Another agent has sent it totals, too: what it made of them is to be seen.
  void compare_totals(TimePoint now);
  /// Everything it says is of another generation now.
  void learn_again(TimePoint now) { ask(now); }

  /// Notes what has arrived until now; `caught_up` tells when all that has been taken.
  void note_arrived() { arrived_ = session_.traffic().bytes_in + unread(); }
  bool caught_up() const;
  void place_barrier(const Mark& mark) {
    if (wants_marks()) subscriptions_.place_barrier(mark);
  }

  /// Tells the instance that |key| of its own table counts from 0 again. False when it has no such table.
  bool clear_at_instance(const TableRecord& record, store::EntryId entry, TimePoint now);

  const std::vector<Input>& inputs() const { return inputs_; }
  const Subscriptions& subscriptions() const { return subscriptions_; }
  /// How many tables either side has told the other of, and what waits to be told.
  std::size_t tables_in() const { return mesh_ ? mesh_->tables_in() : inputs_.size(); }
  std::size_t tables_out() const { return mesh_ ? mesh_->tables_out() : subscriptions_.all().size(); }
  std::uint64_t backlog() const { return mesh_ ? mesh_->backlog() : subscriptions_.backlog(); }
  /// Each of those tables.
  std::vector<TableProgress> progress() const;
  /// What does not fit between the instance's tables and ours, in words; empty when all is well.
  std::string problems() const;

 private:
  friend class Hub;

  Result<void> admit(const peers::Hello& hello, TimePoint now) override;
  void established(TimePoint now) override;
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) override;
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint now) override;
  void lesson_requested(TimePoint now) override;
  void lesson_ended(bool complete, TimePoint now) override;
  void lesson_confirmed(TimePoint now) override;
  void acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint now) override;
  void writable(TimePoint /*now*/) override { hub_.wake(); }

  void join_mesh();
  /// It is the peer's live session.
  bool runs() const { return running() && peer_ != nullptr && peer_->link == this; }
  std::string name() const;
  void complain(const Error& error, TimePoint now);
  /// A second table under the same canonical name ("/http" beside "http") is one too many.
  bool clashes(const TableDefinition& definition, TimePoint now);
  Input& input_of(TableRecord& record, const TableDefinition& definition, TimePoint now);
  /// Takes the instance's tables as it defined them in an earlier session.
  void recall_inputs(TimePoint now);
  void fit(Input& input, TimePoint now);
  void fit_all(TimePoint now);
  void hear_server(const Input& input, const peers::Update& update);
  /// The place in the instance's own count of changes.
  static std::uint32_t own_number(Input& input, const peers::Update& update);
  store::Applied replicate(Input& input, const peers::Update& update, store::Change& change, TimePoint now);
  /// Sees who publishes to this instance now, and takes over or leaves it.
  void choose_publisher(TimePoint now);
  void take_over(TimePoint now);
  /// Asks for the lesson that shows what the instance made of another agent's totals.
  void compare_later(TimePoint now, Duration wait);
  void follow(TimePoint now);
  void ask(TimePoint now, bool audit = false);
  void begin_lesson(TimePoint now);
  bool audit_due() const;
  bool write_inputs(TimePoint now);
  void settle(std::size_t input, store::EntryId entry);
  void end_lesson(TimePoint now);
  void send_marks(TimePoint now);

  Hub& hub_;
  Peer* peer_;  ///< null until a caller has said who it is
  Source source_;
  peers::PeerSession session_;
  std::vector<Input> inputs_;
  std::map<std::string, std::string> wire_names_;  ///< canonical name to the one announced
  std::map<std::string, std::string> clashes_;     ///< the second table's name, and what is wrong
  std::unique_ptr<MeshLink> mesh_;
  Subscriptions subscriptions_;
  RowTable status_;
  RowTable limits_;
  std::uint64_t arrived_ = 0;

  Hub::Publishing publishing_ = Hub::Publishing::kNowhere;
  bool follows_ = false;  ///< another agent has published since we last did
  /// While another agent publishes: how far its changes of replicated tables had come, every `kFollowStep`.
  std::deque<std::map<std::string, std::uint32_t, std::less<>>> followed_ids_;
  TimePoint next_follow_{};
  Duration compare_wait_{0};

  bool synchronised_ = false;
  bool giving_lesson_ = false;
  /// Of a new process until it has said all that it has, and from a request for a lesson until it has taken
  /// ours: its counters may begin anew and be smaller than they will be.
  bool keeps_larger_ = false;
  bool kept_larger_ = false;  ///< it has made a difference since
  /// Our lesson is given; the one asked for after it says what the instance made of it.
  bool taught_ = false;
  Restorer restorer_;
  std::size_t restored_inputs_ = 0;
  /// What is being written to the instance's own tables, in slices.
  enum class Walk : std::uint8_t {
    kNone,
    kCleared,  ///< keys that were cleared while it was away
    kLesson,   ///< these, and what it had counted before
  };
  Walk walk_ = Walk::kNone;
  bool restoring_ = false;  ///< in the middle of an input's entries
  TimePoint asked_{};
  TimePoint next_audit_{};
  bool auditing_ = false;                ///< the lesson that was last asked for is one
  std::optional<TimePoint> ask_again_;   ///< for a lesson that was only partial
  std::optional<TimePoint> lesson_due_;  ///< when the lesson that was asked of us starts at the latest
};

}  // namespace stickmesh::pipeline
