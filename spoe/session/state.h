#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agent/base/time.h"

namespace stickmesh::spoe {

enum class State : std::uint8_t {
  kHello,        ///< HAProxy has not introduced itself
  kHealthCheck,  ///< a health check was answered: nothing more is to come
  kRunning,
  kClosing,  ///< our DISCONNECT is the last frame; HAProxy closes, or time does
  kClosed,
};

/// Sizes in bytes.
struct Options {
  std::size_t max_frame_size = 1048576;  ///< cap on what HAProxy announces, at least `kMinFrameSize`
  std::size_t max_fragmented = 262144;  ///< cap on a reassembled payload; 0: `fragmentation` is not announced
  std::size_t high_water = 262144;      ///< with so much output unsent nothing is read
  /// From the arrival of an event, which the kernel may tell to 4 ms, to when it is only answered with `ok`
  /// false.
  Duration deadline{30};
  Duration hello_timeout{5000};
  Duration frame_timeout{5000};   ///< for a frame, or all pieces of one, once it has begun
  Duration write_timeout{10000};  ///< nothing could be written for so long
  Duration check_timeout{1000};   ///< from the answer to a health check to the end, if HAProxy does not close
  Duration linger{1000};          ///< from our DISCONNECT to the end, likewise
  /// A soft stop closes after so long without a frame: HAProxy does not repeat what was on its way. 3.1.0
  /// also loses an answer that was followed by a close too soon.
  Duration drain_idle{100};
  std::uint32_t max_malformed = 60;  ///< events per minute that cannot be read; one more closes
  /// Read now and then while events are handled, to know which are too late. Empty: time stands still within
  /// a call.
  std::function<TimePoint()> clock;
  /// The answers to so many events were taken by the socket; the first of these began to arrive at |since|.
  std::function<void(std::uint64_t events, TimePoint since)> on_sent;
};

/// What one connection has seen. An event is a NOTIFY, whole or of fragments, that was answered.
struct Counters {
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t frames_in = 0;
  std::uint64_t events = 0;               ///< the sum of the next four
  std::uint64_t answered = 0;             ///< with `ok` true
  std::uint64_t overloaded = 0;           ///< too late for the handler; this and the next two with `ok` false
  std::uint64_t malformed = 0;            ///< could not be read
  std::uint64_t failed = 0;               ///< the handler gave an error
  std::uint64_t fragments_in = 0;         ///< pieces of fragmented events
  std::uint64_t fragmented_too_long = 0;  ///< given up, with ABORT
  std::uint64_t withdrawn = 0;            ///< given up by HAProxy, with ABORT: not answered
  std::uint64_t skipped = 0;              ///< frames of unknown types
  std::uint64_t actions_left_out = 0;     ///< no room in the frame, or an impossible name

  bool operator==(const Counters&) const = default;
};

/// A fragmented event whose end has not come.
struct Fragments {
  enum class Stage : std::uint8_t {
    kNone,
    kOpen,
    kRefused,  ///< too long, and answered: what still comes of it is dropped
  };
  Stage stage = Stage::kNone;
  std::uint64_t stream_id = 0, frame_id = 0;
  TimePoint since{};  ///< when its first byte came
  std::vector<std::byte> payload;

  bool operator==(const Fragments&) const = default;
};

/// A connection without its socket: what a successor needs so that HAProxy cannot notice. Times are of the
/// machine's monotonic clock, which processes share.
struct SavedSession {
  State state = State::kHello;  ///< none of the last two
  std::size_t frame_size = 0;   ///< as negotiated; 0 in kHello
  std::string engine_id;
  std::vector<std::byte> input;   ///< taken from the socket and not handled
  TimePoint input_since{};        ///< when its first byte came
  std::vector<std::byte> output;  ///< to be written first
  Fragments fragments;
  Counters counters;

  bool operator==(const SavedSession&) const = default;
};

}  // namespace stickmesh::spoe
