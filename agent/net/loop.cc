#include "agent/net/loop.h"

#include <cstdlib>

#include "agent/base/log.h"
#include "agent/net/guard.h"

namespace stickmesh::net {

namespace {

constexpr std::size_t kReadBufferSize = 65536;

}  // namespace

void log_exception(const char* where, const char* what) noexcept {
  try {
    log::error("internal error in {}: {}", where, what);
  } catch (...) {  // no memory even for the line
  }
}

void Link::unlink() {
  next->previous = previous;
  previous->next = next;
  next = previous = this;
}

void Link::insert_before(Link& place) {
  previous = place.previous;
  next = &place;
  previous->next = this;
  place.previous = this;
}

// NOENV: the environment must not choose the backend (select cannot watch descriptors above 1023).
Loop::Loop() : loop_(ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV)), read_buffer_(kReadBufferSize) {
  if (loop_ == nullptr) {
    log::error("cannot make an event loop: no usable backend or no memory");
    std::abort();
  }
  // Highest priority: the clock is read before any other callback of the wake-up runs.
  ev_check_init(&check_, [](struct ev_loop*, ev_check* watcher, int) {
    static_cast<Loop*>(watcher->data)->read_clock();
  });
  check_.data = this;
  ev_set_priority(&check_, EV_MAXPRI);
  ev_check_start(loop_, &check_);
  ev_unref(loop_);
  read_clock();
}

Loop::~Loop() {
  empty_graveyard();
  while (deferred_.linked()) deferred_.next->unlink();
  ev_ref(loop_);
  ev_check_stop(loop_, &check_);
  ev_loop_destroy(loop_);
}

void Loop::refresh() {
  ev_now_update(loop_);
  read_clock();
}

void Loop::read_clock() {
  woke_ = std::chrono::steady_clock::now();
}

void Loop::run() {
  refresh();
  while (!stopping_ && run_once()) {
  }
  stopping_ = false;
}

bool Loop::run_once() {
  const bool must_not_wait = deferred_.linked() || !graves_.empty();
  const bool watching = ev_run(loop_, must_not_wait ? EVRUN_NOWAIT : EVRUN_ONCE) != 0;
  finish_wakeup();
  return watching || deferred_.linked();
}

void Loop::finish_wakeup() {
  // Only what is there now: what deferred work defers waits for the next pass.
  Link batch;
  batch.insert_before(deferred_);
  deferred_.unlink();
  while (batch.linked()) {
    auto& task = static_cast<Deferred&>(*batch.next);
    task.unlink();
    guarded("deferred work", task.callback_);
  }
  empty_graveyard();
}

void Loop::empty_graveyard() {
  while (!graves_.empty()) {
    std::vector<Grave> graves = std::exchange(graves_, {});
    graves.clear();
  }
}

}  // namespace stickmesh::net
