#pragma once

#include <chrono>
#include <string_view>

#include "agent/base/table_definition.h"

namespace stickmesh::peers::vectors {

// peers-protocol 2.5: frames that HAProxy accepted and read back.
inline constexpr std::string_view kDefineSrc = "0a 82 13 01 06 73745f737263 04 04 f451 f0971c 0a f0e203";
inline constexpr std::string_view kSrcEntry = "0a 80 10 00000001 0a000001 05 fc03 f330 07 f000";
inline constexpr std::string_view kSrcTimed = "0a 85 14 00000002 0000e27e 0a000001 05 fc03 f330 07 f000";
inline constexpr std::string_view kSrcImplicitTimed = "0a 86 0d 0000e27e 0a000002 00 00 00 00 00";
inline constexpr std::string_view kAck = "0a 84 05 01 00000002";
inline constexpr std::string_view kDefineT1 = "0a 82 0e 03 03 2f7431 06 21 f1f1fe00 f0c40d";
inline constexpr std::string_view kT1Foo = "0a 80 0e 00000001 03666f6f 02 04 01 02 7331";
inline constexpr std::string_view kT1Bar = "0a 81 07 03626172 02 01 01";
inline constexpr std::string_view kT1Baz = "0a 81 06 0362617a 00 00";
inline constexpr std::string_view kDefineArr =
    "0a 82 17 07 03617272 02 04 f0f1fe6e f0971c 16 03 17 02 18 02 f8a901";
inline constexpr std::string_view kArrEntry = "0a 80 13 00000001 0000012c 01 02 03 04 05 00 06 00 64 07 01";

inline constexpr std::string_view kResyncRequest = "00 00";
inline constexpr std::string_view kFinished = "00 01";
inline constexpr std::string_view kPartial = "00 02";
inline constexpr std::string_view kConfirm = "00 03";
inline constexpr std::string_view kHeartbeat = "00 04";
inline constexpr std::string_view kProtocolError = "01 00";
inline constexpr std::string_view kSizeLimit = "01 01";

inline TableDefinition src_table() {
  using std::chrono::seconds;
  return {
      "st_src",
      KeyType::kIpv4,
      4,
      seconds(60),
      {{DataType::kGpc0, 1, {}}, {DataType::kHttpReqCnt, 1, {}}, {DataType::kHttpReqRate, 1, seconds(10)}}};
}

inline TableDefinition t1_table() {
  return {"/t1",
          KeyType::kString,
          33,
          std::chrono::seconds(30),
          {{DataType::kServerId, 1, {}}, {DataType::kServerKey, 1, {}}}};
}

inline TableDefinition arr_table() {
  using std::chrono::seconds;
  return {"arr",
          KeyType::kInteger,
          4,
          seconds(60),
          {{DataType::kGpt, 3, {}}, {DataType::kGpc, 2, {}}, {DataType::kGpcRate, 2, seconds(5)}}};
}

}  // namespace stickmesh::peers::vectors
