#include "tests/bench/load/load_peer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace stickmesh::bench {

namespace {

constexpr Duration kPatience{10000};
constexpr Duration kRetry{50};
constexpr Duration kQuiet{300};
constexpr std::size_t kLowWater = 256 * 1024;
constexpr std::size_t kHighWater = 512 * 1024;

template <typename Callback, typename... Arguments>
void call(const Callback& callback, Arguments&&... arguments) {
  if (callback) callback(std::forward<Arguments>(arguments)...);
}

}  // namespace

LoadPeer::LoadPeer(net::Loop& loop, LoadPeerSetup setup)
    : loop_(loop),
      setup_(std::move(setup)),
      connector_(loop, [this](Result<net::UniqueFd> socket) { connected(std::move(socket)); }),
      retry_(loop, [this] { start(); }),
      ready_(loop,
             [this] {
               if (!std::exchange(was_ready_, true)) call(on_ready);
             }),
      give_up_(loop.now() + kPatience) {}

LoadPeer::~LoadPeer() {
  on_failure = nullptr;  // dropping the connection is none
}

void LoadPeer::start() {
  connector_.start(setup_.server, kPatience);
}

void LoadPeer::connected(Result<net::UniqueFd> socket) {
  if (!socket) {
    if (loop_.now() < give_up_) return retry_.set(loop_.now() + kRetry);
    return call(on_failure, to_string(socket.error()));
  }
  peers::Options options;
  options.role = peers::Role::kDialling;
  options.local_name = setup_.name;
  options.remote_name = setup_.server_name;
  options.pid = static_cast<std::uint64_t>(::getpid());
  options.low_water = kLowWater;
  connection_ = std::make_unique<net::Connection>(
      loop_, std::move(*socket), setup_.server,
      std::make_unique<peers::PeerSession>(std::move(options), static_cast<peers::Handler&>(*this),
                                           loop_.now()),
      [this](net::Connection&, const Error&) { loop_.bury(std::move(connection_)); });
}

void LoadPeer::established(TimePoint /*now*/) {
  session_ = static_cast<peers::PeerSession*>(&connection_->session());
  put_off_ready();
  call(on_established);
}

void LoadPeer::put_off_ready() {
  if (!was_ready_) ready_.set(loop_.now() + kQuiet);
}

void LoadPeer::play(const Stream& stream) {
  if (stream.empty()) return call(on_played);
  awaited_ack_ = stream.last_id;
  progress_ = Progress{&stream, 0, /*lesson=*/false};
  feed();
}

void LoadPeer::send(Bytes update) {
  session_->select(1, setup_.tables.front());
  session_->append_update(update);
}

void LoadPeer::ask_lesson() {
  session_->request_lesson(loop_.now());
}

void LoadPeer::feed() {
  while (progress_ && session_->pending().size() < kHighWater) {
    const Stream& stream = *progress_->stream;
    if (progress_->block < stream.block_ends.size()) {
      send(stream.block(progress_->block++));
      continue;
    }
    const bool lesson = progress_->lesson;
    progress_.reset();
    if (lesson) session_->finish_lesson(/*complete=*/true, loop_.now());
  }
}

std::optional<std::uint32_t> LoadPeer::table_defined(const TableDefinition& definition, TimePoint /*now*/) {
  const auto known = std::find(heard_.begin(), heard_.end(), definition.name);
  const auto handle = static_cast<std::uint32_t>(known - heard_.begin());
  if (known == heard_.end()) heard_.push_back(definition.name);
  return handle;
}

void LoadPeer::updated(std::uint32_t handle, const peers::Update& update, TimePoint /*now*/) {
  call(on_update, heard_[handle], update);
}

void LoadPeer::lesson_requested(TimePoint now) {
  put_off_ready();
  call(on_lesson_asked);
  // The first comes last, because the stream is about it.
  for (std::size_t index = setup_.tables.size(); index > 0; --index) {
    session_->select(static_cast<peers::TableId>(index), setup_.tables[index - 1]);
  }
  if (taught_ == nullptr) return session_->finish_lesson(/*complete=*/true, now);
  progress_ = Progress{taught_, 0, /*lesson=*/true};
  feed();
}

void LoadPeer::lesson_ended(bool complete, TimePoint /*now*/) {
  put_off_ready();
  call(on_lesson_taken, complete);
}

void LoadPeer::lesson_confirmed(TimePoint /*now*/) {
  put_off_ready();
  call(on_lesson_confirmed);
}

void LoadPeer::acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint /*now*/) {
  if (table != 1 || awaited_ack_ != update_id) return;
  awaited_ack_.reset();
  call(on_played);
}

void LoadPeer::closed(const Error& why, TimePoint /*now*/) {
  session_ = nullptr;
  call(on_failure, to_string(why));
}

}  // namespace stickmesh::bench
