#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/peers/session/session.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/relayed_inputs.h"
#include "agent/pipeline/table_sending.h"

/// The two ends of the session by which an agent's process teaches the next one at a soft restart (DESIGN,
/// "Start, soft restart, crash"). Both call themselves by the agent's name, which no listener lets in.
namespace stickmesh::pipeline {

/// What both ends have in common: a session whose events their owner waits for.
class SuccessionLink : public Session, protected peers::Handler {
 public:
  Result<void> receive(Bytes in, TimePoint now) override { return session_.receive(in, now); }
  Bytes pending() const override { return session_.pending(); }
  void sent(std::size_t size, TimePoint now) override { session_.sent(size, now); }
  std::optional<TimePoint> deadline() const override { return session_.deadline(); }
  Result<void> expire(TimePoint now) override { return session_.expire(now); }
  bool wants_input() const override { return session_.wants_input(); }
  void closed(const Error& why, TimePoint now) override { session_.closed(why, now); }
  const std::optional<Error>& close_reason() const override { return session_.close_reason(); }

 protected:
  SuccessionLink(Hub& hub, peers::Role role, TimePoint now);

  Result<void> admit(const peers::Hello& hello, TimePoint now) override;
  void established(TimePoint /*now*/) override {}
  std::optional<std::uint32_t> table_defined(const TableDefinition&, TimePoint) override { return {}; }
  void updated(std::uint32_t, const peers::Update&, TimePoint) override {}
  void lesson_requested(TimePoint /*now*/) override {}
  void lesson_ended(bool /*complete*/, TimePoint /*now*/) override {}
  void lesson_confirmed(TimePoint /*now*/) override {}
  void acknowledged(peers::TableId, std::uint32_t, TimePoint) override {}
  void writable(TimePoint /*now*/) override { hub_.wake(); }

  Hub& hub_;
  peers::PeerSession session_;
};

/// Of the old process: everything in a lesson, then each change. While it lives the hub's tables keep all
/// changes for it.
class TeachingLink final : public SuccessionLink {
 public:
  TeachingLink(Hub& hub, TimePoint now);
  ~TeachingLink() override;

  /// Sends what the other has not got yet, until the buffer is full. To be called after `Hub::run`, and with
  /// |freeze| in its place: then nothing comes in any more. An error says why the other can't be taught.
  Result<void> run(TimePoint now, bool freeze = false);
  /// Whether `run` has to be called again without any other cause.
  bool busy() const { return in_lesson_ && session_.pending().empty(); }
  /// The other has been sent all that there is, and the last bytes of it are with the kernel.
  bool all_sent() const { return taught_ && done_ && session_.pending().empty(); }
  /// How many contributions were too long for a message.
  std::uint64_t left_out() const { return session_.traffic().updates_too_long; }
  /// Bytes of the session.
  std::uint64_t size() const { return session_.traffic().bytes_out; }

 private:
  void lesson_requested(TimePoint now) override;

  TableSending sending_;
  bool lesson_asked_ = false;
  bool in_lesson_ = false;
  bool taught_ = false;
  bool done_ = false;  ///< at the last `run`
};

/// Of the new process, which has heard from nobody else.
class LearningLink final : public SuccessionLink {
 public:
  /// |on_learned|: the lesson is over; from then on come changes alone. |on_received|: some have come.
  LearningLink(Hub& hub, std::function<void()> on_learned, std::function<void()> on_received, TimePoint now);

  Result<void> receive(Bytes in, TimePoint now) override;
  /// Bytes of the session that have come.
  std::uint64_t size() const { return session_.traffic().bytes_in; }

 private:
  void established(TimePoint now) override;
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) override;
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint now) override;
  void lesson_ended(bool complete, TimePoint now) override;

  const std::function<void()> on_learned_;
  const std::function<void()> on_received_;
  RelayedInputs inputs_;
};

}  // namespace stickmesh::pipeline
