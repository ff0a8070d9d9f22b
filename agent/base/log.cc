#include "agent/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>

#include <fmt/format.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace stickmesh::log {

namespace {

// spdlog has no level between info and warning: its `critical` and above are unused, and `notice` is told
// apart by the threshold that `enabled` compares with, before spdlog sees the line.
spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
    case Level::kNotice:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// Whether stderr is the journal of a service manager, which stamps lines itself (sd-daemon(3),
/// systemd.exec(5)).
bool stderr_is_journal() {
  const char* const journal = std::getenv("JOURNAL_STREAM");
  struct stat seen {};
  return journal != nullptr && fstat(STDERR_FILENO, &seen) == 0 &&
         fmt::format("{}:{}", seen.st_dev, seen.st_ino) == journal;
}

struct State {
  Level threshold = Level::kInfo;
  Target target = Target::kStderr;
  bool journal = false;
  std::shared_ptr<spdlog::logger> logger;

  State() { open(); }

  void open() {
    spdlog::sink_ptr sink;
    journal = target == Target::kStderr && stderr_is_journal();
    if (target == Target::kSyslog) {
      sink = std::make_shared<spdlog::sinks::syslog_sink_st>("stickmeshd", LOG_PID, LOG_DAEMON, true);
    } else {
      sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
    }
    sink->set_pattern(target == Target::kSyslog || journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %v");
    logger = std::make_shared<spdlog::logger>("stickmeshd", std::move(sink));
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::debug);
  }
};

// The log is the one thing every layer may reach without being handed it.
State& state() {
  static State instance;
  return instance;
}

constexpr std::string_view kLevelNames[] = {"debug", "info", "notice", "warning", "error"};

std::string prefix_of(Level level) {
  constexpr int kPriorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERR};
  return fmt::format("<{}>", kPriorities[static_cast<std::size_t>(level)]);
}

}  // namespace

void configure(Level level, Target target) {
  state().threshold = level;
  state().target = target;
  state().open();
}

void reopen() {
  state().open();
}

std::string journal_prefix(Level level) {
  return stderr_is_journal() ? prefix_of(level) : std::string();
}

bool enabled(Level level) {
  return level >= state().threshold;
}

void write(Level level, std::string_view line) {
  const std::string_view name = kLevelNames[static_cast<std::size_t>(level)];
  const std::string priority = state().journal ? prefix_of(level) : std::string();
  state().logger->log(spdlog_level(level), "{}{}: {}", priority, name, line);
}

}  // namespace stickmesh::log
