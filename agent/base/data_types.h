#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace stickmesh {

/// A stick table's data types, numbered as on the wire: bit n of a definition is type n (peers-protocol 2.4).
enum class DataType : std::uint8_t {
  kServerId = 0,
  kGpt0,
  kGpc0,
  kGpc0Rate,
  kConnCnt,
  kConnRate,
  kConnCur,
  kSessCnt,
  kSessRate,
  kHttpReqCnt,
  kHttpReqRate,
  kHttpErrCnt,
  kHttpErrRate,
  kBytesInCnt,
  kBytesInRate,
  kBytesOutCnt,
  kBytesOutRate,
  kGpc1,
  kGpc1Rate,
  kServerKey,
  kHttpFailCnt,
  kHttpFailRate,
  kGpt,
  kGpc,
  kGpcRate,
  kGlitchCnt,
  kGlitchRate,
};

inline constexpr std::size_t kDataTypeCount = 27;
/// HAProxy's limit of an array's elements.
inline constexpr std::uint32_t kMaxArrayElements = 100;

/// How a value is encoded, and how wide it is.
enum class ValueKind : std::uint8_t { kSigned32, kUnsigned32, kUnsigned64, kRate, kDictionary };

/// What a total is by default, as the table of DESIGN.md "How tables are treated" says.
enum class Merge : std::uint8_t { kSum, kRate, kPresentSum, kLastChange, kMax, kMin };

struct DataTypeTraits {
  std::string_view name;
  ValueKind kind;
  bool array;
  Merge merge;
};

inline constexpr std::array<DataTypeTraits, kDataTypeCount> kDataTypes = {{
    {"server_id", ValueKind::kSigned32, false, Merge::kLastChange},
    {"gpt0", ValueKind::kUnsigned32, false, Merge::kLastChange},
    {"gpc0", ValueKind::kUnsigned32, false, Merge::kSum},
    {"gpc0_rate", ValueKind::kRate, false, Merge::kRate},
    {"conn_cnt", ValueKind::kUnsigned32, false, Merge::kSum},
    {"conn_rate", ValueKind::kRate, false, Merge::kRate},
    {"conn_cur", ValueKind::kUnsigned32, false, Merge::kPresentSum},
    {"sess_cnt", ValueKind::kUnsigned32, false, Merge::kSum},
    {"sess_rate", ValueKind::kRate, false, Merge::kRate},
    {"http_req_cnt", ValueKind::kUnsigned32, false, Merge::kSum},
    {"http_req_rate", ValueKind::kRate, false, Merge::kRate},
    {"http_err_cnt", ValueKind::kUnsigned32, false, Merge::kSum},
    {"http_err_rate", ValueKind::kRate, false, Merge::kRate},
    {"bytes_in_cnt", ValueKind::kUnsigned64, false, Merge::kSum},
    {"bytes_in_rate", ValueKind::kRate, false, Merge::kRate},
    {"bytes_out_cnt", ValueKind::kUnsigned64, false, Merge::kSum},
    {"bytes_out_rate", ValueKind::kRate, false, Merge::kRate},
    {"gpc1", ValueKind::kUnsigned32, false, Merge::kSum},
    {"gpc1_rate", ValueKind::kRate, false, Merge::kRate},
    {"server_key", ValueKind::kDictionary, false, Merge::kLastChange},
    {"http_fail_cnt", ValueKind::kUnsigned32, false, Merge::kSum},
    {"http_fail_rate", ValueKind::kRate, false, Merge::kRate},
    {"gpt", ValueKind::kUnsigned32, true, Merge::kLastChange},
    {"gpc", ValueKind::kUnsigned32, true, Merge::kSum},
    {"gpc_rate", ValueKind::kRate, true, Merge::kRate},
    {"glitch_cnt", ValueKind::kUnsigned32, false, Merge::kSum},
    {"glitch_rate", ValueKind::kRate, false, Merge::kRate},
}};

constexpr const DataTypeTraits& traits(DataType type) {
  return kDataTypes[static_cast<std::size_t>(type)];
}

/// What the totals of one table are, by data type.
using Merges = std::array<Merge, kDataTypeCount>;

constexpr Merges default_merges() {
  Merges merges{};
  for (std::size_t index = 0; index < kDataTypeCount; ++index) merges[index] = kDataTypes[index].merge;
  return merges;
}

/// Finds a type by HAProxy's name for it.
std::optional<DataType> find_data_type(std::string_view name);

enum class KeyType : std::uint8_t { kInteger = 2, kIpv4 = 4, kIpv6 = 5, kString = 6, kBinary = 7 };

/// "integer", "ip", "ipv6", "string" or "binary", as HAProxy's `show table` writes it.
std::string_view key_type_name(KeyType type);

}  // namespace stickmesh
