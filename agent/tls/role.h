#pragma once

#include <cstdint>

namespace stickmesh::tls {

/// Who began the connection; in TLS's own words, the accepting side is the server.
enum class Role : std::uint8_t { kAccepting, kDialling };

}  // namespace stickmesh::tls
