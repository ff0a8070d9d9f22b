#include <algorithm>

#include "agent/config/names.h"
#include "agent/config/sections.h"

namespace stickmesh::config {

using namespace std::chrono_literals;

namespace {

/// "660" as chmod and HAProxy write it. A TOML integer is refused: 660 would be another number than 0o660.
std::optional<unsigned> read_mode(const Spot& spot) {
  const std::optional<std::string> given = spot.node.value_exact<std::string>();
  if (!given) return spot.wrong_type(R"(a string of octal digits such as "660")");
  const std::string_view digits = *given;
  const bool octal = std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '7'; });
  if (!octal || digits.size() < 3 || digits.size() > 4) {
    return spot.fail(fmt::format(R"({} must be octal digits, "000" to "777")", quote(digits)));
  }
  unsigned mode = 0;
  for (const char c : digits) mode = mode * 8 + static_cast<unsigned>(c - '0');
  if (mode > 0777) return spot.fail(fmt::format(R"({} must be "000" to "777")", quote(digits)));
  return mode;
}

}  // namespace

std::optional<Listen> read_listen(const Spot& spot) {
  Listen listen;
  listen.line.number = spot.line();
  const toml::table* table = spot.node.as_table();
  if (table == nullptr) {
    const auto address = parsed(R"(an address such as "127.0.0.1:10300" or a table { path, mode, group })",
                                parse_address)(spot);
    if (!address) return std::nullopt;
    listen.address = *address;
    return listen;
  }
  bool valid = false;
  const auto path = [&valid](const Spot& inner) -> std::optional<Address> {
    std::optional<Address> address = parsed("the absolute path of a socket", parse_address)(inner);
    if (!address) return std::nullopt;
    if (address->kind == Address::Kind::kTcp) return inner.fail("must be an absolute path, or abns@name");
    valid = true;
    return address;
  };
  Section section(spot.report, *table, spot.path);
  section.require("path", listen.address, path, R"("/run/stickmesh/peers.sock")");
  section.read("mode", listen.mode, read_mode);
  section.read("group", listen.group, text(optional_word_problem));
  section.finish();
  if (!valid) return std::nullopt;
  return listen;
}

void read_tls(Section& section, Tls& tls) {
  tls.line.number = section.line();
  section.read("cert", tls.cert, text(optional_path_problem));
  section.read("key", tls.key, text(optional_path_problem));
  section.read("ca", tls.ca, text(optional_path_problem));
  section.read("verify", tls.verify,
               choice<Verify>({{"required", Verify::kRequired}, {"none", Verify::kNone}}));
  if (!tls.key.empty() && tls.cert.empty()) section.fail("key", "is of no use without cert");
  if (tls.enabled() && tls.verify == Verify::kRequired && tls.ca.empty()) {
    section.fail("ca", R"(is missing; the other side is verified against it, unless verify = "none")");
  }
}

void read_peers(Section& section, Peers& peers) {
  section.read("listen", peers.listen, list(kListenForm, read_listen));
  section.read("accept-unknown", peers.accept_unknown, read_boolean);
  section.read("allow-from", peers.allow_from,
               list(R"(a list of networks such as ["192.0.2.0/24"])",
                    parsed(R"(a network such as "192.0.2.0/24")", Cidr::parse)));
  section.read("away-after", peers.away_after, time(1s, 24h));
  section.read("forget-after", peers.forget_after, time(1s, 24 * 24h));
  section.read("learn-timeout", peers.learn_timeout, time(0s, 10min));
  section.read("publish-interval", peers.publish_interval, time(0s, 10s));
  section.read("max-origins", peers.max_origins, number(1, 65535));
  section.read("max-tables", peers.max_tables, number(1, 65535));
  section.table("tls", [&peers](Section& inner) {
    read_tls(inner, peers.tls);
    if (peers.tls.enabled() && peers.tls.cert.empty()) inner.fail("cert", "is missing; peers ask for it");
  });
}

void read_peer(Section& section, Peer& peer) {
  peer.line.number = section.line_of("name");
  section.require("name", peer.name, text(peer_name_problem), R"("lb1")");
  section.read("address", peer.address, unless_empty(parsed(kAddressForm, parse_address)));
  section.read("kind", peer.kind,
               choice<PeerKind>({{"haproxy", PeerKind::kHaproxy}, {"agent", PeerKind::kAgent}}));
}

}  // namespace stickmesh::config
