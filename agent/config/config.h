#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/data_types.h"
#include "agent/base/log.h"
#include "agent/base/table_definition.h"
#include "agent/base/time.h"
#include "agent/config/address.h"

/// The config as plain values, every member with the default of its key. `load_config` fills and checks it;
/// it is not changed afterwards.
namespace stickmesh::config {

/// Where the first key of an entry stands in the file, for messages; 0 for a default. No part of the entry's
/// value.
struct Line {
  unsigned number = 0;

  bool operator==(const Line&) const { return true; }
};

struct Agent {
  std::string name;  ///< never empty once loaded: "agent-" and the short host name by default
  std::string state_dir = "/var/lib/stickmesh";
  Duration snapshot_interval{60'000};
  Duration drain_timeout{30'000};
  Duration switch_timeout{20};
  std::uint64_t max_memory = std::uint64_t{1} << 30;

  bool operator==(const Agent&) const = default;
};

struct Log {
  log::Level level = log::Level::kInfo;
  log::Target target = log::Target::kStderr;

  bool operator==(const Log&) const = default;
};

/// A place to listen. |mode| and |group| are those of a UNIX socket; an empty group is the process's own.
struct Listen {
  Address address;
  unsigned mode = 0660;
  std::string group{};
  Line line{};

  bool operator==(const Listen&) const = default;
};

struct Admin {
  std::string socket = "/run/stickmesh/admin.sock";
  std::optional<Address> http;  ///< nothing: off
  std::string token_file;

  bool operator==(const Admin&) const = default;
};

enum class Verify : std::uint8_t { kRequired, kNone };

struct Tls {
  std::string cert;
  std::string key;  ///< empty: in the file of |cert|
  std::string ca;
  Verify verify = Verify::kRequired;
  Line line{};

  bool enabled() const { return !cert.empty() || !ca.empty() || verify == Verify::kNone; }
  bool operator==(const Tls&) const = default;
};

struct Peers {
  std::vector<Listen> listen = {Listen{Address{Address::Kind::kTcp, "127.0.0.1", 10300}}};
  bool accept_unknown = false;
  std::vector<Cidr> allow_from;
  Duration away_after{10'000};
  Duration forget_after{600'000};
  Duration learn_timeout{5'000};
  Duration publish_interval{20};
  std::uint32_t max_origins = 256;
  std::uint32_t max_tables = 100;
  Tls tls;

  bool operator==(const Peers&) const = default;
};

enum class PeerKind : std::uint8_t { kHaproxy, kAgent };

struct Peer {
  std::string name;
  std::optional<Address> address;  ///< nothing: the agent only accepts
  PeerKind kind = PeerKind::kHaproxy;
  Line line;

  bool operator==(const Peer&) const = default;
};

struct Table {
  TableDefinition definition;  ///< its name without a slash
  std::uint64_t size = 0;      ///< entries
  bool is_private = false;
  Line line;

  bool operator==(const Table&) const = default;
};

enum class Function : std::uint8_t { kSum, kMax, kMin, kLast };

struct Aggregate {
  std::string from;
  std::string to;
  std::map<DataType, Function> function;  ///< where it is not the default
  std::map<DataType, DataType> copy;      ///< source to the type that its total is also published as
  Line line{};
  Line to_line{};

  bool operator==(const Aggregate&) const = default;
};

/// |aggregate.function| over the defaults, in the terms of the store.
Merges merges_of(const Aggregate& aggregate);

struct Replicate {
  std::string tables;
  Line line;

  bool operator==(const Replicate&) const = default;
};

enum class LimitMode : std::uint8_t { kEnforce, kShadow };

struct Limit {
  std::string name;
  std::string table;
  DataType type = DataType::kHttpReqRate;
  std::uint32_t above = 0;
  LimitMode mode = LimitMode::kEnforce;
  Line line;

  bool operator==(const Limit&) const = default;
};

/// The other table that agents write, besides totals and `status.table`.
inline constexpr std::string_view kLimitsTable = "limits";

struct Status {
  std::string table = "stickmesh";  ///< empty: off

  bool operator==(const Status&) const = default;
};

struct Spoe {
  std::vector<Listen> listen = {Listen{Address{Address::Kind::kTcp, "127.0.0.1", 10301}}};
  std::uint32_t max_frame_size = 1'048'576;
  Duration deadline{30};

  bool operator==(const Spoe&) const = default;
};

struct Events {
  std::vector<Listen> listen;

  bool operator==(const Events&) const = default;
};

enum class OnError : std::uint8_t { kDefault, kAllow, kDeny };

struct Hook {
  std::string file;
  std::vector<std::string> frontends = {"*"};  ///< patterns
  Duration call_time{2};
  std::uint64_t memory = std::uint64_t{16} << 20;
  OnError on_error = OnError::kDefault;
  Line line;

  bool operator==(const Hook&) const = default;
};

struct Redis {
  std::vector<Address> address;  ///< empty: off; several only with |sentinel| or |cluster|
  std::string prefix = "stickmesh";
  std::string tables = "*";
  Duration flush_interval{100};
  bool restore = true;
  std::string user;
  std::string password_file;
  std::uint32_t db = 0;
  std::string sentinel;
  bool cluster = false;
  bool publish = false;
  std::vector<std::string> accept;  ///< patterns of table names
  Tls tls;
  Line password_line;

  bool operator==(const Redis&) const = default;
};

struct Config {
  Agent agent;
  Log log;
  Admin admin;
  Peers peers;
  std::vector<Peer> peer;
  std::vector<Table> table;
  std::vector<Aggregate> aggregate;
  std::vector<Replicate> replicate;
  std::vector<Limit> limit;
  Status status;
  Spoe spoe;
  Events events;
  std::vector<Hook> hook;
  Redis redis;

  bool operator==(const Config&) const = default;
};

}  // namespace stickmesh::config
