#include "agent/peers/session/dictionary.h"

namespace stickmesh::peers {

std::optional<std::string_view> Dictionary::find(std::uint32_t slot) const {
  const std::optional<std::string>& name = slots_[slot - 1];
  if (!name) return std::nullopt;
  return *name;
}

}  // namespace stickmesh::peers
