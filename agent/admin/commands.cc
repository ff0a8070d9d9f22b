#include "agent/admin/commands.h"

#include <fmt/format.h>

#include "agent/admin/answers.h"

namespace stickmesh::admin {

namespace {

constexpr std::string_view kHelp =
    "help                                            this list\n"
    "show info                                       what this agent is and how much it holds\n"
    "show peers                                      sessions: state, tables, backlog, what went wrong last\n"
    "show peers NAME                                 one of them, with each table in both directions\n"
    "show tables                                     tables with their definitions and counters\n"
    "show table NAME [key K] [data.TYPE OP VALUE] [origins] [json]\n"
    "                                                entries; OP is eq, ne, lt, le, gt or ge\n"
    "show spoe                                       events of HAProxy's SPOE filter, and who sends them\n"
    "show redis                                      the mirror in Redis: its state, how far it is behind, "
    "errors\n"
    "show lua                                        hooks: calls, errors, time, memory, what was not "
    "loaded\n"
    "show limits                                     limits as they are in force, and as configured\n"
    "show errors                                     refusals by reason, and the newest of them\n"
    "set table NAME key K [expire TIME] data.TYPE V ...\n"
    "                                                this agent's own contribution to an entry\n"
    "clear table NAME [key K]                        counts from 0 again, at every instance\n"
    "whatif TABLE TYPE LIMIT [since TIME]            which keys a limit would refuse, and if one origin "
    "alone saw it\n"
    "set limit NAME N|shadow|enforce|config          changes a limit everywhere at once; config: back to the "
    "file's\n"
    "set peer NAME maint|ready                       takes an instance out of the expected ones, or back in\n"
    "forget peer NAME                                drops an instance that is away and not in the config\n"
    "reload                                          soft restart: a new process with the config and the "
    "binary\n"
    "                                                as they are now takes over; waits, and says how it "
    "went\n";

class TextAnswer final : public Answer {
 public:
  explicit TextAnswer(std::string text) : text_(std::move(text)) {}
  bool more(std::string& out, TimePoint /*now*/) override {
    out += text_;
    return false;
  }

 private:
  std::string text_;
};

class ReloadAnswer final : public Answer {
 public:
  ReloadAnswer(const SoftRestart& soft_restart, std::uint64_t number)
      : soft_restart_(soft_restart), number_(number) {}
  bool more(std::string& out, TimePoint /*now*/) override {
    const auto ended = soft_restart_.ended(number_);
    if (!ended) return true;
    out += *ended ? fmt::format("done: {}\n", **ended)
                  : fmt::format("error: {}: this process stays in charge\n", to_string(ended->error()));
    return false;
  }
  Duration patience() const override { return Duration(20); }

 private:
  const SoftRestart& soft_restart_;
  const std::uint64_t number_;
};

}  // namespace

std::unique_ptr<Answer> text_answer(std::string text) {
  return std::make_unique<TextAnswer>(std::move(text));
}

std::unique_ptr<Answer> error_answer(const Error& error) {
  return text_answer(fmt::format("error: {}\n", to_string(error)));
}

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == ' ' || line[at] == '\t') {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (line[at] == '\\' && at + 1 < line.size()) words.back() += line[at++];
    words.back() += line[at];
  }
  return words;
}

pipeline::TableRecord* Commands::find_table(std::string_view name) const {
  if (name.starts_with('/')) name.remove_prefix(1);
  pipeline::TableRecord* record = hub_.registry().find(name);
  return record != nullptr ? record : hub_.registry().find_output(name);
}

std::unique_ptr<Answer> Commands::run(std::string_view line, TimePoint now) {
  const Words words = split_words(line);
  const auto is = [&](std::string_view first, std::string_view second) {
    return words.size() >= 2 && words[0] == first && words[1] == second;
  };
  if (!retired_.empty()) return error_answer({Reason::kBadCommand, retired_});
  if (words.size() == 1 && words[0] == "reload") {
    const auto begun = soft_restart_.begin();
    if (!begun) return refused("reload", begun.error(), now);
    return std::make_unique<ReloadAnswer>(soft_restart_, *begun);
  }
  if (words.empty() || (words.size() == 1 && words[0] == "help")) return text_answer(std::string(kHelp));
  if (words.size() == 2) {
    if (is("show", "info")) return text_answer(show_info(now));
    if (is("show", "peers")) return text_answer(show_peers(now));
    if (is("show", "tables")) return text_answer(show_tables());
    if (is("show", "errors")) return text_answer(show_errors());
    if (is("show", "spoe")) return text_answer(show_spoe(now));
    if (is("show", "redis")) return text_answer(show_redis(now));
    if (is("show", "lua")) return text_answer(show_lua(now));
    if (is("show", "limits")) return text_answer(show_limits());
  }
  if (is("show", "peers") && words.size() == 3) return show_peer(words[2], now);
  if (is("show", "table")) return show_table(words, now);
  if (is("set", "table")) return set_table(words, now);
  if (is("clear", "table")) return clear_table(words, now);
  if (is("set", "peer")) return set_peer(words, now);
  if (is("set", "limit")) return set_limit(words, now);
  if (!words.empty() && words[0] == "whatif") return what_if(words, now);
  if (is("forget", "peer")) return forget_peer(words, now);
  return refused(
      "runtime command",
      {Reason::kBadCommand, fmt::format("'{}' is no command of this version; 'help' lists them", line)}, now);
}

std::unique_ptr<Answer> Commands::refused(std::string_view command, const Error& error, TimePoint now) {
  hub_.errors().record(error, std::string(command), now);
  return error_answer(error);
}

}  // namespace stickmesh::admin
