#pragma once

#include <string>

#include "agent/base/session.h"
#include "agent/events/track_counter.h"

namespace stickmesh::events {

/// A connection of `stickmesh.lua` in HAProxy: lines come, nothing is answered. Knows no socket and no clock.
/// One that sends a line without an end is closed; what was begun of a line when it ends is not counted.
class LineSession final : public Session {
 public:
  /// Without the newline. Above what any table's key needs, percent-encoded.
  static constexpr std::size_t kMaxLine = 4096;

  /// |counter| must outlive it. |from|: who it is, for the operator.
  LineSession(TrackCounter& counter, std::string from) : counter_(counter), from_(std::move(from)) {}

  Result<void> receive(Bytes in, TimePoint now) override;
  Bytes pending() const override { return {}; }
  void sent(std::size_t /*size*/, TimePoint /*now*/) override {}
  std::optional<TimePoint> deadline() const override { return {}; }
  Result<void> expire(TimePoint /*now*/) override { return {}; }
  bool wants_input() const override { return true; }
  void closed(const Error& /*why*/, TimePoint /*now*/) override {}
  const std::optional<Error>& close_reason() const override { return none_; }

 private:
  TrackCounter& counter_;
  const std::string from_;
  std::string begun_;  ///< of a line whose end has not come
  const std::optional<Error> none_;
};

}  // namespace stickmesh::events
