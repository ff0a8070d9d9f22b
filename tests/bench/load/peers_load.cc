#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/config/table_words.h"
#include "tests/bench/load/modes.h"

namespace {

using namespace stickmesh;
using namespace stickmesh::bench;

struct Arguments {
  std::string server;
  std::string server_name;
  std::vector<std::string> names{"a"};
  std::vector<std::string> tables{"/http"};
  std::string define = "type ip size 2m expire 1h store gpc0,http_req_cnt,http_req_rate(10s),bytes_in_cnt";
  pid_t pid = 0;
  unsigned settle_ms = 300;
  unsigned timeout_s = 120;
  PushOptions push;
  std::uint32_t lesson = 1000;
  ReceiveOptions receive;
  LatencyOptions latency;
};

Result<Target> target_of(const Arguments& arguments) {
  Target target;
  const Result<net::SocketAddress> server = net::SocketAddress::parse(arguments.server);
  if (!server) return tl::unexpected(server.error());
  target.server = *server;
  auto words = config::parse_table_words(arguments.define);
  if (!words) return refuse(Reason::kBadDefinition, words.error());
  if (!can_make(words->definition)) {
    return refuse(Reason::kBadDefinition, "only integer or ip keys, no arrays, no server_key");
  }
  for (const std::string& name : arguments.tables) {
    target.tables.push_back(words->definition);
    target.tables.back().name = name;
  }
  target.server_name = arguments.server_name;
  target.names = arguments.names;
  target.pid = arguments.pid;
  target.settle = Duration(arguments.settle_ms);
  target.timeout = std::chrono::seconds(arguments.timeout_s);
  return target;
}

void add_common_options(CLI::App& cli, Arguments& arguments) {
  cli.add_option("--server", arguments.server, "address of the server, host:port")->required();
  cli.add_option("--server-name", arguments.server_name, "its peer name")->required();
  cli.add_option("--name", arguments.names, "peer names to play")->delimiter(',')->capture_default_str();
  cli.add_option("--table", arguments.tables,
                 "tables to announce, by their names on the wire; updates are of the first")
      ->delimiter(',')
      ->capture_default_str();
  cli.add_option("--define", arguments.define, "what these tables are, in haproxy.cfg's words")
      ->capture_default_str();
  cli.add_option("--pid", arguments.pid, "process whose CPU time and memory are reported");
  cli.add_option("--settle-ms", arguments.settle_ms, "time counted behind the last update")
      ->capture_default_str();
  cli.add_option("--timeout-s", arguments.timeout_s, "give up after this time")->capture_default_str();
}

void add_modes(CLI::App& cli, Arguments& arguments) {
  cli.require_subcommand(1);
  const auto number = CLI::Range(1U, 100'000'000U);

  CLI::App* push = cli.add_subcommand("push", "live updates, all peers at once");
  push->add_option("--keys", arguments.push.keys)->check(number)->capture_default_str();
  push->add_option("--updates", arguments.push.updates, "of each peer in each round")
      ->check(number)
      ->capture_default_str();
  push->add_option("--rounds", arguments.push.rounds)->check(number)->capture_default_str();

  CLI::App* lesson = cli.add_subcommand("lesson", "a lesson given to a server that asks for one");
  lesson->add_option("--entries", arguments.lesson)->check(number)->capture_default_str();

  CLI::App* receive = cli.add_subcommand("receive", "a lesson or totals taken");
  receive->add_option("--count", arguments.receive.table, "table of the server, on the wire")->required();
  receive->add_option("--entries", arguments.receive.entries, "different keys to wait for")
      ->required()
      ->check(number);
  receive->add_flag("--drain", arguments.receive.drain, "stay until nothing more comes");

  CLI::App* latency = cli.add_subcommand("latency", "from a change to its arrival at the last peer");
  latency->add_option("--count", arguments.latency.table, "table of the server, on the wire")->required();
  latency->add_option("--runtime", arguments.latency.runtime,
                      "HAProxy's runtime socket, to make the changes there");
  latency->add_option("--runtime-table", arguments.latency.runtime_table, "the table's name there");
  latency->add_option("--keys", arguments.latency.keys)->check(number)->capture_default_str();
  latency->add_option("--updates", arguments.latency.updates)->check(number)->capture_default_str();
  latency->add_option("--gap-ms", arguments.latency.gap_ms, "between two changes, on average")
      ->check(number)
      ->capture_default_str();
  latency->add_flag("--burst", arguments.latency.burst, "all updates at once, each of another key");
}

std::unique_ptr<Run> make_run(const CLI::App& cli, const Arguments& arguments, Target target) {
  if (cli.got_subcommand("push")) return make_push(std::move(target), arguments.push);
  if (cli.got_subcommand("lesson")) return make_lesson(std::move(target), arguments.lesson);
  if (cli.got_subcommand("receive")) return make_receive(std::move(target), arguments.receive);
  return make_latency(std::move(target), arguments.latency);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("peers_load: plays peers of HAProxy's peers protocol, and says what that cost the server",
               "peers_load");
  Arguments arguments;
  add_common_options(cli, arguments);
  add_modes(cli, arguments);
  CLI11_PARSE(cli, argc, argv);

  Result<Target> target = target_of(arguments);
  Result<std::string> report =
      target ? make_run(cli, arguments, std::move(*target))->perform() : tl::unexpected(target.error());
  if (!report) {
    fmt::print(stderr, "peers_load: {}\n", to_string(report.error()));
    return 1;
  }
  fmt::print("{}\n", *report);
  return 0;
}
