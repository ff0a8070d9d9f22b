#pragma once

#include <string>
#include <string_view>

#include "agent/pipeline/hub.h"

namespace stickmesh::admin {

/// What `show peers` says of a peer, in words.
std::string_view kind_words(const pipeline::Peer& peer);
std::string_view expected_words(const pipeline::Peer& peer);
/// "in", "out", or "-" without a session.
std::string_view direction_words(const pipeline::Peer& peer);
std::string_view state_words(const pipeline::Peer& peer, TimePoint now);
/// From whom an instance gets its totals; "-" of an agent and without a session.
std::string_view publisher_words(const pipeline::Peer& peer);
/// Of an instance, who is home to it: "here" and the names of agents. Of an agent, to whom it is home. As far
/// as this agent has heard; separated by commas.
std::string home_words(const pipeline::Hub& hub, const pipeline::Peer& peer);
/// To whom this agent is home.
std::string home_here(const pipeline::Hub& hub);
/// All that is wrong with it; empty when nothing is.
std::string note_words(const pipeline::Hub& hub, const pipeline::Peer& peer);

}  // namespace stickmesh::admin
