#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/time.h"

namespace stickmesh::sim {

/// One message of an instance, in words. Its times are apart, because they are only about the same each time.
struct Said {
  std::string words;
  std::optional<Duration> remaining;
  std::optional<Duration> age;  ///< of a rate that is not empty
};

/// What the bytes of one connection, as the dialling side sends them, say: the hello without its pid,
/// definitions, updates with their ids, and where lessons are asked for and end. Left out are heartbeats;
/// acknowledgements, of which HAProxy makes as many as its input comes in pieces; and confirmations, which
/// HAProxy sends behind its next updates and the session of ours before them. An implicit id is shown as the
/// number it stands for.
std::vector<Said> decode_said(Bytes stream);

}  // namespace stickmesh::sim
