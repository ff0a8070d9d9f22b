#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/admin/cli_session.h"
#include "agent/admin/lua_source.h"
#include "agent/admin/numbers_source.h"
#include "agent/admin/redis_source.h"
#include "agent/admin/soft_restart.h"
#include "agent/admin/spoe_source.h"
#include "agent/pipeline/hub.h"

namespace stickmesh::admin {

/// The runtime commands (DESIGN, "Runtime commands"): one line in, text out. Words are separated by spaces; a
/// backslash takes a space into a word.
class Commands final : public CommandHandler {
 public:
  /// Both must outlive it.
  Commands(pipeline::Hub& hub, SoftRestart& soft_restart, TimePoint started)
      : hub_(hub), soft_restart_(soft_restart), started_(started) {}

  /// What `show spoe` shows; must outlive it. Nothing without.
  void set_spoe(const SpoeSource& spoe) { spoe_ = &spoe; }
  /// What `show redis` shows; must outlive it.
  void set_redis(const RedisSource& redis) { redis_ = &redis; }
  /// What `show lua` shows; must outlive it.
  void set_lua(const LuaSource& lua) { lua_ = &lua; }
  /// Numbers that `show info` shows, too; must outlive it.
  void add_to_info(const NumbersSource& source) { info_.push_back(&source); }
  /// From now on every command is refused, because of |why|.
  void retire(std::string why) { retired_ = std::move(why); }

  std::unique_ptr<Answer> run(std::string_view line, TimePoint now) override;

 private:
  using Words = std::vector<std::string>;
  struct Command;

  /// What `help` says and what is understood are one list.
  static const std::vector<Command>& all();
  static std::string help();
  std::unique_ptr<Answer> reload(TimePoint now);
  std::string show_info(TimePoint now) const;
  std::string show_peers(TimePoint now) const;
  std::unique_ptr<Answer> show_peer(const Words& words, TimePoint now);
  std::string show_tables() const;
  std::string show_errors() const;
  std::string show_spoe(TimePoint now) const;
  std::string show_redis(TimePoint now) const;
  std::string show_lua(TimePoint now) const;
  std::string show_limits() const;
  std::unique_ptr<Answer> show_table(const Words& words, TimePoint now);
  std::unique_ptr<Answer> set_table(const Words& words, TimePoint now);
  std::unique_ptr<Answer> clear_table(const Words& words, TimePoint now);
  std::unique_ptr<Answer> what_if(const Words& words, TimePoint now);
  /// Of an answer to what should outlive a restart: that it will not; empty if it will.
  std::string unsaved_line() const;
  /// Of an answer about what other agents do not hear of.
  std::string here_only_line() const;
  std::unique_ptr<Answer> set_limit(const Words& words, TimePoint now);
  std::unique_ptr<Answer> set_peer(const Words& words, TimePoint now);
  std::unique_ptr<Answer> forget_peer(const Words& words, TimePoint now);
  /// Counts the refusal of a command and says it.
  std::unique_ptr<Answer> refused(std::string_view command, const Error& error, TimePoint now);
  /// The same where |error| may quote a key, which may be a secret: only who has written it is told; counted
  /// and logged is that it was |recorded|.
  std::unique_ptr<Answer> refused_quietly(std::string_view command, const Error& error,
                                          std::string_view recorded, TimePoint now);
  /// By its own name, or by that of its total.
  pipeline::TableRecord* find_table(std::string_view name) const;

  pipeline::Hub& hub_;
  SoftRestart& soft_restart_;
  TimePoint started_;
  const SpoeSource* spoe_ = nullptr;
  const RedisSource* redis_ = nullptr;
  const LuaSource* lua_ = nullptr;
  std::vector<const NumbersSource*> info_;
  std::string retired_;
};

/// The words of a line. A backslash makes the next character part of a word, and stays: `key_from_text` reads
/// it.
std::vector<std::string> split_words(std::string_view line);

}  // namespace stickmesh::admin
