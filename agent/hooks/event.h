#pragma once

#include <cstddef>
#include <cstdint>
#include <lua.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spoe/session/handler.h"

namespace stickmesh::hooks {

/// A message while a script handles it: its arguments, and the variables that it will be answered, which are
/// kept back until the script has returned. Keeps its memory between messages.
class Event {
 public:
  void begin(std::string_view prefix, std::span<const spoe::Argument> arguments);
  void end() { open_ = false; }
  /// Writes what the script has set, a verdict first. False when the frame had no room for all of it.
  bool answer(spoe::Answer& answer) const;

  bool open() const { return open_; }
  /// Null when the message has no such argument.
  const spoe::Value* find(std::string_view argument) const;
  /// Sets the variable |name|, or unsets it with a null. Words for the script's author when that cannot be,
  /// else nothing.
  std::string_view set(std::string_view name, const spoe::Value& value);

 private:
  struct Variable {
    std::size_t name = 0, name_size = 0;  ///< in |text_|, as the value
    bool first = false;                   ///< of the answer
    std::size_t value = 0;
    std::size_t value_size = 0;
    std::size_t value_room = 0;
    spoe::DataType type = spoe::DataType::kNull;
    std::uint64_t number = 0;
  };

  static bool write(const Variable& variable, std::string_view text, spoe::Answer& answer);

  bool open_ = false;
  std::string_view prefix_;
  std::span<const spoe::Argument> arguments_;
  std::vector<Variable> variables_;
  std::string text_;
};

/// Pushes the two objects by which a script gets at |event|, which must outlive the state: reading
/// `event.NAME` gives an argument, assigning `answer.NAME` sets a variable.
void push_event(lua_State* state, Event& event);
void push_answer(lua_State* state, Event& event);

}  // namespace stickmesh::hooks
