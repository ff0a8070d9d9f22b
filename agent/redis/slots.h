#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stickmesh::redis {

/// A cluster spreads its keys over so many slots, each of which one master has.
inline constexpr std::size_t kSlots = 16384;
using SlotSet = std::bitset<kSlots>;

/// The slot of |key|: of what stands between its first `{` and the first `}` behind that, unless that is
/// empty, else of all of it.
std::size_t slot_of(std::string_view key);

}  // namespace stickmesh::redis
