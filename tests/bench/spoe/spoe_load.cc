#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/load/process_usage.h"
#include "tests/bench/spoe/load_client.h"

namespace {

using namespace stickmesh;
using namespace stickmesh::bench;

struct Arguments {
  std::string server;
  unsigned connections = 4;
  unsigned in_flight = 16;
  std::uint64_t events = 100'000;
  std::uint64_t warm_up = 0;
  EventPlan plan;
  std::vector<std::string> values;
  pid_t pid = 0;
  unsigned settle_ms = 300;
};

/// NAME=NUMBER
Result<void> add_value(const std::string& text, EventPlan& plan) {
  const std::size_t sign = text.find('=');
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  if (sign == std::string::npos || std::from_chars(text.data() + sign + 1, end, number).ptr != end) {
    return refuse(Reason::kBadMessage, fmt::format("--value {}: it is not NAME=NUMBER", text));
  }
  plan.arguments.emplace_back(text.substr(0, sign), number);
  return {};
}

Result<std::vector<LoadClient>> connect(const Arguments& arguments) {
  const auto server = net::SocketAddress::parse(arguments.server);
  if (!server) return tl::unexpected(server.error());
  std::vector<LoadClient> clients;
  for (unsigned index = 0; index < arguments.connections; ++index) {
    auto client = LoadClient::open(*server, arguments.in_flight);
    if (!client) return tl::unexpected(client.error());
    clients.push_back(std::move(*client));
  }
  return clients;
}

/// The answer times of |events| events.
Result<std::vector<std::uint32_t>> exchange(std::vector<LoadClient>& clients, Payloads& payloads,
                                            std::uint64_t events) {
  Work work{payloads, events};
  work.times.reserve(events);
  std::vector<pollfd> polled;
  for (LoadClient& client : clients) {
    if (auto begun = client.begin(work); !begun) return tl::unexpected(begun.error());
    polled.push_back({client.fd(), POLLIN, 0});
  }
  while (work.times.size() < events) {
    for (std::size_t index = 0; index < clients.size(); ++index) {
      polled[index].events = clients[index].unsent() ? POLLIN | POLLOUT : POLLIN;
    }
    if (::poll(polled.data(), polled.size(), kPatienceMs) <= 0) {
      return refuse(Reason::kIdleTimeout,
                    fmt::format("{} of {} events were answered", work.times.size(), events));
    }
    for (std::size_t index = 0; index < clients.size(); ++index) {
      if (polled[index].revents == 0) continue;
      const bool readable = (polled[index].revents & ~POLLOUT) != 0;
      auto done = readable ? clients[index].receive() : clients[index].flush();
      if (!done) return tl::unexpected(done.error());
    }
  }
  return std::move(work.times);
}

/// In us; reorders |times|.
double percentile(std::vector<std::uint32_t>& times, double part) {
  const auto index = static_cast<std::ptrdiff_t>(part * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + index, times.end());
  return times[static_cast<std::size_t>(index)] * 1e-3;
}

Result<std::string> measure(const Arguments& arguments) {
  auto clients = connect(arguments);
  if (!clients) return tl::unexpected(clients.error());
  Payloads payloads(arguments.plan);
  if (auto warm = exchange(*clients, payloads, arguments.warm_up); !warm) return tl::unexpected(warm.error());

  const std::uint64_t server_before = cpu_time(arguments.pid);
  const std::uint64_t own_before = cpu_time(::getpid());
  const auto started = std::chrono::steady_clock::now();
  auto times = exchange(*clients, payloads, arguments.events);
  if (!times) return tl::unexpected(times.error());
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - started;
  // What the server puts off is counted, too.
  std::this_thread::sleep_for(std::chrono::milliseconds(arguments.settle_ms));
  const double cpu = static_cast<double>(cpu_time(arguments.pid) - server_before) * 1e-9;
  const double own = static_cast<double>(cpu_time(::getpid()) - own_before) * 1e-9;
  return fmt::format(
      R"({{"events": {}, "wall_seconds": {:.6f}, "server_cpu_seconds": {:.6f}, "us_per_event": {:.4f}, )"
      R"("load_cpu_seconds": {:.6f}, "p50_us": {:.1f}, "p99_us": {:.1f}, "max_us": {:.1f}}})",
      arguments.events, wall.count(), cpu, cpu * 1e6 / static_cast<double>(arguments.events), own,
      percentile(*times, 0.5), percentile(*times, 0.99), percentile(*times, 1));
}

void add_options(CLI::App& cli, Arguments& arguments) {
  const auto number = CLI::Range(1U, 100'000'000U);
  cli.add_option("--server", arguments.server, "host:port, a UNIX socket's path, or abns@name")->required();
  cli.add_option("--connections", arguments.connections)->check(number)->capture_default_str();
  cli.add_option("--in-flight", arguments.in_flight, "events on each")->check(number)->capture_default_str();
  cli.add_option("--events", arguments.events, "on all together")->check(number)->capture_default_str();
  cli.add_option("--warm-up", arguments.warm_up, "events before the measured ones")->capture_default_str();
  cli.add_option("--message", arguments.plan.message, "its name; empty: events without a message")
      ->capture_default_str();
  cli.add_option("--table", arguments.plan.table, "its first argument")->capture_default_str();
  cli.add_option("--keys", arguments.plan.keys, "different ones, addresses as those of peers_load")
      ->check(number)
      ->capture_default_str();
  cli.add_flag("--text-keys", arguments.plan.text_keys, "\"client-1\" in place of addresses");
  cli.add_option("--value", arguments.values, "NAME=NUMBER, an argument behind the key; several are possible")
      ->allow_extra_args(false);
  cli.add_option("--pid", arguments.pid, "process whose CPU time is reported");
  cli.add_option("--settle-ms", arguments.settle_ms, "time counted behind the last answer")
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("spoe_load: plays HAProxy's SPOE filter, and says what that cost the server", "spoe_load");
  Arguments arguments;
  add_options(cli, arguments);
  CLI11_PARSE(cli, argc, argv);

  Result<std::string> report = [&]() -> Result<std::string> {
    for (const std::string& value : arguments.values) {
      if (auto added = add_value(value, arguments.plan); !added) return tl::unexpected(added.error());
    }
    return measure(arguments);
  }();
  if (!report) {
    fmt::print(stderr, "spoe_load: {}\n", to_string(report.error()));
    return 1;
  }
  fmt::print("{}\n", *report);
  return 0;
}
