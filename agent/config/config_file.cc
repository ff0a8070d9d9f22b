#include "agent/config/config_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

#include "agent/config/names.h"
#include "agent/config/quote.h"
#include "agent/config/sections.h"

namespace stickmesh::config {
namespace {

constexpr std::size_t kLargestFile = std::size_t{4} << 20;

template <typename Entry>
void read_entries(Section& root, std::string_view key, std::vector<Entry>& entries,
                  void (*read)(Section&, Entry&)) {
  root.tables(key, [&entries, read](Section& section) { read(section, entries.emplace_back()); });
}

template <typename Part>
void read_part(Section& root, std::string_view key, Part& part, void (*read)(Section&, Part&)) {
  root.table(key, [&part, read](Section& section) { read(section, part); });
}

std::string host_name() {
  std::array<char, 256> name{};
  // A name that does not fit is cut, possibly without a NUL: the last byte stays 0.
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

void read_root(Section& root, Config& config, Places& places) {
  root.table("agent", [&](Section& section) {
    read_agent(section, config.agent);
    places.agent_name = section.line_of("name");
  });
  read_part(root, "log", config.log, read_log);
  read_part(root, "admin", config.admin, read_admin);
  root.table("peers", [&](Section& section) {
    read_peers(section, config.peers);
    places.peers = section.line_of("listen");
    places.forget_after = section.line_of("forget-after");
  });
  read_entries(root, "peer", config.peer, read_peer);
  read_entries(root, "table", config.table, read_table);
  read_entries(root, "aggregate", config.aggregate, read_aggregate);
  read_entries(root, "replicate", config.replicate, read_replicate);
  read_entries(root, "limit", config.limit, read_limit);
  root.table("status", [&](Section& section) {
    read_status(section, config.status);
    places.status_table = section.line_of("table");
  });
  read_part(root, "spoe", config.spoe, read_spoe);
  read_part(root, "events", config.events, read_events);
  read_entries(root, "hook", config.hook, read_hook);
  read_part(root, "redis", config.redis, read_redis);
  root.finish();
}

/// |message| of toml++ may quote bytes of the file; a finding is one line.
LoadResult failure(std::string_view file, unsigned line, std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return tl::unexpected<std::vector<Finding>>({Finding{std::string(file), line, std::move(message)}});
}

tl::expected<std::string, std::string> read_file(const std::string& path) {
  const auto refused = [&path](std::string_view why) {
    return tl::unexpected<std::string>(fmt::format("config file {}: {}", quote(path), why));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused(std::strerror(errno));
  std::string text;
  std::array<char, 65536> buffer{};
  ssize_t got = 0;
  int error = 0;
  while (text.size() <= kLargestFile) {
    got = ::read(fd, buffer.data(), buffer.size());
    error = errno;
    if (got < 0 && error == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(fd);
  if (got < 0) return refused(std::strerror(error));
  if (text.size() > kLargestFile) return refused(fmt::format("larger than {}", describe_size(kLargestFile)));
  return text;
}

/// The first line with a key of absurdly many parts; 0 when there is none. toml++ builds a table for each
/// part and frees them by recursion, so that "a.a.a..." would overflow the stack. Our deepest key has four.
unsigned find_deep_key(std::string_view text) {
  constexpr unsigned kMostDots = 16;
  unsigned line = 1;
  unsigned dots = 0;
  char quote = '\0';
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      ++line;
      dots = 0;
      quote = '\0';
    } else if (quote != '\0') {
      if (c == quote) quote = '\0';
      if (c == '\\' && quote == '"' && at + 1 < text.size() && text[at + 1] != '\n') ++at;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size()) - 1;
    } else if (c == '.' && ++dots > kMostDots) {
      return line;
    }
  }
  return 0;
}

LoadResult parse_checked(std::string_view text, std::string_view file) {
  if (const unsigned line = find_deep_key(text); line != 0) {
    return failure(file, line,
                   "not valid: a key of so many parts; at most 16 dots stand outside quotes in a line");
  }
  const toml::table document = toml::parse(text, file);
  Report report(file);
  Loaded loaded;
  Places places;
  {
    Section root(report, document, "");
    read_root(root, loaded.config, places);
  }
  if (loaded.config.agent.name.empty()) loaded.config.agent.name = default_agent_name(host_name());
  check_whole(loaded.config, places, report);
  if (report.failed()) return tl::unexpected<std::vector<Finding>>(report.findings());
  loaded.notes = report.notes();
  return loaded;
}

}  // namespace

LoadResult parse_config(std::string_view text, std::string_view file) {
  try {
    return parse_checked(text, file);
  } catch (const toml::parse_error& error) {
    return failure(file, error.source().begin.line, fmt::format("not valid TOML: {}", error.description()));
  } catch (const std::exception& error) {
    return failure(file, 1, fmt::format("cannot be read: {}", error.what()));
  }
}

LoadResult load_config(std::string_view path) {
  const tl::expected<std::string, std::string> text = read_file(std::string(path));
  if (!text) return failure(path, 1, text.error());
  return parse_config(*text, path);
}

}  // namespace stickmesh::config
