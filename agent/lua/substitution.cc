// string.gsub: its result is built in a buffer of Lua's, so that the memory counts as the script's.

#include <limits>

#include "agent/lua/string_call.h"

namespace stickmesh::lua {
namespace {

constexpr std::uint64_t kStepsPerMatch = 12;

constexpr int kReplacement = 3;  ///< which argument it is

class Substitution {
 public:
  Substitution(lua_State* state, std::string_view subject, std::string_view pattern, StepBudget& budget)
      : state_(state),
        budget_(budget),
        subject_(subject),
        matcher_(subject, pattern, PatternMatcher::Caret::kAnchors, budget.left),
        type_(lua_type(state, kReplacement)) {
    if (is_text()) text_ = text_at(state, kReplacement);
    luaL_buffinit(state, &result_);
  }
  Substitution(const Substitution&) = delete;
  Substitution& operator=(const Substitution&) = delete;

  /// Pushes the subject with up to |limit| matches replaced. How many there were.
  lua_Integer run(lua_Integer limit) {
    // An empty match right behind the one before is none.
    std::size_t last_end = std::numeric_limits<std::size_t>::max();
    std::size_t next = 0;
    lua_Integer count = 0;
    while (count < limit) {
      if (matched(state_, matcher_, matcher_.match(next)) && matcher_.end() != last_end) {
        ++count;
        replace();
        next = last_end = matcher_.end();
      } else if (next < subject_.size()) {
        ++next;
      } else {
        break;
      }
      if (matcher_.anchored()) break;
    }
    push_result();
    return count;
  }

 private:
  bool is_text() const { return type_ == LUA_TNUMBER || type_ == LUA_TSTRING; }

  void copy_up_to(std::size_t end) {
    luaL_addlstring(&result_, subject_.data() + copied_, end - copied_);
    copied_ = end;
  }

  void replace() {
    // What is added takes longer than to look at a character, and may be nothing of the subject.
    if (!spend(budget_.left, kStepsPerMatch)) luaL_error(state_, "%s", kTooComplex);
    // First of all, since nothing may lie on the stack while the buffer grows, but what is added to it.
    copy_up_to(matcher_.begin());
    if (is_text()) {
      add_text();
    } else if (!add_value()) {
      return;
    }
    copied_ = matcher_.end();
    changed_ = true;
  }

  void add_text() {
    std::size_t next = 0;
    for (;;) {
      const std::size_t escape = text_.find('%', next);
      const std::string_view words = text_.substr(next, escape - next);
      luaL_addlstring(&result_, words.data(), words.size());
      if (escape == std::string_view::npos) return;
      // A capture may be empty: the size of the result does not bound how many there are.
      if (!spend(budget_.left, kStepsPerMatch)) luaL_error(state_, "%s", kTooComplex);
      add_escape(escape + 1 < text_.size() ? text_[escape + 1] : '\0');
      next = escape + 2;
    }
  }

  void add_escape(char symbol) {
    if (symbol == '%') {
      luaL_addchar(&result_, '%');
    } else if (symbol == '0') {
      luaL_addlstring(&result_, subject_.data() + matcher_.begin(), matcher_.end() - matcher_.begin());
    } else if (symbol >= '1' && symbol <= '9') {
      add_capture(static_cast<std::size_t>(symbol - '1'));
    } else {
      luaL_error(state_, "invalid use of '%%' in replacement string");
    }
  }

  void add_capture(std::size_t index) {
    const Capture capture = capture_of(state_, matcher_, index);
    if (capture.kind == Capture::Kind::kPosition) {
      push_capture(state_, matcher_, index);
      luaL_addvalue(&result_);
    } else {
      luaL_addlstring(&result_, subject_.data() + capture.begin, capture.size);
    }
  }

  /// What the table has, or the function returns; false when that says to keep the match.
  bool add_value() {
    if (type_ == LUA_TFUNCTION) {
      lua_pushvalue(state_, kReplacement);
      lua_call(state_, push_captures(state_, matcher_), 1);
    } else {
      push_capture(state_, matcher_, 0);
      lua_gettable(state_, kReplacement);
    }
    if (lua_toboolean(state_, -1) == 0) {
      lua_pop(state_, 1);
      return false;
    }
    if (lua_isstring(state_, -1) == 0) {
      luaL_error(state_, "invalid replacement value (a %s)", luaL_typename(state_, -1));
    }
    luaL_addvalue(&result_);
    return true;
  }

  void push_result() {
    if (changed_) {
      copy_up_to(subject_.size());
      luaL_pushresult(&result_);
    } else {
      lua_pushvalue(state_, 1);
    }
  }

  lua_State* state_;
  StepBudget& budget_;
  std::string_view subject_;
  PatternMatcher matcher_;
  int type_;
  std::string_view text_;  ///< the replacement, if it is one
  luaL_Buffer result_;
  std::size_t copied_ = 0;  ///< how much of the subject the result has, or has something else for
  bool changed_ = false;
};

}  // namespace

int substitute(lua_State* state) {
  StepBudget& budget = budget_of(state);
  const std::string_view subject = text_at(state, 1);
  const std::string_view pattern = text_at(state, 2);
  const lua_Integer limit = luaL_optinteger(state, 4, static_cast<lua_Integer>(subject.size()) + 1);
  const int type = lua_type(state, kReplacement);
  if (type != LUA_TNUMBER && type != LUA_TSTRING && type != LUA_TFUNCTION && type != LUA_TTABLE) {
    luaL_typeerror(state, kReplacement, "string/function/table");
  }
  Substitution substitution(state, subject, pattern, budget);
  const lua_Integer count = substitution.run(limit);
  lua_pushinteger(state, count);
  return 2;
}

}  // namespace stickmesh::lua
