#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"
#include "agent/redis/replies.h"
#include "agent/redis/slots.h"

namespace stickmesh::redis {

/// A master of a cluster, and the slots that it has.
struct Master {
  std::string host;  ///< an address; empty: that of whoever has told it
  std::uint16_t port = 0;
  SlotSet slots;
};

/// What a server answers to CLUSTER SLOTS.
Result<std::vector<Master>> read_masters(const Reply& reply);

/// An error that says who has the key.
struct Redirection {
  bool once = false;  ///< ASK: its slot is moving there, and this key has gone already; else MOVED
  std::string host;   ///< as that of a `Master`
  std::uint16_t port = 0;
};
/// Nothing if |error| says something else.
std::optional<Redirection> read_redirection(std::string_view error);

/// HOST:PORT, with brackets where they are needed.
std::string address_text(std::string_view host, std::uint16_t port);

}  // namespace stickmesh::redis
