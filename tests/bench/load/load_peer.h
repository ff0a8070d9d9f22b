#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/net/connection.h"
#include "agent/net/connector.h"
#include "agent/net/loop.h"
#include "agent/net/timer.h"
#include "agent/peers/session/session.h"
#include "tests/bench/load/stream.h"

namespace stickmesh::bench {

struct LoadPeerSetup {
  net::SocketAddress server;
  std::string server_name;
  std::string name;
  /// What the peer says it has, whenever it is asked for a lesson; streams are of the first.
  std::vector<TableDefinition> tables;
};

/// A scripted peer: dials a server that speaks the peers protocol, keeps the session healthy, and sends
/// updates that were made before. The callbacks must be set before `start`. A session that ends is a failure
/// of the whole run.
class LoadPeer final : private peers::Handler {
 public:
  LoadPeer(net::Loop& loop, LoadPeerSetup setup);
  ~LoadPeer() override;

  void start();

  /// Sends |stream|, which must live until `on_played`, as live updates.
  void play(const Stream& stream);
  /// What is sent whenever the server asks for a lesson from now on; the |stream| must outlive the peer.
  void teach(const Stream& stream) { taught_ = &stream; }
  void send(Bytes update);
  void ask_lesson();

  std::function<void()> on_established;
  /// No lesson was asked of us or given for a while: live updates are welcome.
  std::function<void()> on_ready;
  /// The server has taken the last update of the stream.
  std::function<void()> on_played;
  std::function<void()> on_lesson_asked;      ///< of us
  std::function<void()> on_lesson_confirmed;  ///< the one we gave
  std::function<void(bool complete)> on_lesson_taken;
  std::function<void(std::string_view table, const peers::Update& update)> on_update;
  std::function<void(const std::string& why)> on_failure;

 private:
  struct Progress {
    const Stream* stream;
    std::size_t block = 0;
    bool lesson;
  };

  void connected(Result<net::UniqueFd> socket);
  void feed();
  void put_off_ready();

  Result<void> admit(const peers::Hello& /*hello*/, TimePoint /*now*/) override { return {}; }
  void established(TimePoint now) override;
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) override;
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint now) override;
  void lesson_requested(TimePoint now) override;
  void lesson_ended(bool complete, TimePoint now) override;
  void lesson_confirmed(TimePoint now) override;
  void acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint now) override;
  void writable(TimePoint /*now*/) override { feed(); }
  void closed(const Error& why, TimePoint now);

  net::Loop& loop_;
  const LoadPeerSetup setup_;
  net::Connector connector_;
  net::Timer retry_;
  net::Timer ready_;
  const TimePoint give_up_;
  bool was_ready_ = false;
  const Stream* taught_ = nullptr;
  std::optional<Progress> progress_;
  std::optional<std::uint32_t> awaited_ack_;
  std::vector<std::string> heard_;  ///< the server's tables by handle
  std::unique_ptr<net::Connection> connection_;
  peers::PeerSession* session_ = nullptr;  ///< owned by |connection_|; set once established
};

}  // namespace stickmesh::bench
