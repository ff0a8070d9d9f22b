#include "agent/admin/key_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

namespace stickmesh::admin {

namespace {

constexpr std::string_view kControls = "\t\n\r\x1b";
constexpr std::string_view kControlLetters = "tnre";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (const std::size_t control = kControls.find(c); control != std::string_view::npos) {
      out += '\\';
      out += kControlLetters[control];
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02X}", byte);
    } else {
      if (c == ' ' || c == '\\' || c == '=') out += '\\';
      out += c;
    }
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::vector<std::byte> unescaped(std::string_view text) {
  std::vector<std::byte> out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '\\' && at + 1 < text.size()) {
      c = text[++at];
      if (c == 'x' && at + 2 < text.size() && hex_digit(text[at + 1]) >= 0 && hex_digit(text[at + 2]) >= 0) {
        c = static_cast<char>(hex_digit(text[at + 1]) * 16 + hex_digit(text[at + 2]));
        at += 2;
      } else if (const std::size_t letter = kControlLetters.find(c); letter != std::string_view::npos) {
        c = kControls[letter];
      }
    }
    out.push_back(static_cast<std::byte>(c));
  }
  return out;
}

Result<std::vector<std::byte>> address(int family, std::size_t size, std::string_view text) {
  std::vector<std::byte> out(size);
  if (inet_pton(family, std::string(text).c_str(), out.data()) == 1) return out;
  return refuse(Reason::kBadCommand,
                fmt::format("key '{}' is no {} address", text, family == AF_INET ? "IPv4" : "IPv6"));
}

Result<std::vector<std::byte>> binary(const TableDefinition& definition, std::string_view text) {
  std::vector<std::byte> out;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    if (hex_digit(text[at]) < 0 || hex_digit(text[at + 1]) < 0) break;
    out.push_back(static_cast<std::byte>(hex_digit(text[at]) * 16 + hex_digit(text[at + 1])));
  }
  if (out.size() * 2 != text.size() || out.size() > definition.key_size || out.empty()) {
    return refuse(Reason::kBadCommand,
                  fmt::format("key '{}' is not 1 to {} bytes in hexadecimal", text, definition.key_size));
  }
  out.resize(definition.key_size);
  return out;
}

}  // namespace

std::string key_to_text(KeyType type, Bytes key) {
  switch (type) {
    case KeyType::kIpv4:
    case KeyType::kIpv6: {
      char text[INET6_ADDRSTRLEN] = "";
      inet_ntop(type == KeyType::kIpv4 ? AF_INET : AF_INET6, key.data(), text, sizeof text);
      return text;
    }
    case KeyType::kInteger:
      return std::to_string(Reader(key).u32be());
    case KeyType::kString:
      return escaped(as_text(key));
    case KeyType::kBinary: {
      std::string text;
      for (const std::byte byte : key) text += fmt::format("{:02X}", std::to_integer<unsigned>(byte));
      return text;
    }
  }
  return {};
}

Result<std::vector<std::byte>> key_from_text(const TableDefinition& definition, std::string_view text) {
  switch (definition.key_type) {
    case KeyType::kIpv4:
      return address(AF_INET, 4, text);
    case KeyType::kIpv6:
      return address(AF_INET6, 16, text);
    case KeyType::kBinary:
      return binary(definition, text);
    case KeyType::kInteger: {
      std::uint32_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc{} || end != text.data() + text.size()) {
        return refuse(Reason::kBadCommand, fmt::format("key '{}' is no number from 0 to 4294967295", text));
      }
      std::vector<std::byte> out;
      Writer(out).u32be(value);
      return out;
    }
    case KeyType::kString: {
      std::vector<std::byte> out = unescaped(text);
      if (!out.empty() && out.size() < definition.key_size) return out;
      return refuse(Reason::kBadCommand,
                    fmt::format("key '{}' is not 1 to {} bytes long", text, definition.key_size - 1));
    }
  }
  return refuse(Reason::kBadCommand, "this table's keys cannot be written");
}

}  // namespace stickmesh::admin
