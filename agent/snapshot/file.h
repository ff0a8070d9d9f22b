#pragma once

#include <memory>
#include <string>

#include "agent/base/atomic_file.h"
#include "agent/pipeline/hub.h"
#include "agent/snapshot/encoder.h"
#include "agent/snapshot/restoration.h"

namespace stickmesh::snapshot {

/// The file of it in the state directory.
std::string snapshot_path(const std::string& state_dir);

/// Gives |hub| what |file| holds. Nothing of it has changed when there is an error.
Result<Restoration::Counts> restore(Bytes file, pipeline::Hub& hub, TimePoint now);

/// Gives |hub| what the snapshot at |path| holds, if there is one. One that is damaged, of a later version or
/// of another agent changes nothing: it is set aside as PATH.refused, and the error says so. False: there is
/// none. Blocks for as long as it takes.
Result<bool> load(const std::string& path, pipeline::Hub& hub, TimePoint now);

/// A snapshot that is being written. The one before stays in its place until `commit`.
class Saving {
 public:
  static Result<std::unique_ptr<Saving>> begin(const std::string& path, pipeline::Hub& hub);
  Saving(const Saving&) = delete;
  Saving& operator=(const Saving&) = delete;

  /// Writes about |contributions| of them, to the kernel; true when these were the last.
  Result<bool> step(std::size_t contributions, TimePoint now);
  /// As `AtomicFile::commit`. It touches nothing but the file, so that another thread can wait for the disk.
  Result<void> commit() { return file_.commit(); }
  std::size_t contributions() const { return encoder_.contributions(); }

 private:
  Saving(AtomicFile file, pipeline::Hub& hub) : file_(std::move(file)), encoder_(hub) {}

  AtomicFile file_;
  Encoder encoder_;
};

/// Writes one at once.
Result<void> save(const std::string& path, pipeline::Hub& hub, TimePoint now);

}  // namespace stickmesh::snapshot
