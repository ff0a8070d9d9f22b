#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/result.h"

namespace stickmesh::log {

enum class Level : std::uint8_t { kDebug, kInfo, kNotice, kWarning, kError };
enum class Target : std::uint8_t { kStderr, kSyslog };

/// Until this is called, lines of level info and above go to stderr. A journal there gets their priority, and
/// stamps them itself.
void configure(Level level, Target target);
/// Opens the target anew, for log rotation.
void reopen();
bool enabled(Level level);
/// What goes before a line of stderr that is not written here, so that a journal knows its level; else empty.
std::string journal_prefix(Level level);
void write(Level level, std::string_view line);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug)) write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void notice(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kNotice)) write(Level::kNotice, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarning)) write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kError)) write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace stickmesh::log
