#include "agent/daemon/service_manager.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/base/log.h"

namespace stickmesh::daemon {

namespace {

constexpr std::string_view kReady = "READY=1";
/// Its queue is full, or it is not there at all: then the next tries come later and later.
constexpr Duration kFirstTry{100};

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
    : loop_(loop),
      timer_(loop, [this] { beat(); }),
      again_(loop, [this] { pay(); }),
      again_after_(kFirstTry) {
  const auto watchdog = net::take_watchdog();
  if (!watchdog) {
    log::warning("{}: the watchdog is not answered", to_string(watchdog.error()));
  } else if (*watchdog) {
    interval_ = std::max(Duration(1), **watchdog / 2);
  }
}

void ServiceManager::ready(std::string_view status) {
  status_ = status_line(status);
  owe(kReady);
  start_beating();
}

// It may be that the other one has died before it could name this one.
void ServiceManager::take_charge(std::string_view status) {
  status_ = status_line(status);
  owe(fmt::format("MAINPID={}", ::getpid()));
  start_beating();
}

void ServiceManager::hand_on(pid_t successor) {
  if (timer_.active()) beat();
  timer_.stop();
  status_.clear();  // it has one of its own
  owe(fmt::format("MAINPID={}", successor));
}

void ServiceManager::status(std::string_view status) {
  status_ = status_line(status);
  if (owes()) return pay();
  tell(status_);
}

void ServiceManager::stopping(std::string_view status, Duration limit) {
  status_ = status_line(status);
  tell(fmt::format("STOPPING=1\n{}\nEXTEND_TIMEOUT_USEC={}", status_,
                   std::chrono::microseconds(limit).count()));
}

bool ServiceManager::tell(std::string_view what) {
  const auto told = notifier_.send(what);
  if (!told && heard_) log::warning("{}", to_string(told.error()));
  heard_ = told.has_value();
  return heard_;
}

void ServiceManager::owe(std::string_view what) {
  const bool unready = owed_.starts_with(kReady) && what != kReady;
  owed_ = unready ? fmt::format("{}\n{}", kReady, what) : std::string(what);
  again_after_ = kFirstTry;
  pay();
}

void ServiceManager::pay() {
  constexpr Duration kLongest{30'000};
  again_.stop();
  if (tell(status_.empty() ? owed_ : fmt::format("{}\n{}", owed_, status_))) {
    owed_.clear();
    return;
  }
  again_.set(loop_.now() + again_after_);
  again_after_ = std::min(2 * again_after_, kLongest);
}

void ServiceManager::start_beating() {
  if (interval_) beat();
}

void ServiceManager::beat() {
  timer_.set(loop_.now() + *interval_);
  tell("WATCHDOG=1");
}

}  // namespace stickmesh::daemon
