#include "agent/daemon/snapshots.h"

#include <fmt/chrono.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <bit>
#include <exception>
#include <utility>

#include "agent/base/log.h"

namespace stickmesh::daemon {

namespace {

// A millisecond or two of encoding.
constexpr std::size_t kSlice = 2000;

/// What is there when another could not be written.
std::string what_stays(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "there is none";
  return fmt::format("the one of {:%F %T} stays", fmt::localtime(status.st_mtim.tv_sec));
}

}  // namespace

Snapshots::Snapshots(net::Loop& loop, pipeline::Hub& hub, ErrorLog& errors, std::string path,
                     Duration interval)
    : loop_(loop),
      hub_(hub),
      errors_(errors),
      path_(std::move(path)),
      interval_(interval),
      timer_(loop, [this] { begin(); }),
      slice_(loop, [this] { step(); }),
      ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      watcher_(loop, net::Ready::kToRead, [this] { committed(); }) {}

Snapshots::~Snapshots() {
  if (disk_.joinable()) disk_.join();
}

bool Snapshots::load() {
  const auto loaded = snapshot::load(path_, hub_, loop_.now());
  if (!loaded) errors_.record(loaded.error(), "snapshot", loop_.now());
  loop_.refresh();
  return loaded.value_or(false);
}

void Snapshots::begin() {
  if (!ended_) {
    return failed({Reason::kSystem, "no eventfd could be had at start: raise LimitNOFILE and restart"});
  }
  auto saving = snapshot::Saving::begin(path_, hub_);
  if (!saving) return failed(saving.error());
  saving_ = std::move(*saving);
  slice_.schedule();
}

void Snapshots::step() {
  loop_.refresh();
  const Result<bool> done = saving_->step(kSlice, loop_.now());
  if (!done) return failed(done.error());
  if (!*done) return slice_.schedule();
  watcher_.start(ended_.get());
  try {
    disk_ = std::thread([this] {
      result_ = saving_->commit();
      ::eventfd_write(ended_.get(), 1);
    });
  } catch (const std::exception& problem) {
    watcher_.stop();
    failed({Reason::kSystem, problem.what()});
  }
}

void Snapshots::committed() {
  watcher_.stop();
  eventfd_t count = 0;
  ::eventfd_read(ended_.get(), &count);
  disk_.join();
  if (!result_) return failed(result_.error());
  log::debug("snapshot: {} contributions written to {}", saving_->contributions(), path_);
  if (!problem_.empty()) log::notice("snapshot: written again, after {} that were not", failures_);
  problem_.clear();
  end();
}

void Snapshots::failed(const Error& error) {
  const bool another = std::exchange(problem_, error.detail) != error.detail;
  if (another) failures_ = recorded_ = 0;
  if (std::has_single_bit(++failures_)) {
    const std::string times = failures_ == 1 ? "" : fmt::format(" (failed {} times)", failures_);
    errors_.record(error, fmt::format("snapshot: {}{}", what_stays(path_), times), loop_.now(),
                   failures_ - std::exchange(recorded_, failures_));
  }
  end();
}

void Snapshots::end() {
  saving_.reset();
  start();
}

void Snapshots::pause() {
  timer_.stop();
  slice_.cancel();
  if (!disk_.joinable()) saving_.reset();
}

bool Snapshots::finish() {
  pause();
  watcher_.stop();
  // The older one must not come after the newer.
  if (disk_.joinable()) disk_.join();
  saving_.reset();
  const auto saved = snapshot::save(path_, hub_, loop_.now());
  if (saved) return true;
  log::error(
      "snapshot at stop: {}: {}; what was counted since, others have to tell this agent at its next start",
      to_string(saved.error()), what_stays(path_));
  return false;
}

}  // namespace stickmesh::daemon
