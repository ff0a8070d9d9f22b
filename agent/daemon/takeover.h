#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/net/connection.h"
#include "agent/net/descriptor_channel.h"
#include "agent/net/loop.h"
#include "agent/net/unique_fd.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/succession.h"

namespace stickmesh::daemon {

/// How the old process starts the new one: with this option, and these two descriptors.
inline constexpr const char* kTakeoverOption = "--take-over";
inline constexpr int kChannelDescriptor = 3;
inline constexpr int kLessonDescriptor = 4;
/// To be raised when the meaning of any message or file between the two changes: of the packages at both ends
/// of an upgrade one may be older.
inline constexpr unsigned kHandoverVersion = 1;
/// The message that brings connections with HAProxy's SPOE filter.
inline constexpr std::string_view kSocketsVerb = "sockets";

/// The new process of a soft restart: learns everything from the old one, and serves in its place once that
/// says so. `Handover` has the messages.
class Takeover {
 public:
  /// What it has done by the agent.
  struct Agent {
    /// Opens all that is served, with the old process's listeners where they fit, and lets it wait. The first
    /// |activated| are the service manager's.
    std::function<Result<void>(std::vector<net::UniqueFd> listeners, std::size_t activated)> prepare;
    /// Keeps connections for when it serves.
    std::function<Result<void>(std::vector<net::UniqueFd> parcel)> keep_sockets;
    std::function<void()> serve;
    std::function<void()> tidy_up;      ///< once the other process knows that this one serves
    std::function<void()> take_charge;  ///< once the service manager does, or the other process is gone
    /// Nothing comes of it.
    std::function<void()> give_up;
  };
  Takeover(net::Loop& loop, pipeline::Hub& hub, Agent agent);
  Takeover(const Takeover&) = delete;
  Takeover& operator=(const Takeover&) = delete;

  /// False once this process serves.
  bool waiting() const { return phase_ != Phase::kServing && phase_ != Phase::kInCharge; }
  /// Tells the process that has started this one, on its channel, why this one can't start.
  static void tell_failure(std::string_view why);

 private:
  enum class Phase : std::uint8_t { kLearning, kLearned, kReady, kServing, kInCharge, kFailed };

  void heard(std::string_view text, std::vector<net::UniqueFd> descriptors);
  Result<void> begin(std::string_view words, std::vector<net::UniqueFd> descriptors);
  void learn();
  void take_over_if_complete();
  void other_is_gone();
  void fail(std::string_view why);
  void channel_ended();

  net::Loop& loop_;
  pipeline::Hub& hub_;
  const Agent agent_;
  Phase phase_ = Phase::kLearning;
  net::UniqueFd lesson_socket_;
  std::unique_ptr<net::Connection> lesson_;
  pipeline::LearningLink* link_ = nullptr;  ///< the session of |lesson_|
  net::UniqueFd last_state_;                ///< from the switch on
  std::uint64_t lesson_size_ = 0;           ///< likewise
  net::DescriptorChannel channel_;
};

}  // namespace stickmesh::daemon
