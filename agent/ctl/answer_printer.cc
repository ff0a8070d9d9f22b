#include "agent/ctl/answer_printer.h"

#include <utility>

namespace stickmesh::ctl {

namespace {

// Keys are chosen by clients, and a terminal obeys escape sequences.
void disarm(std::string& line) {
  for (char& byte : line) {
    const auto value = static_cast<unsigned char>(byte);
    if ((value < 0x20 && byte != '\t') || value == 0x7F) byte = '?';
  }
}

}  // namespace

void AnswerPrinter::feed(std::string_view piece) {
  for (;;) {
    const std::size_t end = piece.find('\n');
    line_ += piece.substr(0, end);
    if (end == std::string_view::npos) return;
    piece.remove_prefix(end + 1);
    take_line(std::exchange(line_, {}));
  }
}

bool AnswerPrinter::finish() {
  const bool whole = separate_ && line_.empty();
  if (!line_.empty()) take_line(std::exchange(line_, {}));
  columns_.end();
  out_.flush();
  return whole;
}

void AnswerPrinter::take_line(std::string line) {
  if (separate_) {
    columns_.end();
    (in_error_ ? errors_ : out_) << '\n';
  }
  separate_ = line.empty();
  if (separate_) {
    between_ = true;
  } else {
    take_text(std::move(line), std::exchange(between_, false));
  }
}

void AnswerPrinter::take_text(std::string line, bool first) {
  if (first) {
    in_error_ = line.starts_with("error:");
    in_table_ = false;
    failed_ = failed_ || in_error_;
    stopping_ = stopping_ || line.starts_with("error: stopping:");
  }
  if (style_ == Style::kTerminal) {
    disarm(line);
    const bool cells = !in_error_ && line.find('\t') != std::string::npos;
    const bool header = cells && line.starts_with('#');
    if (header || !cells) columns_.end();
    in_table_ = header || (in_table_ && cells);
    if (in_table_) return columns_.row(std::move(line));
  }
  if (in_error_) {
    errors_ << error_prefix_ << line << '\n';
  } else {
    out_ << line << '\n';
  }
}

}  // namespace stickmesh::ctl
