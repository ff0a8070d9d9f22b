#include "agent/daemon/snapshots.h"

#include <sys/eventfd.h>

#include <exception>

#include "agent/base/log.h"

namespace stickmesh::daemon {

namespace {

// A millisecond or two of encoding.
constexpr std::size_t kSlice = 2000;

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
  end();
}

void Snapshots::failed(const Error& error) {
  errors_.record(error, "snapshot: the one before stays", loop_.now());
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

void Snapshots::finish() {
  pause();
  watcher_.stop();
  // The older one must not come after the newer.
  if (disk_.joinable()) disk_.join();
  saving_.reset();
  if (auto saved = snapshot::save(path_, hub_, loop_.now()); !saved)
    errors_.record(saved.error(), "snapshot: the one before stays", loop_.now());
}

}  // namespace stickmesh::daemon
