#include "agent/daemon/spoe_server.h"

#include <fmt/format.h>

#include <chrono>
#include <set>
#include <utility>

#include "agent/base/log.h"
#include "agent/daemon/source.h"

namespace stickmesh::daemon {

namespace {

/// HAProxy opens as many connections as there are requests at that moment, and refusing one makes it dial in
/// a tight loop (spop.md 1.2, 10).
constexpr net::UnansweredLimits kUnanswered{8192, 8192};

/// A soft stop looks so often, and ends when nobody was there for so long: HAProxy may dial anew until its
/// health checks have failed.
constexpr Duration kLook{100};
constexpr Duration kQuiet{1000};

TimePoint read_clock() {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

std::string_view word(spoe::State state) {
  switch (state) {
    case spoe::State::kHello:
      return "hello";
    case spoe::State::kHealthCheck:
      return "check";
    case spoe::State::kRunning:
      return "running";
    case spoe::State::kClosing:
    case spoe::State::kClosed:
      break;
  }
  return "closing";
}

void add_counters(spoe::Counters& sum, const spoe::Counters& more) {
  sum.events += more.events;
  sum.answered += more.answered;
  sum.overloaded += more.overloaded;
  sum.malformed += more.malformed;
  sum.failed += more.failed;
  sum.fragments_in += more.fragments_in;
  sum.fragmented_too_long += more.fragmented_too_long;
  sum.withdrawn += more.withdrawn;
  sum.actions_left_out += more.actions_left_out;
  sum.bytes_in += more.bytes_in;
  sum.bytes_out += more.bytes_out;
}

}  // namespace

SpoeServer::SpoeServer(net::Loop& loop, pipeline::Hub& hub, const config::Spoe& config)
    : loop_(loop),
      hub_(hub),
      handler_(hub),
      listens_(!config.listen.empty()),
      drain_timer_(loop, [this] { look_for_the_end(); }),
      connections_(loop, kUnanswered) {
  options_.max_frame_size = config.max_frame_size;
  options_.deadline = config.deadline;
  options_.clock = read_clock;
  options_.on_sent = [this](std::uint64_t events, TimePoint since) { note_answer_time(events, since); };
}

void SpoeServer::accept(net::UniqueFd socket, const net::SocketAddress& from) {
  if (out_of_patience_) return;
  ++accepted_;
  auto session = std::make_unique<spoe::SpoeSession>(options_, handler_, loop_.now());
  if (handler_.draining()) session->drain(loop_.now());
  add(std::move(socket), from, std::move(session));
}

void SpoeServer::add(net::UniqueFd socket, const net::SocketAddress& from,
                     std::unique_ptr<spoe::SpoeSession> session) {
  Client& client = clients_[session.get()];
  client = {source_of(from).text, loop_.now(), nullptr};
  client.connection = &connections_.add(std::move(socket), from, std::move(session),
                                        [this](net::Connection& connection, const Error& why) {
                                          closed(static_cast<spoe::SpoeSession&>(connection.session()), why);
                                        });
}

std::vector<SpoeSocket> SpoeServer::sockets() const {
  std::vector<SpoeSocket> sockets;
  for (const auto& [session, client] : clients_) {
    auto saved = session->export_state();
    if (!saved || !client.connection->is_open()) continue;
    sockets.push_back({client.connection->fd(), client.connection->peer(), std::move(*saved)});
  }
  return sockets;
}

Result<void> SpoeServer::keep(std::vector<net::UniqueFd> parcel) {
  auto sockets = unpack(std::move(parcel));
  if (!sockets) return tl::unexpected(sockets.error());
  for (ReceivedSpoeSocket& socket : *sockets) kept_.push_back(std::move(socket));
  return {};
}

void SpoeServer::serve_kept() {
  for (ReceivedSpoeSocket& kept : std::exchange(kept_, {})) {
    auto session =
        std::make_unique<spoe::SpoeSession>(options_, handler_, std::move(kept.session), loop_.now());
    // The config has no place for them any more.
    if (!listens_) session->disconnect(loop_.now());
    add(std::move(kept.socket), kept.from, std::move(session));
  }
}

// HAProxy ends its connections, and every health check, without a word (spop.md 1.10).
void SpoeServer::closed(const spoe::SpoeSession& session, const Error& why) {
  const auto client = clients_.find(const_cast<spoe::SpoeSession*>(&session));
  const Error& reason = session.ended() ? *session.ended() : why;
  const spoe::Counters& counters = session.counters();
  if (session.frame_size() != 0 && session.engine_id().empty() && counters.events == 0) ++health_checks_;
  add_counters(past_, counters);
  const std::string where = fmt::format("SPOE client {}", client->second.address);
  if (reason.reason == Reason::kConnectionLost) {
    log::debug("{}: {}", where, to_string(reason));
  } else {
    hub_.errors().record(reason, where, loop_.now());
  }
  clients_.erase(client);
}

void SpoeServer::resume() {
  handler_.set_replaced(false);
  connections_.resume();
}

void SpoeServer::hand_on() {
  handler_.set_replaced(true);
  connections_.drop_all();
  clients_.clear();
}

void SpoeServer::note_answer_time(std::uint64_t events, TimePoint since) {
  // Mostly all came with this wake-up, whose time is known better than |since|.
  const auto began = since == loop_.now() ? loop_.woke() : std::chrono::steady_clock::time_point(since);
  const auto took = std::chrono::steady_clock::now() - began;
  answer_times_.add(std::chrono::duration_cast<RecentTimes::Microseconds>(took), events, loop_.now());
}

bool SpoeServer::in_use() const {
  for (const auto& [session, client] : clients_) {
    if (session->state() == spoe::State::kRunning) return true;
  }
  return false;
}

void SpoeServer::drain(Duration patience, std::function<void()> done) {
  handler_.drain();
  drained_ = std::move(done);
  drain_end_ = loop_.now() + patience;
  last_used_ = loop_.now();
  for (const auto& [session, client] : clients_) session->drain(loop_.now());
  drain_timer_.set(loop_.now() + kLook);
}

void SpoeServer::look_for_the_end() {
  const TimePoint now = loop_.now();
  if (in_use()) last_used_ = now;
  if (now >= last_used_ + kQuiet || (out_of_patience_ && clients_.empty())) return drained_();
  if (now >= drain_end_ && !out_of_patience_) {
    out_of_patience_ = true;
    for (const auto& [session, client] : clients_) session->disconnect(now);
  }
  drain_timer_.set(now + kLook);
}

admin::SpoeOverview SpoeServer::overview(TimePoint now) const {
  admin::SpoeOverview overview;
  std::uint64_t in_flight = 0;
  spoe::Counters all = past_;
  std::set<std::string_view> engines;
  for (const auto& [session, client] : clients_) {
    const spoe::Counters& counters = session->counters();
    add_counters(all, counters);
    in_flight += session->in_flight();
    if (!session->engine_id().empty()) engines.insert(session->engine_id());
    overview.connections.push_back({client.address, session->engine_id(), std::string(word(session->state())),
                                    client.since, session->frame_size(), counters.events,
                                    counters.events - counters.answered, session->in_flight()});
  }
  const spoe::EventCounters& events = handler_.counters();
  const RecentTimes::Summary times = answer_times_.summary(now);
  const auto microseconds = [](RecentTimes::Microseconds time) {
    return static_cast<std::uint64_t>(time.count());
  };
  overview.numbers = {{"Draining", handler_.draining() ? 1 : 0},
                      {"Engines", engines.size()},
                      {"Connections", clients_.size()},
                      {"Connections_total", accepted_},
                      {"Health_checks_total", health_checks_},
                      {"In_flight", in_flight},
                      {"Events_per_second", times.per_second},
                      {"Answer_us_p50", microseconds(times.p50)},
                      {"Answer_us_p99", microseconds(times.p99)},
                      {"Answer_us_max", microseconds(times.max)},
                      {"Events_total", all.events},
                      {"Answered_total", all.answered},
                      {"Overloaded_total", all.overloaded},
                      {"Malformed_total", all.malformed},
                      {"Failed_total", all.failed},
                      {"Withdrawn_total", all.withdrawn},
                      {"Fragments_total", all.fragments_in},
                      {"Fragmented_too_long_total", all.fragmented_too_long},
                      {"Variables_left_out_total", all.actions_left_out},
                      {"Tracked_total", events.tracked},
                      {"Looked_up_total", events.looked_up},
                      {"Set_total", events.set},
                      {"Without_key_total", events.without_key},
                      {"Refused_total", events.refused},
                      {"Hook_messages_total", events.hooked},
                      {"Unknown_messages_total", events.unknown},
                      {"Bytes_in_total", all.bytes_in},
                      {"Bytes_out_total", all.bytes_out}};
  return overview;
}

}  // namespace stickmesh::daemon
