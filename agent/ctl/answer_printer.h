#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "agent/ctl/columns.h"

namespace stickmesh::ctl {

enum class Style : std::uint8_t {
  kRaw,       ///< the answer as it came, for other programs
  kTerminal,  ///< tables with their columns aligned, control characters made harmless
};

/// Prints the agent's answers as they arrive, each of which an empty line ends; the last one's is left out.
/// An answer that begins with "error:" goes to |errors|.
class AnswerPrinter {
 public:
  /// |error_prefix| goes before each line of an error.
  AnswerPrinter(std::ostream& out, std::ostream& errors, Style style, std::string error_prefix = {})
      : out_(out), errors_(errors), style_(style), error_prefix_(std::move(error_prefix)), columns_(out) {}

  void feed(std::string_view piece);
  /// Prints what is held back. False when the last answer lacks its end, or nothing came at all.
  bool finish();
  /// Whether any answer began with "error:".
  bool failed() const { return failed_; }
  /// Whether any was refused because the agent was told to stop.
  bool stopping() const { return stopping_; }

 private:
  void take_line(std::string line);
  void take_text(std::string line, bool first);

  std::ostream& out_;
  std::ostream& errors_;
  const Style style_;
  const std::string error_prefix_;
  Columns columns_;
  std::string line_;       ///< what came of the current line
  bool between_ = true;    ///< no line of the next answer came yet
  bool separate_ = false;  ///< an empty line is held back: it may be the last
  bool in_error_ = false;
  bool in_table_ = false;
  bool failed_ = false;
  bool stopping_ = false;
};

}  // namespace stickmesh::ctl
