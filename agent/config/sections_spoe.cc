#include "agent/config/names.h"
#include "agent/config/sections.h"

namespace stickmesh::config {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kGiB = kKiB * kKiB * kKiB;

std::optional<std::uint32_t> read_frame_size(const Spot& spot) {
  // HAProxy's own bounds of max-frame-size start at 256; 16 MiB is far above any tune.bufsize.
  const std::optional<std::uint64_t> bytes = read_size(spot, 256, 16 * kKiB * kKiB);
  if (!bytes) return std::nullopt;
  return static_cast<std::uint32_t>(*bytes);
}

std::optional<std::vector<std::string>> read_frontends(const Spot& spot) {
  auto patterns = list(R"(a list of names such as ["shop", "api-*"])", text(pattern_problem))(spot);
  if (patterns && patterns->empty())
    return spot.fail("is an empty list; leave the key out for all frontends");
  return patterns;
}

/// One address as a string, or a list of them; an empty string turns the mirror off.
std::optional<std::vector<Address>> read_redis_address(const Spot& spot) {
  constexpr std::string_view kForm = R"(an address such as "127.0.0.1:6379", or a list of them)";
  if (spot.node.is_array()) return list(kForm, parsed(kAddressForm, parse_address))(spot);
  const auto single = unless_empty(parsed(kForm, parse_address))(spot);
  if (!single) return std::nullopt;
  std::vector<Address> addresses;
  if (*single) addresses.push_back(**single);
  return addresses;
}

void check_redis(Section& section, const Redis& redis) {
  if (redis.cluster && !redis.sentinel.empty())
    section.fail("cluster", "true excludes sentinel; use one of them");
  if (redis.cluster && redis.db != 0)
    section.fail("db", fmt::format("{} must be 0 with cluster = true", redis.db));
  if (redis.cluster && redis.prefix.find_first_of("{}") != std::string::npos) {
    section.fail("prefix",
                 fmt::format("'{}' must have no '{{' or '}}' with cluster = true: all keys would be in "
                             "one slot",
                             redis.prefix));
  }
  if (redis.address.size() > 1 && !redis.cluster && redis.sentinel.empty()) {
    section.fail("address", "is a list of several; that needs sentinel = \"NAME\" or cluster = true");
  }
  if (!redis.user.empty() && redis.password_file.empty()) section.fail("user", "needs password-file");
}

}  // namespace

void read_spoe(Section& section, Spoe& spoe) {
  section.read("listen", spoe.listen, list(kListenForm, read_listen));
  section.read("max-frame-size", spoe.max_frame_size, read_frame_size);
  section.read("deadline", spoe.deadline, time(1ms, 1min));
}

void read_events(Section& section, Events& events) {
  section.read("listen", events.listen, list(kListenForm, read_listen));
}

void read_hook(Section& section, Hook& hook) {
  hook.line.number = section.line_of("file");
  section.require("file", hook.file, text(path_problem), R"("/etc/stickmesh/hooks.d/login.lua")");
  section.read("frontends", hook.frontends, read_frontends);
  section.read("call-time", hook.call_time, time(1ms, 10s));
  section.read("memory", hook.memory, size(256 * kKiB, 4 * kGiB));
  section.read("on-error", hook.on_error,
               choice<OnError>(
                   {{"default", OnError::kDefault}, {"allow", OnError::kAllow}, {"deny", OnError::kDeny}}));
}

void read_redis(Section& section, Redis& redis) {
  section.read("address", redis.address, read_redis_address);
  section.read("prefix", redis.prefix, text(word_problem));
  section.read("tables", redis.tables, text(table_pattern_problem));
  section.read("flush-interval", redis.flush_interval, time(1ms, 1min));
  section.read("restore", redis.restore, read_boolean);
  section.read("user", redis.user, text(optional_word_problem));
  redis.password_line.number = section.line_of("password-file");
  section.read("password-file", redis.password_file, text(optional_path_problem));
  section.read("db", redis.db, number(0, 65535));
  section.read("sentinel", redis.sentinel, text(optional_word_problem));
  section.read("cluster", redis.cluster, read_boolean);
  section.read("publish", redis.publish, read_boolean);
  section.read("accept", redis.accept,
               list(R"(a list of tables such as ["bans"])", text(table_pattern_problem)));
  section.table("tls", [&redis](Section& inner) { read_tls(inner, redis.tls); });
  check_redis(section, redis);
}

}  // namespace stickmesh::config
