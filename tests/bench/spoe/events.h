#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/bytes.h"

namespace stickmesh::bench {

/// What the events say: one message, with the arguments that the agent's own messages have.
struct EventPlan {
  std::string message = "track";  ///< empty: events without a message
  std::string table = "http";
  bool text_keys = false;  ///< "client-1" in place of the addresses that peers_load makes of the same numbers
  std::uint32_t keys = 1000;
  std::vector<std::pair<std::string, std::int64_t>> arguments;  ///< behind table and key
};

/// Payloads of NOTIFY, encoded once, one for each key.
class Payloads {
 public:
  explicit Payloads(const EventPlan& plan);

  /// All of them in random order, over and over.
  Bytes next();

 private:
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> ends_;
  std::size_t next_ = 0;
};

}  // namespace stickmesh::bench
