#include "agent/lua/character_class.h"

namespace stickmesh::lua {
namespace {

constexpr bool between(char character, char first, char last) {
  return character >= first && character <= last;
}

constexpr bool is_lower(char character) {
  return between(character, 'a', 'z');
}
constexpr bool is_upper(char character) {
  return between(character, 'A', 'Z');
}
constexpr bool is_letter(char character) {
  return is_lower(character) || is_upper(character);
}
constexpr bool is_digit(char character) {
  return between(character, '0', '9');
}
constexpr bool is_visible(char character) {
  return between(character, '!', '~');
}

constexpr bool is_control(char character) {
  return static_cast<unsigned char>(character) < ' ' || character == '\x7f';
}

constexpr bool is_hexadecimal(char character) {
  return is_digit(character) || between(character, 'a', 'f') || between(character, 'A', 'F');
}

}  // namespace

bool in_class(char character, char letter) {
  const bool complement = is_upper(letter);
  switch (complement ? static_cast<char>(letter - 'A' + 'a') : letter) {
    case 'a':
      return is_letter(character) != complement;
    case 'c':
      return is_control(character) != complement;
    case 'd':
      return is_digit(character) != complement;
    case 'g':
      return is_visible(character) != complement;
    case 'l':
      return is_lower(character) != complement;
    case 'p':
      return (is_visible(character) && !is_letter(character) && !is_digit(character)) != complement;
    case 's':
      return (character == ' ' || between(character, '\t', '\r')) != complement;
    case 'u':
      return is_upper(character) != complement;
    case 'w':
      return (is_letter(character) || is_digit(character)) != complement;
    case 'x':
      return is_hexadecimal(character) != complement;
    case 'z':  // of Lua 5.1; not in the manual any more, but still known
      return (character == '\0') != complement;
    default:
      return character == letter;
  }
}

}  // namespace stickmesh::lua
