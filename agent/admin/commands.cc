#include "agent/admin/commands.h"

#include <fmt/format.h>

#include "agent/admin/answers.h"

namespace stickmesh::admin {

namespace {

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
    if (*ended) {
      out += fmt::format("done: {}\n", **ended);
    } else {
      const bool stays = ended->error().reason != Reason::kStopping;
      out += fmt::format("error: {}{}\n", to_string(ended->error()),
                         stays ? ": this process stays in charge" : "");
    }
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

struct Commands::Command {
  std::string_view name;
  std::string_view arguments;  ///< none: the command is its name alone
  std::string_view what;
  std::unique_ptr<Answer> (*run)(Commands&, const Words&, TimePoint);

  bool is(const Words& words) const {
    std::size_t count = 0;
    for (const std::string& word : split_words(name)) {
      if (count == words.size() || words[count] != word) return false;
      ++count;
    }
    return !arguments.empty() || words.size() == count;
  }
};

const std::vector<Commands::Command>& Commands::all() {
  using C = Commands;
  using W = Words;
  using T = TimePoint;
  static const std::vector<Command> kAll = {
      {"help", "", "this list", [](C&, const W&, T) { return text_answer(help()); }},
      {"show info", "", "what this agent is and how much it holds",
       [](C& c, const W&, T now) { return text_answer(c.show_info(now)); }},
      {"show peers", "", "sessions: state, tables, backlog, what went wrong last",
       [](C& c, const W&, T now) { return text_answer(c.show_peers(now)); }},
      {"show peers", "NAME", "one of them, with each table in both directions",
       [](C& c, const W& words, T now) { return c.show_peer(words, now); }},
      {"show tables", "", "tables with their definitions and counters",
       [](C& c, const W&, T) { return text_answer(c.show_tables()); }},
      {"show table", "NAME [key K] [data.TYPE OP VALUE] [origins] [json]",
       "entries; OP is eq, ne, lt, le, gt or ge",
       [](C& c, const W& words, T now) { return c.show_table(words, now); }},
      {"show spoe", "", "events of HAProxy's SPOE filter, and who sends them",
       [](C& c, const W&, T now) { return text_answer(c.show_spoe(now)); }},
      {"show redis", "", "the mirror in Redis: its state, how far it is behind, errors",
       [](C& c, const W&, T now) { return text_answer(c.show_redis(now)); }},
      {"show lua", "", "hooks: calls, errors, time, memory, what was not loaded",
       [](C& c, const W&, T now) { return text_answer(c.show_lua(now)); }},
      {"show limits", "", "limits as they are in force, and as configured",
       [](C& c, const W&, T) { return text_answer(c.show_limits()); }},
      {"show errors", "", "refusals by reason, and the newest of them",
       [](C& c, const W&, T) { return text_answer(c.show_errors()); }},
      {"set table", "NAME key K [expire TIME] data.TYPE V ...", "this agent's own contribution to an entry",
       [](C& c, const W& words, T now) { return c.set_table(words, now); }},
      {"clear table", "NAME [key K]", "counts from 0 again, at every instance",
       [](C& c, const W& words, T now) { return c.clear_table(words, now); }},
      {"whatif", "TABLE TYPE LIMIT [since TIME]",
       "which keys a limit would refuse, and if one origin alone saw it",
       [](C& c, const W& words, T now) { return c.what_if(words, now); }},
      {"set limit", "NAME N|shadow|enforce|config",
       "changes a limit everywhere at once; config: back to the file's",
       [](C& c, const W& words, T now) { return c.set_limit(words, now); }},
      {"set peer", "NAME maint|ready", "takes an instance out of the expected ones, or back in",
       [](C& c, const W& words, T now) { return c.set_peer(words, now); }},
      {"forget peer", "NAME", "drops an instance that is away and not in the config",
       [](C& c, const W& words, T now) { return c.forget_peer(words, now); }},
      {"reload", "", "soft restart: a new process takes over, with the config and the binary as they are now",
       [](C& c, const W&, T now) { return c.reload(now); }},
  };
  return kAll;
}

std::string Commands::help() {
  constexpr std::size_t kColumn = 46;
  std::string out;
  for (const Command& command : all()) {
    const std::string usage =
        fmt::format("{}{}{}", command.name, command.arguments.empty() ? "" : " ", command.arguments);
    const std::string_view apart = usage.size() > kColumn ? "\n" : "";
    fmt::format_to(std::back_inserter(out), "{}{}{:{}}  {}\n", usage, apart, "",
                   apart.empty() ? kColumn - usage.size() : kColumn, command.what);
  }
  return out;
}

std::unique_ptr<Answer> Commands::run(std::string_view line, TimePoint now) {
  if (!retired_.empty()) return error_answer({Reason::kBadCommand, retired_});
  const Words words = split_words(line);
  if (words.empty()) return text_answer(help());
  for (const Command& command : all()) {
    if (command.is(words)) return command.run(*this, words, now);
  }
  return refused_quietly(
      "runtime command",
      {Reason::kBadCommand, fmt::format("'{}' is no command of this version; 'help' lists them", line)},
      "no command of this version", now);
}

std::unique_ptr<Answer> Commands::reload(TimePoint now) {
  const auto begun = soft_restart_.begin();
  if (!begun) return refused("reload", begun.error(), now);
  return std::make_unique<ReloadAnswer>(soft_restart_, *begun);
}

std::unique_ptr<Answer> Commands::refused(std::string_view command, const Error& error, TimePoint now) {
  hub_.errors().record(error, std::string(command), now);
  return error_answer(error);
}

std::unique_ptr<Answer> Commands::refused_quietly(std::string_view command, const Error& error,
                                                  std::string_view recorded, TimePoint now) {
  (void)refused(command, {error.reason, std::string(recorded)}, now);
  return error_answer(error);
}

}  // namespace stickmesh::admin
