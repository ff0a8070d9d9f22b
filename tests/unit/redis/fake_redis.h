#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/redis/replies.h"

namespace stickmesh::redis {

/// As much of Redis as a mirror needs, in memory: hashes, what else can be at a key, and lives. Its clients'
/// bytes come through `hear`, its answers lie in |answers|.
class FakeRedis {
 public:
  using Words = std::vector<std::string>;
  struct Value {
    bool hash = true;
    std::map<std::string, std::string> fields{};
    std::optional<std::int64_t> life{};  ///< ms, as it was given last
    bool operator==(const Value&) const = default;
  };
  using Keys = std::map<std::string, Value>;

  Keys keys;
  std::string run = "run-1";
  /// Of all sessions, without those of the login.
  std::vector<Words> commands;
  std::string answers;
  /// What it answers in place of doing it; nothing: it does it.
  std::function<std::optional<std::string>(const Words&)> refuses = [](const Words&) { return std::nullopt; };

  void meet() { reader_.emplace(); }
  void hear(Bytes in) {
    const auto outcome = reader_->read(in, [this](const Reply& command) -> Result<void> {
      Words words;
      for (const Reply& word : command.list) words.push_back(word.text);
      obey(words);
      return {};
    });
    ASSERT_TRUE(outcome) << to_string(outcome.error());
  }

  /// How many commands had that name and, unless it is empty, that key.
  std::size_t count(std::string_view name, std::string_view key = {}) const {
    std::size_t found = 0;
    for (const Words& words : commands) {
      if (words[0] == name && (key.empty() || words[1] == key)) ++found;
    }
    return found;
  }
  /// Of a hash; "-" without it.
  std::string field(const std::string& key, const std::string& name) const {
    const auto found = keys.find(key);
    if (found == keys.end()) return "-";
    const auto value = found->second.fields.find(name);
    return value == found->second.fields.end() ? "-" : value->second;
  }

 private:
  void obey(const Words& words) {
    ASSERT_FALSE(words.empty());
    if (words[0] == "INFO") {
      const std::string info = fmt::format("redis_version:7.0.15\r\nrun_id:{}\r\nrole:master\r\n", run);
      answers += fmt::format("${}\r\n{}\r\n", info.size(), info);
      return;
    }
    if (words[0] == "CLIENT") {
      answers += "+OK\r\n";
      return;
    }
    commands.push_back(words);
    if (const auto refusal = refuses(words)) {
      answers += *refusal;
      return;
    }
    answers += answer(words);
  }

  static constexpr std::string_view kWrongType =
      "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

  std::string answer(const Words& words) {
    const auto number = [](std::size_t value) { return fmt::format(":{}\r\n", value); };
    const std::string& name = words[0];
    if (name == "ASKING") return "+OK\r\n";
    if (name == "DEL" && words.size() == 2) return number(keys.erase(words[1]));
    if (name == "HLEN" && words.size() == 2) {
      const auto found = keys.find(words[1]);
      if (found == keys.end()) return number(0);
      return found->second.hash ? number(found->second.fields.size()) : std::string(kWrongType);
    }
    if (name == "HSET" && words.size() >= 4 && words.size() % 2 == 0) {
      Value& value = keys[words[1]];
      if (!value.hash) return std::string(kWrongType);
      std::size_t fresh = 0;
      for (std::size_t at = 2; at < words.size(); at += 2) {
        if (value.fields.insert_or_assign(words[at], words[at + 1]).second) ++fresh;
      }
      return number(fresh);
    }
    if (name == "HEXISTS" && words.size() == 3) {
      const auto found = keys.find(words[1]);
      if (found == keys.end()) return number(0);
      return found->second.hash ? number(found->second.fields.count(words[2])) : std::string(kWrongType);
    }
    if (name == "PERSIST" && words.size() == 2) {
      const auto found = keys.find(words[1]);
      if (found != keys.end()) found->second.life.reset();
      return number(found != keys.end() ? 1 : 0);
    }
    if (name == "PEXPIRE" && words.size() == 3) {
      const auto found = keys.find(words[1]);
      if (found == keys.end()) return number(0);
      found->second.life = std::stoll(words[2]);
      return number(1);
    }
    return fmt::format("-ERR wrong number of arguments for '{}' command\r\n", name);
  }

  std::optional<ReplyReader> reader_;
};

}  // namespace stickmesh::redis
