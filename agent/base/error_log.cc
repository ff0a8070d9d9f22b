#include "agent/base/error_log.h"

#include "agent/base/log.h"

namespace stickmesh {

void ErrorLog::record(const Error& error, std::string where, TimePoint now, std::uint64_t times) {
  Counter& counter = counters_[static_cast<std::size_t>(error.reason)];
  const bool first = counter.count == 0;
  counter.count += times;
  if (first || now - counter.logged >= std::chrono::seconds(1)) {
    if (counter.unlogged != 0) {
      log::warning("{}: {} ({} more of this kind were not logged)", where, to_string(error),
                   counter.unlogged);
    } else {
      log::warning("{}: {}", where, to_string(error));
    }
    counter.logged = now;
    counter.unlogged = times - 1;
  } else {
    counter.unlogged += times;
  }
  recent_.push_back({std::chrono::system_clock::now(), error.reason, std::move(where), error.detail});
  if (recent_.size() > kKept) recent_.pop_front();
}

}  // namespace stickmesh
