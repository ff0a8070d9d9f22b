#include "agent/lua/string_functions.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "agent/lua/string_call.h"

namespace stickmesh::lua {

using Caret = PatternMatcher::Caret;

StepBudget& budget_of(lua_State* state) {
  auto& budget = *static_cast<StepBudget*>(lua_touserdata(state, lua_upvalueindex(1)));
  if (budget.left == 0) luaL_error(state, "%s", kTooComplex);
  return budget;
}

bool matched(lua_State* state, const PatternMatcher& matcher, PatternMatcher::Outcome outcome) {
  if (outcome == PatternMatcher::Outcome::kError) luaL_error(state, "%s", matcher.error().c_str());
  return outcome == PatternMatcher::Outcome::kMatch;
}

Capture capture_of(lua_State* state, const PatternMatcher& matcher, std::size_t index) {
  const auto capture = matcher.capture(index);
  if (!capture) luaL_error(state, "invalid capture index %%%d", static_cast<int>(index + 1));
  if (capture->kind == Capture::Kind::kOpen) luaL_error(state, "unfinished capture");
  return *capture;
}

void push_capture(lua_State* state, const PatternMatcher& matcher, std::size_t index) {
  const Capture capture = capture_of(state, matcher, index);
  if (capture.kind == Capture::Kind::kPosition) {
    lua_pushinteger(state, static_cast<lua_Integer>(capture.begin) + 1);
  } else {
    lua_pushlstring(state, matcher.subject().data() + capture.begin, capture.size);
  }
}

int push_captures(lua_State* state, const PatternMatcher& matcher) {
  const std::size_t count = std::max<std::size_t>(matcher.captures(), 1);
  luaL_checkstack(state, static_cast<int>(count), "too many captures");
  for (std::size_t index = 0; index < count; ++index) push_capture(state, matcher, index);
  return static_cast<int>(count);
}

namespace {

/// Where argument |index|, which counts from 1, or from the end when it is negative, says to begin; may be
/// behind the end of a subject of |size|.
std::size_t start_argument(lua_State* state, int index, std::size_t size) {
  const lua_Integer start = luaL_optinteger(state, index, 1);
  if (start > 0) return static_cast<std::size_t>(start) - 1;
  if (start == 0) return 0;
  const auto back = std::size_t{0} - static_cast<std::size_t>(start);
  return back > size ? 0 : size - back;
}

/// Pushes both ends of a text, as scripts count.
void push_range(lua_State* state, std::size_t begin, std::size_t size) {
  lua_pushinteger(state, static_cast<lua_Integer>(begin) + 1);
  lua_pushinteger(state, static_cast<lua_Integer>(begin + size));
}

int nothing(lua_State* state) {
  luaL_pushfail(state);
  return 1;
}

/// Whether nothing in |pattern| is special, which takes a while to see of a long one.
bool is_plain(lua_State* state, std::string_view pattern, StepBudget& budget) {
  constexpr std::size_t kCharactersPerStep = 2;
  if (!spend(budget.left, pattern.size() / kCharactersPerStep)) luaL_error(state, "%s", kTooComplex);
  return pattern.find_first_of("^$*+?.([%-") == std::string_view::npos;
}

int find(lua_State* state) {
  StepBudget& budget = budget_of(state);
  const std::string_view subject = text_at(state, 1);
  const std::string_view pattern = text_at(state, 2);
  const std::size_t from = start_argument(state, 3, subject.size());
  if (from > subject.size()) return nothing(state);
  if (lua_toboolean(state, 4) != 0 || is_plain(state, pattern, budget)) {
    const auto begin = find_plain(subject, pattern, from, budget.left);
    if (budget.left == 0) luaL_error(state, "%s", kTooComplex);
    if (!begin) return nothing(state);
    push_range(state, *begin, pattern.size());
    return 2;
  }
  PatternMatcher matcher(subject, pattern, Caret::kAnchors, budget.left);
  if (!matched(state, matcher, matcher.search(from))) return nothing(state);
  push_range(state, matcher.begin(), matcher.end() - matcher.begin());
  return matcher.captures() == 0 ? 2 : 2 + push_captures(state, matcher);
}

int match(lua_State* state) {
  StepBudget& budget = budget_of(state);
  const std::string_view subject = text_at(state, 1);
  const std::string_view pattern = text_at(state, 2);
  const std::size_t from = start_argument(state, 3, subject.size());
  if (from > subject.size()) return nothing(state);
  PatternMatcher matcher(subject, pattern, Caret::kAnchors, budget.left);
  if (!matched(state, matcher, matcher.search(from))) return nothing(state);
  return push_captures(state, matcher);
}

/// How far an iterator has come; in a userdata of Lua.
struct Progress {
  static constexpr std::size_t kNoMatchYet = std::numeric_limits<std::size_t>::max();

  std::size_t next;
  std::size_t last_end;  ///< of the match before: an empty one there would be found again and again
};

// Upvalues of the iterator behind the budget.
constexpr int kSubject = 2;
constexpr int kPattern = 3;
constexpr int kProgress = 4;

int next_match(lua_State* state) {
  StepBudget& budget = budget_of(state);
  const std::string_view subject = text_at(state, lua_upvalueindex(kSubject));
  const std::string_view pattern = text_at(state, lua_upvalueindex(kPattern));
  auto& progress = *static_cast<Progress*>(lua_touserdata(state, lua_upvalueindex(kProgress)));
  PatternMatcher matcher(subject, pattern, Caret::kIsACharacter, budget.left);
  for (std::size_t from = progress.next; from <= subject.size(); ++from) {
    if (!matched(state, matcher, matcher.search(from))) break;
    from = matcher.begin();
    if (matcher.end() == progress.last_end) continue;
    progress.next = progress.last_end = matcher.end();
    return push_captures(state, matcher);
  }
  return 0;
}

int gmatch(lua_State* state) {
  StepBudget& budget = budget_of(state);
  const std::string_view subject = text_at(state, 1);
  text_at(state, 2);
  const std::size_t from = start_argument(state, 3, subject.size());
  lua_settop(state, 2);
  lua_pushlightuserdata(state, &budget);
  lua_insert(state, 1);
  auto* progress = static_cast<Progress*>(lua_newuserdatauv(state, sizeof(Progress), 0));
  *progress = {from, Progress::kNoMatchYet};
  lua_pushcclosure(state, next_match, kProgress);
  return 1;
}

}  // namespace

void open_bounded_strings(lua_State* state, StepBudget& budget) {
  constexpr std::array<luaL_Reg, 5> kFunctions = {
      {{"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", substitute}, {nullptr, nullptr}}};
  lua_getglobal(state, "string");
  lua_pushlightuserdata(state, &budget);
  luaL_setfuncs(state, kFunctions.data(), 1);
  lua_pop(state, 1);
}

}  // namespace stickmesh::lua
