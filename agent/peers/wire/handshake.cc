#include "agent/peers/wire/handshake.h"

#include <fmt/format.h>

#include <charconv>

#include "agent/base/printable.h"

namespace stickmesh::peers {

namespace {

constexpr std::string_view kProtocol = "HAProxyS ";

template <typename T>
std::optional<T> parse_number(std::string_view digits) {
  T value{};
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value);
  if (digits.empty() || error != std::errc{} || at != end) return std::nullopt;
  return value;
}

/// Takes the line that starts at |at|, without its end; nothing when its LF has not come yet.
Result<std::optional<std::string_view>> take_line(std::string_view text, std::size_t& at) {
  const std::string_view rest = text.substr(at, kMaxHelloLine + 1);
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) {
    if (rest.size() > kMaxHelloLine) return refuse(Reason::kBadHello, "line too long: " + printable(rest));
    return std::nullopt;
  }
  at += end + 1;
  std::string_view line = rest.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

Result<unsigned> parse_version(std::string_view line) {
  if (!line.starts_with(kProtocol)) return refuse(Reason::kBadHello, printable(line));
  const std::string_view version = line.substr(kProtocol.size());
  const std::size_t dot = version.find('.');
  if (dot != std::string_view::npos) {
    const auto major = parse_number<unsigned>(version.substr(0, dot));
    const auto minor = parse_number<unsigned>(version.substr(dot + 1));
    if (major == 2U && minor && *minor <= 1) return *minor;
  }
  return refuse(Reason::kBadVersion, printable(version));
}

Result<std::string> parse_name(std::string_view name) {
  if (name.empty()) return refuse(Reason::kBadHello, "empty peer name");
  if (name.size() > kMaxPeerName) return refuse(Reason::kBadHello, "peer name too long: " + printable(name));
  if (has_control_character(name)) return refuse(Reason::kBadHello, "bad peer name: " + printable(name));
  return std::string(name);
}

}  // namespace

std::string encode_hello(const Hello& hello) {
  return fmt::format("{}2.{}\n{}\n{} {} 1\n", kProtocol, hello.minor, hello.to, hello.from, hello.pid);
}

Result<std::optional<ParsedHello>> parse_hello(std::string_view text) {
  ParsedHello parsed{{}, 0};
  const auto version_line = take_line(text, parsed.size);
  if (!version_line) return tl::unexpected(version_line.error());
  if (!*version_line) return std::nullopt;
  const Result<unsigned> minor = parse_version(**version_line);
  if (!minor) return tl::unexpected(minor.error());
  parsed.hello.minor = *minor;

  const auto to_line = take_line(text, parsed.size);
  if (!to_line) return tl::unexpected(to_line.error());
  if (!*to_line) return std::nullopt;
  Result<std::string> to = parse_name(**to_line);
  if (!to) return tl::unexpected(to.error());
  parsed.hello.to = std::move(*to);

  const auto from_line = take_line(text, parsed.size);
  if (!from_line) return tl::unexpected(from_line.error());
  if (!*from_line) return std::nullopt;
  const std::size_t space = (*from_line)->find(' ');
  if (space == std::string_view::npos) {
    return refuse(Reason::kBadHello, "no space after the peer name: " + printable(**from_line));
  }
  Result<std::string> from = parse_name((*from_line)->substr(0, space));
  if (!from) return tl::unexpected(from.error());
  parsed.hello.from = std::move(*from);
  const std::string_view numbers = (*from_line)->substr(space + 1);
  parsed.hello.pid = parse_number<std::uint64_t>(numbers.substr(0, numbers.find(' '))).value_or(0);
  return parsed;
}

std::string encode_status(int status) {
  return fmt::format("{}\n", status);
}

Result<std::optional<ParsedStatus>> parse_status(std::string_view text) {
  ParsedStatus parsed{0, 0};
  const auto line = take_line(text, parsed.size);
  if (!line) return tl::unexpected(line.error());
  if (!*line) return std::nullopt;
  const auto status = parse_number<unsigned>(**line);
  if (!status || *status > 999) return refuse(Reason::kBadHello, "no status line: " + printable(**line));
  parsed.status = static_cast<int>(*status);
  return parsed;
}

std::string_view describe_status(int status) {
  switch (status) {
    case kStatusAccepted:
      return "accepted";
    case 300:
      return "it has a session under our name already, as while it reloads: try again later";
    case 501:
      return "it could not read our hello: is this the port of its peers section?";
    case 502:
      return "it does not speak this version of the peers protocol";
    case 503:
      return "it goes by another name: set the peer's name here to its localpeer name";
    case 504:
      return "it does not know us: add a peer with our name to its peers section";
    default:
      return "a status that the peers protocol does not define";
  }
}

}  // namespace stickmesh::peers
