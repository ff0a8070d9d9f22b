#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/base/time.h"

namespace stickmesh::config {

/// A value, or what is wrong with its text, in words that show the right form but not the key.
template <typename T>
using Parsed = tl::expected<T, std::string>;

/// A time with its unit, "20ms", "10s", "10m", "1h", "2d", or "0". Microseconds ("2000us") must be whole
/// milliseconds, since that is what the peers protocol and our clock count in.
Parsed<Duration> parse_duration(std::string_view text);

/// A time as HAProxy reads it: no unit means milliseconds, microseconds are rounded up, and 2^31-1 ms
/// (about 24.8 days) is the longest.
Parsed<Duration> parse_haproxy_time(std::string_view text);

/// A number of bytes, "16MiB", "1GiB", "64k" or "1048576"; k, m, g and t are powers of 1024 as in HAProxy.
Parsed<std::uint64_t> parse_size(std::string_view text);

/// A number of entries as HAProxy reads `size`: "100k", "1m"; 1 to 2^32-1.
Parsed<std::uint64_t> parse_haproxy_size(std::string_view text);

/// A decimal number without sign, up to |limit|; nothing else in |text|.
Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t limit);

/// In the largest unit that is exact: "1GiB", "1536KiB", "1000".
std::string describe_size(std::uint64_t bytes);

}  // namespace stickmesh::config
