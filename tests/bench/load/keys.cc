#include "tests/bench/load/keys.h"

namespace stickmesh::bench {

// The last step of MurmurHash3, and its inverse.
std::uint32_t spread(std::uint32_t index) {
  index ^= index >> 16U;
  index *= 0x85ebca6bU;
  index ^= index >> 13U;
  index *= 0xc2b2ae35U;
  return index ^ index >> 16U;
}

std::uint32_t gather(std::uint32_t key) {
  key ^= key >> 16U;
  key *= 0x7ed1b41dU;
  key ^= key >> 13U ^ key >> 26U;
  key *= 0xa5cb9243U;
  return key ^ key >> 16U;
}

}  // namespace stickmesh::bench
