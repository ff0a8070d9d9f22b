#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/peers/wire/entry_update.h"

namespace stickmesh::peers {

/// What the other side has put into the slots of its cache of server names, in this connection and for all
/// its tables.
class Dictionary {
 public:
  /// |slot| is 1 to kDictionarySlots, as `decode_update` has made sure.
  void store(std::uint32_t slot, std::string_view name) { slots_[slot - 1] = name; }
  /// Nothing for a slot that was never filled. Valid until the slot is stored anew.
  std::optional<std::string_view> find(std::uint32_t slot) const;

 private:
  std::array<std::optional<std::string>, kDictionarySlots> slots_;
};

}  // namespace stickmesh::peers
