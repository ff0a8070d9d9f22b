#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace stickmesh::lua {

/// What is said when a budget of steps is used up, or a pattern goes too deep.
inline constexpr const char* kTooComplex = "pattern too complex";

/// Takes |amount| off |steps|. False, and nothing left, when that is all there was: 0 always means used up.
inline bool spend(std::uint64_t& steps, std::uint64_t amount) {
  if (steps <= amount) {
    steps = 0;
    return false;
  }
  steps -= amount;
  return true;
}

/// Where |text| first begins in |subject|, not before |from|, which is at most the subject's size. Nowhere,
/// too, when |steps| is used up.
std::optional<std::size_t> find_plain(std::string_view subject, std::string_view text, std::size_t from,
                                      std::uint64_t& steps);

/// What a part of a pattern in parentheses stood for, in the subject.
struct Capture {
  enum class Kind : std::uint8_t {
    kText,
    kPosition,  ///< of "()": |begin| is all it has
    kOpen       ///< its ')' has not come; where a match ends with one, the pattern has none
  };

  std::size_t begin;
  std::size_t size;
  Kind kind;
};

/// Matches Lua 5.4's patterns (section 6.4.1 of its manual), as Lua's own library does, which cannot be
/// stopped: here each character of a subject or of a set in a pattern that is looked at is a step, and when
/// |steps| is used up it ends with an error. So it does, as Lua's does, when the pattern is malformed and the
/// match comes to that place: a pattern is not checked before. Subject, pattern and steps must outlive it.
class PatternMatcher {
 public:
  enum class Outcome : std::uint8_t { kMatch, kNoMatch, kError };
  /// What '^' is at the start of a pattern: where nothing but the start of the search matches, or itself.
  enum class Caret : std::uint8_t { kAnchors, kIsACharacter };

  static constexpr std::size_t kMaxCaptures = 32;
  /// Matches within a match, each a frame on the stack: Lua's number, so that the same patterns are too
  /// complex.
  static constexpr unsigned kMaxDepth = 200;

  PatternMatcher(std::string_view subject, std::string_view pattern, Caret caret, std::uint64_t& steps);

  /// A match that begins at |from|, which is at most the subject's size.
  Outcome match(std::size_t from);
  /// The first one that begins there or later; just there when the pattern is anchored.
  Outcome search(std::size_t from);

  std::string_view subject() const { return subject_; }
  bool anchored() const { return anchored_; }

  /// Of the newest match.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return end_; }
  std::size_t captures() const { return level_; }
  /// Of a pattern without captures, the first one is the whole match. Nothing where there is no such capture.
  std::optional<Capture> capture(std::size_t index) const;

  /// Words of Lua's own library; final.
  const std::string& error() const { return error_; }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  /// How far a match has come: the next character of the subject, and of the pattern.
  struct Place {
    std::size_t at;
    std::size_t item;
  };
  /// The part of the pattern that stands for one character: "a", ".", "%a" or "[set]".
  struct Single {
    std::size_t begin;
    std::size_t end;
  };

  // Each gives where a match of the whole rest of the pattern ends, or kNone; then there may be an error.
  std::size_t rest(Place place);
  std::size_t rest_within(Place place);
  std::size_t with_capture(Place place, Capture::Kind kind);
  std::size_t with_capture_closed(Place place);
  std::size_t as_many(const Single& single, std::size_t at);
  std::size_t as_few(const Single& single, std::size_t at);

  // Each gives the place behind one item, or nothing; then there may be an error.
  std::optional<Place> after_escape(Place place);
  std::optional<Place> after_balanced(Place place);
  std::optional<Place> after_frontier(Place place);
  std::optional<Place> after_capture_again(Place place);

  std::size_t end_of_single(std::size_t item);
  std::size_t end_of_set(std::size_t item);
  bool fits(const Single& single, std::size_t at);
  bool in_set(const Single& set, char character);

  bool pattern_has(std::size_t item, char character) const {
    return item < pattern_.size() && pattern_[item] == character;
  }
  bool pay(std::uint64_t steps);
  std::size_t fail(std::string_view error);
  bool failed() const { return !error_.empty(); }

  std::string_view subject_;
  std::string_view pattern_;
  bool anchored_;
  std::uint64_t& steps_;

  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  unsigned depth_ = 0;
  std::size_t level_ = 0;  ///< how many of |captures_| there are
  std::array<Capture, kMaxCaptures> captures_;
  std::string error_;
};

}  // namespace stickmesh::lua
