#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "agent/base/result.h"
#include "agent/net/socket_address.h"
#include "agent/net/unique_fd.h"
#include "spoe/wire/buffer.h"
#include "spoe/wire/frame.h"
#include "tests/bench/spoe/events.h"

namespace stickmesh::bench {

/// A server that works answers sooner.
inline constexpr int kPatienceMs = 10'000;

/// Events that all connections take from, until none is left.
struct Work {
  Payloads& payloads;
  std::uint64_t left;                  ///< to be sent
  std::vector<std::uint32_t> times{};  ///< ns from sending to the answer, of each that was answered
};

/// One connection of HAProxy's SPOE filter, with a fixed number of events in flight. Every answer must be an
/// ACK of an event in flight that sets `ok` to true: anything else is an error, and ends the run.
class LoadClient {
 public:
  /// Connects and shakes hands.
  static Result<LoadClient> open(const net::SocketAddress& server, std::size_t in_flight);

  /// Sends the first events of |work|, which must live until all are answered.
  Result<void> begin(Work& work);
  /// Reads once, and sends a new event for each that was answered.
  Result<void> receive();
  /// Sends what waits.
  Result<void> flush();

  int fd() const { return socket_.get(); }
  bool unsent() const { return !output_.empty(); }

 private:
  using Clock = std::chrono::steady_clock;
  /// An event in flight; its place follows from the id of its stream, so that answers may come in any order.
  struct Slot {
    std::uint64_t stream_id;
    bool in_flight = false;
    Clock::time_point sent{};
  };

  LoadClient(net::UniqueFd socket, std::size_t in_flight);

  Result<void> shake_hands();
  /// One read, behind what is kept of the last one.
  Result<void> read();
  /// The next whole frame of what was read, from |at| on, which is moved behind it; kNeedMore: none is left.
  spoe::Frame next_frame(std::size_t& at);
  Result<void> take_answer(const spoe::Frame& frame, Clock::time_point now);
  void start(Slot& slot, Clock::time_point now);

  net::UniqueFd socket_;
  std::vector<Slot> slots_;
  std::vector<std::byte> input_;
  std::size_t received_ = 0;  ///< in |input_|
  spoe::Buffer output_;
  Work* work_ = nullptr;
};

}  // namespace stickmesh::bench
