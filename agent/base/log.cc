#include "agent/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>

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

struct State {
  Level threshold = Level::kInfo;
  Target target = Target::kStderr;
  std::shared_ptr<spdlog::logger> logger = make(Target::kStderr);

  static std::shared_ptr<spdlog::logger> make(Target target) {
    spdlog::sink_ptr sink;
    if (target == Target::kSyslog) {
      sink = std::make_shared<spdlog::sinks::syslog_sink_st>("stickmeshd", LOG_PID, LOG_DAEMON, true);
      sink->set_pattern("%v");
    } else {
      sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
      sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %v");
    }
    auto logger = std::make_shared<spdlog::logger>("stickmeshd", std::move(sink));
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::debug);
    return logger;
  }
};

// The log is the one thing every layer may reach without being handed it.
State& state() {
  static State instance;
  return instance;
}

constexpr std::string_view kLevelNames[] = {"debug", "info", "notice", "warning", "error"};

}  // namespace

void configure(Level level, Target target) {
  state().threshold = level;
  state().target = target;
  state().logger = State::make(target);
}

void reopen() {
  state().logger = State::make(state().target);
}

bool enabled(Level level) {
  return level >= state().threshold;
}

void write(Level level, std::string_view line) {
  state().logger->log(spdlog_level(level), "{}: {}", kLevelNames[static_cast<std::size_t>(level)], line);
}

}  // namespace stickmesh::log
