#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/log.h"
#include "agent/ctl/answer_printer.h"
#include "agent/ctl/client.h"

namespace {

class Usage final : public CLI::Formatter {
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: stickmeshctl [-s SOCKET] COMMAND...\n";
  }
};

constexpr int kRefused = 1;
/// The unit takes it for no failure of its reload: it is how one ends during which the unit is stopped.
constexpr int kAgentEnds = 3;

int fail(const std::string& why, int status = kRefused) {
  std::cerr << stickmesh::log::journal_prefix(stickmesh::log::Level::kError) << "stickmeshctl: " << why
            << '\n';
  return status;
}

std::string join(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += word;
  }
  return line;
}

int run(const std::string& socket, const std::string& line) {
  using namespace stickmesh;
  using namespace stickmesh::ctl;
  AnswerPrinter printer(std::cout, std::cerr, ::isatty(STDOUT_FILENO) != 0 ? Style::kTerminal : Style::kRaw,
                        stickmesh::log::journal_prefix(stickmesh::log::Level::kError));
  const auto asked = ask(socket, line, [&](std::string_view piece) { printer.feed(piece); });
  const bool whole = printer.finish();
  if (!asked) {
    const bool ended = asked.error().reason == Reason::kConnectionLost;
    return fail(asked.error().detail, ended ? kAgentEnds : kRefused);
  }
  if (!whole) return fail("the answer is cut short: the agent closed the connection", kAgentEnds);
  if (printer.stopping()) return kAgentEnds;
  return printer.failed() ? kRefused : 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  CLI::App app{"Sends a runtime command to stickmeshd and prints its answer."};
  app.formatter(std::make_shared<Usage>());
  std::string socket = "/run/stickmesh/admin.sock";
  app.add_option("-s,--socket", socket, "UNIX socket of the agent")
      ->capture_default_str()
      ->type_name("SOCKET");
  app.set_version_flag("-v,--version", "stickmeshctl " STICKMESH_VERSION);
  app.footer(
      "The words after the options are the command, such as `show peers`; `help` lists all.\n"
      "Exit status: 0 done, 1 refused by the agent, or no agent to ask, 3 the agent ended meanwhile.");
  // From the first word on everything belongs to the command, even what looks like an option.
  app.prefix_command();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  const std::vector<std::string> words = app.remaining();
  if (!words.empty() && words[0].starts_with('-'))
    return fail("unknown option " + words[0] + "; -h lists them");
  const std::string line = join(words);
  if (line.empty()) return fail("which command? `stickmeshctl help` lists them");
  if (line.find('\n') != std::string::npos) return fail("a command is one line");
  return run(socket, line);
}
