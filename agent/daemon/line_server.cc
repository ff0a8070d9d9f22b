#include "agent/daemon/line_server.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "agent/base/log.h"
#include "agent/daemon/source.h"

namespace stickmesh::daemon {

namespace {

/// HAProxy has a connection for each of its threads, and as many more while it is reloaded. Nothing is
/// answered, so that all of them count as unanswered; of too many the oldest goes, and is dialled anew if it
/// is still of use.
constexpr net::UnansweredLimits kConnections{2048, 1024};

}  // namespace

LineServer::LineServer(net::Loop& loop, pipeline::Hub& hub)
    : loop_(loop), hub_(hub), counter_(hub), connections_(loop, kConnections) {}

void LineServer::accept(net::UniqueFd socket, const net::SocketAddress& from) {
  ++accepted_;
  const std::string name = source_of(from).text;
  connections_.add(std::move(socket), from, std::make_unique<events::LineSession>(counter_, name),
                   [this, name](net::Connection&, const Error& why) {
                     if (why.reason == Reason::kConnectionLost) {
                       log::debug("events of {}: {}", name, to_string(why));
                     } else {
                       hub_.errors().record(why, fmt::format("events of {}", name), loop_.now());
                     }
                   });
}

std::vector<std::pair<std::string, std::uint64_t>> LineServer::numbers() const {
  const events::LineCounters& counters = counter_.counters();
  return {{"Event_connections", connections_.size()},
          {"Event_connections_total", accepted_},
          {"Event_lines_total", counters.lines},
          {"Event_lines_counted_total", counters.counted},
          {"Event_lines_malformed_total", counters.malformed},
          {"Event_lines_refused_total", counters.refused}};
}

}  // namespace stickmesh::daemon
