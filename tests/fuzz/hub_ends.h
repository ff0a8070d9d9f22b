#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/pipeline/hub.h"
#include "tests/fuzz/check.h"

namespace stickmesh::pipeline {

/// The agent's end of a connection, driven as net::Connection drives it, but without a socket.
class End {
 public:
  End(Hub& hub, std::unique_ptr<Session> session) : hub_(hub), session_(std::move(session)) {
    session_->set_unread([this] { return arrived_.size(); });
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  bool open() const { return session_ != nullptr; }

  /// What the other side writes waits until the agent reads.
  void write(Bytes bytes) { arrived_.insert(arrived_.end(), bytes.begin(), bytes.end()); }
  /// Has the agent read, if it wants to. False when nothing happened.
  bool read(TimePoint now) {
    settle({}, now);
    if (arrived_.empty() || !open() || session_->close_reason() || !session_->wants_input()) return false;
    const std::vector<std::byte> bytes = std::exchange(arrived_, {});
    settle(session_->receive(bytes, now), now);
    return true;
  }

  /// What the other side reads of it, |size| bytes at most.
  std::vector<std::byte> take(std::size_t size, TimePoint now) {
    if (!open()) return {};
    const Bytes pending = session_->pending();
    size = std::min(size, pending.size());
    const std::vector<std::byte> taken(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(size));
    if (size > 0) {
      session_->sent(size, now);
      linger_until_.reset();
    }
    settle({}, now);
    return taken;
  }

  std::optional<TimePoint> deadline() const {
    if (!open()) return std::nullopt;
    return linger_until_ ? linger_until_ : session_->deadline();
  }
  void keep_time(TimePoint now) {
    if (!open()) return;
    if (linger_until_ && *linger_until_ <= now) return finish({Reason::kNotReading, {}}, now);
    const auto due = session_->deadline();
    settle(due && *due <= now ? session_->expire(now) : Result<void>(), now);
    FUZZ_CHECK(!open() || !deadline() || *deadline() > now);
  }

  void finish(const Error& why, TimePoint now) {
    if (!open()) return;
    const std::uint64_t counted = hub_.errors().count(why.reason);
    session_->set_unread({});
    session_->closed(why, now);
    session_.reset();
    FUZZ_CHECK(hub_.errors().count(why.reason) == counted + 1);
  }

 private:
  void settle(const Result<void>& outcome, TimePoint now) {
    if (!open()) return;
    // Copies: what they come from goes with the session.
    if (!outcome) return finish(Error(outcome.error()), now);
    const std::optional<Error> reason = session_->close_reason();
    if (!reason) return;
    if (session_->pending().empty()) return finish(*reason, now);
    if (!linger_until_) linger_until_ = now + Duration(5000);
  }

  Hub& hub_;
  std::unique_ptr<Session> session_;
  std::vector<std::byte> arrived_;
  std::optional<TimePoint> linger_until_;
};

/// What one update says: the cells of a table's types in order, and the text of its server_key.
struct Values {
  std::vector<std::uint64_t> cells;
  std::string text;
};

/// A well-behaved instance: it announces its tables, pushes what it is told to and remembers the totals that
/// it gets.
class Neighbour final : public peers::Handler {
 public:
  Neighbour(Hub& hub, const std::string& name, std::uint64_t pid, Source source, TimePoint now)
      : session_(options(name, pid), *this, now), end_(hub, hub.accept(std::move(source), now)) {}

  bool up() const { return established_ && end_.open() && session_.state() == peers::State::kRunning; }
  std::uint64_t heartbeats() const { return session_.traffic().heartbeats_in; }
  /// The cells of the last total of |key| that came under the table name |table|; null before the first.
  const std::vector<std::uint64_t>* total(const std::string& table, const std::string& key) const {
    const auto found = totals_.find({table, key});
    return found == totals_.end() ? nullptr : &found->second;
  }

  void announce(peers::TableId id, const TableDefinition& definition) { session_.select(id, definition); }
  void push(peers::TableId id, const TableDefinition& definition, const std::string& key,
            const Values& values) {
    session_.select(id, definition);
    encoder_.begin(++update_id_, {});
    encoder_.key(definition.key_type, as_bytes(key));
    std::size_t at = 0;
    for (const StoredType& stored : definition.types) {
      for (std::uint32_t element = 0; element < stored.elements; ++element) {
        if (traits(stored.type).kind == ValueKind::kRate) {
          encoder_.rate(static_cast<std::uint32_t>(values.cells[at]),
                        static_cast<std::uint32_t>(values.cells[at + 1]),
                        static_cast<std::uint32_t>(values.cells[at + 2]));
          at += 3;
        } else if (traits(stored.type).kind == ValueKind::kDictionary) {
          encoder_.server_key(values.text);
          ++at;
        } else {
          encoder_.number(values.cells[at++]);
        }
      }
    }
    session_.append_update(encoder_.finish());
  }

  /// Carries what both sides have to say. False when that was nothing.
  bool exchange(TimePoint now) {
    end_.write(session_.pending());
    session_.sent(session_.pending().size(), now);
    const bool said = end_.read(now);
    const std::vector<std::byte> heard = end_.take(std::size_t{1} << 30U, now);
    if (!heard.empty()) FUZZ_CHECK(session_.receive(heard, now).has_value());
    return said || !heard.empty();
  }

  std::optional<TimePoint> deadline() const {
    const auto ours = session_.deadline();
    const auto theirs = end_.deadline();
    if (!ours || !theirs) return ours ? ours : theirs;
    return std::min(*ours, *theirs);
  }
  void keep_time(TimePoint now) {
    if (const auto due = session_.deadline(); due && *due <= now) {
      FUZZ_CHECK(session_.expire(now).has_value());
    }
    end_.keep_time(now);
  }
  void leave(TimePoint now) { end_.finish({Reason::kConnectionLost, {}}, now); }

 private:
  static peers::Options options(const std::string& name, std::uint64_t pid) {
    peers::Options options;
    options.role = peers::Role::kDialling;
    options.local_name = name;
    options.remote_name = "agent";
    options.pid = pid;
    return options;
  }

  Result<void> admit(const peers::Hello&, TimePoint) override { return {}; }
  void established(TimePoint) override { established_ = true; }
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint) override {
    tables_.push_back(definition.name);
    return static_cast<std::uint32_t>(tables_.size() - 1);
  }
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint) override {
    totals_[{tables_[handle], std::string(as_text(update.key))}] = {update.cells.begin(), update.cells.end()};
  }
  void lesson_requested(TimePoint now) override { session_.finish_lesson(/*complete=*/true, now); }
  void lesson_ended(bool, TimePoint) override {}
  void lesson_confirmed(TimePoint) override {}
  void acknowledged(peers::TableId, std::uint32_t, TimePoint) override {}
  void writable(TimePoint) override {}

  peers::PeerSession session_;
  End end_;
  peers::UpdateEncoder encoder_;
  std::uint32_t update_id_ = 0;
  bool established_ = false;
  std::vector<std::string> tables_;
  std::map<std::pair<std::string, std::string>, std::vector<std::uint64_t>> totals_;
};

}  // namespace stickmesh::pipeline
