#include "agent/daemon/service_manager.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/base/log.h"

namespace stickmesh::daemon {

namespace {

constexpr std::string_view kReady = "READY=1\n";

// systemd ignores a status that is no UTF-8, and takes each line for an assignment of its own.
std::string status_line(std::string_view status) {
  constexpr std::size_t kLongest = 400;
  std::string line(status.substr(0, kLongest));
  for (char& character : line) {
    if (character == '\n') character = ' ';
    if (character < ' ' || character > '~') character = '?';
  }
  if (status.size() > kLongest) line += "...";
  return "STATUS=" + line;
}

}  // namespace

ServiceManager::ServiceManager(net::Loop& loop)
    : loop_(loop), timer_(loop, [this] { beat(); }), again_(loop, [this] { pay(); }) {
  const auto watchdog = net::take_watchdog();
  if (!watchdog) {
    log::warning("{}: the watchdog is not answered", to_string(watchdog.error()));
  } else if (*watchdog) {
    interval_ = std::max(Duration(1), **watchdog / 2);
  }
}

void ServiceManager::ready(std::string_view status) {
  tell_surely(std::string(kReady) + status_line(status));
  start_beating();
}

// It may be that the other one has died before it could name this one.
void ServiceManager::take_charge(std::string_view status) {
  tell_surely(fmt::format("MAINPID={}\n{}", ::getpid(), status_line(status)));
  start_beating();
}

void ServiceManager::hand_on(pid_t successor) {
  if (timer_.active()) beat();
  timer_.stop();
  tell_surely(fmt::format("MAINPID={}", successor));
}

void ServiceManager::status(std::string_view status) {
  tell(status_line(status));
}

void ServiceManager::stopping(std::string_view status, Duration limit) {
  tell(fmt::format("STOPPING=1\n{}\nEXTEND_TIMEOUT_USEC={}", status_line(status),
                   std::chrono::microseconds(limit).count()));
}

bool ServiceManager::tell(std::string_view what) {
  const auto told = notifier_.send(what);
  if (!told && heard_) log::warning("{}", to_string(told.error()));
  heard_ = told.has_value();
  return heard_;
}

void ServiceManager::tell_surely(std::string what) {
  if (owed_.starts_with(kReady)) what.insert(0, kReady);
  owed_ = std::move(what);
  pay();
}

void ServiceManager::pay() {
  constexpr Duration kTryAgainAfter{200};
  if (tell(owed_)) {
    owed_.clear();
  } else {
    again_.set(loop_.now() + kTryAgainAfter);
  }
}

void ServiceManager::start_beating() {
  if (interval_) beat();
}

void ServiceManager::beat() {
  timer_.set(loop_.now() + *interval_);
  tell("WATCHDOG=1");
}

}  // namespace stickmesh::daemon
