#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "agent/base/error_log.h"
#include "agent/net/io_watcher.h"
#include "agent/net/loop.h"
#include "agent/net/timer.h"
#include "agent/net/unique_fd.h"
#include "agent/pipeline/hub.h"
#include "agent/snapshot/file.h"

namespace stickmesh::daemon {

/// Loads the snapshot at start, and writes one every interval and at stop. Between the two it works in
/// slices, so that the loop goes on; only waiting for the disk is a thread's, which touches nothing but the
/// file.
class Snapshots {
 public:
  Snapshots(net::Loop& loop, pipeline::Hub& hub, ErrorLog& errors, std::string path, Duration interval);
  Snapshots(const Snapshots&) = delete;
  Snapshots& operator=(const Snapshots&) = delete;
  ~Snapshots();

  /// Before any session. A snapshot that is refused is an error of the log. False without one.
  bool load();
  /// From now on one is written every interval.
  void start() { timer_.set(loop_.now() + interval_); }
  /// Writes the last one, however long it takes. False if that failed.
  bool finish();
  /// Begins none until `start`: another process may write one soon.
  void pause();

 private:
  void begin();
  void step();
  /// The disk has it, or has not.
  void committed();
  /// A full disk stays full for long: of failures in a row with the same cause, the log has the first,
  /// second, fourth, eighth and so on.
  void failed(const Error& error);
  void end();

  net::Loop& loop_;
  pipeline::Hub& hub_;
  ErrorLog& errors_;
  const std::string path_;
  const Duration interval_;
  net::Timer timer_;
  net::Deferred slice_;
  std::unique_ptr<snapshot::Saving> saving_;  ///< null between two
  std::thread disk_;
  Result<void> result_;         ///< of |disk_|, once it has ended
  std::string problem_;         ///< of the last one; empty when it was written
  std::uint64_t failures_ = 0;  ///< by |problem_|, in a row
  std::uint64_t recorded_ = 0;  ///< of these
  net::UniqueFd ended_;         ///< an eventfd, by which it says so
  net::IoWatcher watcher_;
};

}  // namespace stickmesh::daemon
