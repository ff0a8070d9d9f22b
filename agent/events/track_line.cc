#include "agent/events/track_line.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "agent/base/printable.h"

namespace stickmesh::events {

namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Takes the first word off |rest|, and the space behind it. Two spaces in a row have an empty word between
/// them.
std::string_view take_word(std::string_view& rest) {
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size() == rest.size() ? word.size() : word.size() + 1);
  return word;
}

/// With the line up to its key, which may be a secret.
tl::unexpected<Error> malformed(std::string_view why, std::string_view text) {
  std::string_view rest = text;
  take_word(rest);
  take_word(rest);
  const std::size_t shown = text.size() - rest.size();
  return refuse(Reason::kBadMessage,
                fmt::format("{}: {}{}", why, printable(text.substr(0, shown)), rest.empty() ? "" : "..."));
}

/// False for a % without two hexadecimal digits.
bool decode(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out.push_back(text[at]);
      continue;
    }
    const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
    const int low = high < 0 ? -1 : hex_digit(text[at + 2]);
    if (low < 0) return false;
    out.push_back(static_cast<char>(high * 16 + low));
    at += 2;
  }
  return true;
}

/// Or what is wrong with |word|.
tl::expected<TrackLine::Count, std::string_view> read_count(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == 0 || equals == std::string_view::npos)
    return tl::unexpected(std::string_view("is not TYPE=N"));
  TrackLine::Count count{word.substr(0, equals)};
  const std::string_view digits = word.substr(equals + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count.number);
  // A sign would be taken.
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.front() == '-') {
    return tl::unexpected(std::string_view("has no number from 0 to 2^63-1"));
  }
  return count;
}

}  // namespace

Result<void> parse_track_line(std::string_view text, TrackLine& line) {
  line.counts.clear();
  if (has_control_character(text)) return malformed("a control character", text);
  std::string_view rest = text;
  if (take_word(rest) != "track") return malformed("the first word is not 'track'", text);
  line.table = take_word(rest);
  if (line.table.empty()) return malformed("the table is missing", text);
  const std::string_view key = take_word(rest);
  if (key.empty()) return malformed("the key is missing", text);
  if (!decode(key, line.key)) return malformed("a % in the key without two hexadecimal digits", text);
  if (rest.empty()) return malformed("it names no data type", text);
  for (int number = 4; !rest.empty(); ++number) {
    const bool last_is_empty = rest.back() == ' ' && rest.find(' ') == rest.size() - 1;
    const auto count = read_count(take_word(rest));
    if (!count) return malformed(fmt::format("word {} {}", number, count.error()), text);
    if (last_is_empty) return malformed("a space at the end", text);
    line.counts.push_back(*count);
  }
  return {};
}

std::string to_text(const TrackLine& line) {
  std::string text = fmt::format("track {} ", line.table);
  for (const char c : line.key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%') {
      text.push_back(c);
    } else {
      text.push_back('%');
      text.push_back(kDigits[byte >> 4U]);
      text.push_back(kDigits[byte & 15U]);
    }
  }
  for (const TrackLine::Count& count : line.counts) {
    fmt::format_to(std::back_inserter(text), " {}={}", count.type, count.number);
  }
  text.push_back('\n');
  return text;
}

}  // namespace stickmesh::events
