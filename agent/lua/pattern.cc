#include "agent/lua/pattern.h"

#include <fmt/format.h>

#include "agent/lua/character_class.h"

namespace stickmesh::lua {
namespace {

/// The C library compares and searches about that many bytes in the time of a step.
constexpr std::size_t kBytesPerStep = 64;

bool is_decimal(char character) {
  return character >= '0' && character <= '9';
}

}  // namespace

std::optional<std::size_t> find_plain(std::string_view subject, std::string_view text, std::size_t from,
                                      std::uint64_t& steps) {
  if (text.empty()) return from;
  while (subject.size() - from >= text.size()) {
    const std::size_t begin = subject.find(text[0], from);
    const std::size_t passed = (begin == std::string_view::npos ? subject.size() : begin) - from;
    if (!spend(steps, 1 + (passed + text.size()) / kBytesPerStep)) return std::nullopt;
    if (begin == std::string_view::npos) return std::nullopt;
    if (subject.substr(begin, text.size()) == text) return begin;
    from = begin + 1;
  }
  return std::nullopt;
}

// |captures_| is left as it is: most of it is never written, and what was not is not read.
PatternMatcher::PatternMatcher(std::string_view subject, std::string_view pattern, Caret caret,
                               std::uint64_t& steps)
    : subject_(subject),
      pattern_(pattern),
      anchored_(caret == Caret::kAnchors && !pattern.empty() && pattern[0] == '^'),
      steps_(steps) {
  if (anchored_) pattern_.remove_prefix(1);
}

PatternMatcher::Outcome PatternMatcher::match(std::size_t from) {
  level_ = 0;
  begin_ = from;
  // It may look at no character at all.
  if (!pay(1)) return Outcome::kError;
  end_ = rest({from, 0});
  if (failed()) return Outcome::kError;
  return end_ == kNone ? Outcome::kNoMatch : Outcome::kMatch;
}

PatternMatcher::Outcome PatternMatcher::search(std::size_t from) {
  for (;; ++from) {
    const Outcome outcome = match(from);
    if (outcome != Outcome::kNoMatch || anchored_ || from == subject_.size()) return outcome;
  }
}

std::optional<Capture> PatternMatcher::capture(std::size_t index) const {
  if (index < level_) return captures_[index];
  if (index == 0) return Capture{begin_, end_ - begin_, Capture::Kind::kText};
  return std::nullopt;
}

std::size_t PatternMatcher::rest(Place place) {
  if (depth_ == kMaxDepth) return fail(kTooComplex);
  ++depth_;
  const std::size_t end = rest_within(place);
  --depth_;
  return end;
}

std::size_t PatternMatcher::rest_within(Place place) {
  while (place.item < pattern_.size()) {
    const char symbol = pattern_[place.item];
    if (symbol == '(') {
      if (pattern_has(place.item + 1, ')')) {
        return with_capture({place.at, place.item + 2}, Capture::Kind::kPosition);
      }
      return with_capture({place.at, place.item + 1}, Capture::Kind::kOpen);
    }
    if (symbol == ')') return with_capture_closed({place.at, place.item + 1});
    if (symbol == '$' && place.item + 1 == pattern_.size()) {
      return place.at == subject_.size() ? place.at : kNone;
    }
    if (symbol == '%' && place.item + 1 < pattern_.size()) {
      const char letter = pattern_[place.item + 1];
      if (letter == 'b' || letter == 'f' || is_decimal(letter)) {
        const auto next = after_escape(place);
        if (!next) return kNone;
        place = *next;
        continue;
      }
    }

    const Single single{place.item, end_of_single(place.item)};
    if (single.end == kNone) return kNone;
    const char suffix = single.end < pattern_.size() ? pattern_[single.end] : '\0';
    if (!fits(single, place.at)) {
      if (failed() || (suffix != '*' && suffix != '-' && suffix != '?')) return kNone;
      place.item = single.end + 1;
      continue;
    }
    switch (suffix) {
      case '*':
        return as_many(single, place.at);
      case '+':
        return as_many(single, place.at + 1);
      case '-':
        return as_few(single, place.at);
      case '?': {
        const std::size_t end = rest({place.at + 1, single.end + 1});
        if (end != kNone || failed()) return end;
        place.item = single.end + 1;
        break;
      }
      default:
        place = {place.at + 1, single.end};
        break;
    }
  }
  return place.at;
}

std::size_t PatternMatcher::with_capture(Place place, Capture::Kind kind) {
  if (!pay(1)) return kNone;
  if (level_ == kMaxCaptures) return fail("too many captures");
  captures_[level_++] = {place.at, 0, kind};
  const std::size_t end = rest(place);
  if (end == kNone) --level_;
  return end;
}

std::size_t PatternMatcher::with_capture_closed(Place place) {
  if (!pay(1)) return kNone;
  std::size_t index = level_;
  while (index > 0 && captures_[index - 1].kind != Capture::Kind::kOpen) --index;
  if (index == 0) return fail("invalid pattern capture");
  Capture& capture = captures_[index - 1];
  capture = {capture.begin, place.at - capture.begin, Capture::Kind::kText};
  const std::size_t end = rest(place);
  if (end == kNone) capture.kind = Capture::Kind::kOpen;
  return end;
}

std::size_t PatternMatcher::as_many(const Single& single, std::size_t at) {
  std::size_t last = at;
  while (fits(single, last)) ++last;
  if (failed()) return kNone;
  for (;; --last) {
    const std::size_t end = rest({last, single.end + 1});
    if (end != kNone || failed() || last == at) return end;
    // What follows may be nothing that looks at a character.
    if (!pay(1)) return kNone;
  }
}

std::size_t PatternMatcher::as_few(const Single& single, std::size_t at) {
  for (;; ++at) {
    const std::size_t end = rest({at, single.end + 1});
    if (end != kNone || failed()) return end;
    if (!fits(single, at)) return kNone;
  }
}

std::optional<PatternMatcher::Place> PatternMatcher::after_escape(Place place) {
  if (!pay(1)) return std::nullopt;
  switch (pattern_[place.item + 1]) {
    case 'b':
      return after_balanced(place);
    case 'f':
      return after_frontier(place);
    default:
      return after_capture_again(place);
  }
}

std::optional<PatternMatcher::Place> PatternMatcher::after_balanced(Place place) {
  if (pattern_.size() - place.item < 4) {
    fail("malformed pattern (missing arguments to '%b')");
    return std::nullopt;
  }
  const char opening = pattern_[place.item + 2];
  const char closing = pattern_[place.item + 3];
  if (place.at == subject_.size() || subject_[place.at] != opening) return std::nullopt;
  std::size_t open = 1;
  for (std::size_t at = place.at + 1; at < subject_.size(); ++at) {
    if (!pay(1)) return std::nullopt;
    // Where both are the same character, it closes.
    if (subject_[at] == closing) {
      if (--open == 0) return Place{at + 1, place.item + 4};
    } else if (subject_[at] == opening) {
      ++open;
    }
  }
  return std::nullopt;
}

std::optional<PatternMatcher::Place> PatternMatcher::after_frontier(Place place) {
  if (!pattern_has(place.item + 2, '[')) {
    fail("missing '[' after '%f' in pattern");
    return std::nullopt;
  }
  const Single set{place.item + 2, end_of_set(place.item + 2)};
  if (set.end == kNone) return std::nullopt;
  // Both ends of the subject are as if there were a '\0'.
  const char before = place.at == 0 ? '\0' : subject_[place.at - 1];
  const char next = place.at == subject_.size() ? '\0' : subject_[place.at];
  if (in_set(set, before) || !in_set(set, next)) return std::nullopt;
  return Place{place.at, set.end};
}

std::optional<PatternMatcher::Place> PatternMatcher::after_capture_again(Place place) {
  const char digit = pattern_[place.item + 1];
  const auto index = static_cast<std::size_t>(digit - '0');
  if (index == 0 || index > level_ || captures_[index - 1].kind == Capture::Kind::kOpen) {
    fail(fmt::format("invalid capture index %{}", digit));
    return std::nullopt;
  }
  const Capture& capture = captures_[index - 1];
  // A position is nothing that the subject could have again.
  if (capture.kind == Capture::Kind::kPosition) return std::nullopt;
  if (!pay(capture.size / kBytesPerStep)) return std::nullopt;
  if (subject_.substr(place.at, capture.size) != subject_.substr(capture.begin, capture.size)) {
    return std::nullopt;
  }
  return Place{place.at + capture.size, place.item + 2};
}

std::size_t PatternMatcher::end_of_single(std::size_t item) {
  if (pattern_[item] == '[') return end_of_set(item);
  if (pattern_[item] != '%') return item + 1;
  if (item + 1 == pattern_.size()) return fail("malformed pattern (ends with '%')");
  return item + 2;
}

std::size_t PatternMatcher::end_of_set(std::size_t item) {
  std::size_t end = item + 1;
  if (pattern_has(end, '^')) ++end;
  // The first character is of the set, even if it is ']'.
  do {
    if (end >= pattern_.size()) return fail("malformed pattern (missing ']')");
    end += pattern_[end] == '%' ? 2U : 1U;
  } while (!pattern_has(end, ']'));
  return pay(end - item) ? end + 1 : kNone;
}

bool PatternMatcher::fits(const Single& single, std::size_t at) {
  if (!pay(1) || at == subject_.size()) return false;
  switch (pattern_[single.begin]) {
    case '.':
      return true;
    case '%':
      return in_class(subject_[at], pattern_[single.begin + 1]);
    case '[':
      return in_set(single, subject_[at]);
    default:
      return pattern_[single.begin] == subject_[at];
  }
}

bool PatternMatcher::in_set(const Single& set, char character) {
  std::size_t item = set.begin + 1;
  const std::size_t last = set.end - 1;
  const bool complement = pattern_[item] == '^';
  if (complement) ++item;
  const std::size_t first = item;
  const auto code = static_cast<unsigned char>(character);
  bool found = false;
  while (!found && item < last) {
    if (pattern_[item] == '%') {
      found = in_class(character, pattern_[item + 1]);
      item += 2;
    } else if (item + 2 < last && pattern_[item + 1] == '-') {
      found = static_cast<unsigned char>(pattern_[item]) <= code &&
              code <= static_cast<unsigned char>(pattern_[item + 2]);
      item += 3;
    } else {
      found = pattern_[item] == character;
      ++item;
    }
  }
  return pay(item - first) && found != complement;
}

bool PatternMatcher::pay(std::uint64_t steps) {
  if (spend(steps_, steps)) return true;
  fail(kTooComplex);
  return false;
}

std::size_t PatternMatcher::fail(std::string_view error) {
  if (error_.empty()) error_ = error;
  return kNone;
}

}  // namespace stickmesh::lua
