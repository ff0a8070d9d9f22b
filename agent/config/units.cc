#include "agent/config/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "agent/config/quote.h"

namespace stickmesh::config {
namespace {

constexpr std::uint64_t kLongestTime = 2'147'483'647;  // ms; HAProxy's timers and ours share the limit
constexpr std::string_view kTimeForm = R"(a time has a unit: "20ms", "10s", "5m", "1h" or "2d")";
constexpr std::string_view kSizeForm = R"(a size is written "64k", "16MiB" or "1GiB")";

struct Split {
  std::uint64_t number;
  std::string_view unit;
};

/// Digits, then the rest. Nothing when |text| starts with no digit or the number exceeds 64 bits.
std::optional<Split> split(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  return Split{number, text.substr(static_cast<std::size_t>(at - text.data()))};
}

tl::unexpected<std::string> wrong(std::string_view text, std::string_view why) {
  return tl::unexpected<std::string>(fmt::format("{}: {}", quote(text), why));
}

/// Microseconds in a unit of HAProxy's; 0 when there is no such unit.
std::uint64_t unit_in_us(std::string_view unit) {
  if (unit == "us") return 1;
  if (unit == "ms") return 1000;
  if (unit == "s") return 1'000'000;
  if (unit == "m") return 60'000'000;
  if (unit == "h") return 3'600'000'000;
  if (unit == "d") return 86'400'000'000;
  return 0;
}

/// |number| times |unit| in microseconds; nothing when that is longer than the longest time.
std::optional<std::uint64_t> in_us(std::uint64_t number, std::uint64_t unit) {
  if (number > kLongestTime * 1000 / unit) return std::nullopt;
  return number * unit;
}

Duration to_duration(std::uint64_t ms) {
  return Duration(static_cast<Duration::rep>(ms));
}

/// Powers of 1024; 0 when there is no such unit.
std::uint64_t size_unit(std::string_view unit) {
  struct Unit {
    std::string_view haproxy, full;
  };
  constexpr std::array<Unit, 4> kUnits = {{{"k", "KiB"}, {"m", "MiB"}, {"g", "GiB"}, {"t", "TiB"}}};
  if (unit.empty()) return 1;
  for (std::size_t index = 0; index < kUnits.size(); ++index) {
    const Unit& known = kUnits[index];
    const bool letter = unit.size() == 1 && (unit[0] | 0x20) == known.haproxy[0];
    if (letter || unit == known.full) return std::uint64_t{1} << (10 * (index + 1));
  }
  return 0;
}

}  // namespace

Parsed<Duration> parse_duration(std::string_view text) {
  const std::optional<Split> parts = split(text);
  if (!parts) return wrong(text, kTimeForm);
  if (parts->unit.empty() && parts->number == 0) return Duration(0);
  if (parts->unit.empty()) {
    return wrong(text, fmt::format(R"(has no unit; write "{0}s" or "{0}ms")", parts->number));
  }
  const std::uint64_t unit = unit_in_us(parts->unit);
  if (unit == 0) return wrong(text, kTimeForm);
  const std::optional<std::uint64_t> us = in_us(parts->number, unit);
  if (!us) return wrong(text, "longer than 2147483647 ms (about 24.8 days)");
  if (*us % 1000 != 0) {
    return wrong(text, R"(times are whole milliseconds; write it in "ms")");
  }
  return to_duration(*us / 1000);
}

Parsed<Duration> parse_haproxy_time(std::string_view text) {
  const std::optional<Split> parts = split(text);
  const std::uint64_t unit = !parts ? 0 : parts->unit.empty() ? 1000 : unit_in_us(parts->unit);
  if (unit == 0) return wrong(text, R"(a time is written "500ms", "10s", "5m", "1h" or "2d")");
  const std::optional<std::uint64_t> us = in_us(parts->number, unit);
  if (!us) return wrong(text, "longer than 2147483647 ms (about 24.8 days)");
  return to_duration((*us + 999) / 1000);
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
  const std::optional<Split> parts = split(text);
  const std::uint64_t unit = parts ? size_unit(parts->unit) : 0;
  if (unit == 0) return wrong(text, kSizeForm);
  if (parts->number > std::numeric_limits<std::uint64_t>::max() / unit) return wrong(text, "exceeds 64 bits");
  return parts->number * unit;
}

Parsed<std::uint64_t> parse_haproxy_size(std::string_view text) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  const std::optional<Split> parts = split(text);
  const std::uint64_t unit = parts && parts->unit.size() <= 1 ? size_unit(parts->unit) : 0;
  if (unit == 0 || parts->unit == "t" || parts->unit == "T") {
    return wrong(text, R"(a number of entries is written "5000", "100k", "1m" or "2g")");
  }
  if (parts->number == 0 || parts->number > kMost / unit)
    return wrong(text, "must be 1 to 4294967295 entries");
  return parts->number * unit;
}

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t limit) {
  const std::optional<Split> parts = split(text);
  if (!parts || !parts->unit.empty()) return wrong(text, "not a whole number");
  if (parts->number > limit) return wrong(text, fmt::format("above {}", limit));
  return parts->number;
}

std::string describe_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, kUnits[unit]);
}

}  // namespace stickmesh::config
