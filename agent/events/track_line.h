#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"

namespace stickmesh::events {

/// An event as a line says it:
///
///     track TABLE KEY TYPE=N [TYPE=N ...]
///
/// One space between words, no control characters. KEY is percent-encoded: `%20` is a space, `%25` a `%`;
/// other bytes may stand as they are. N is decimal, up to 2^63-1.
struct TrackLine {
  struct Count {
    std::string_view type;
    std::int64_t number = 0;
    bool operator==(const Count&) const = default;
  };
  std::string_view table;
  std::string key;  ///< decoded: any bytes
  std::vector<Count> counts;
};

/// Reads |text|, without its newline, into |line|, whose memory is used again; views are of |text|. What
/// |line| has after an error means nothing.
Result<void> parse_track_line(std::string_view text, TrackLine& line);

/// The same in bytes, with the newline.
std::string to_text(const TrackLine& line);

}  // namespace stickmesh::events
