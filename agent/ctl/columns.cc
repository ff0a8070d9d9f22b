#include "agent/ctl/columns.h"

#include <algorithm>
#include <utility>

namespace stickmesh::ctl {

namespace {

constexpr std::size_t kGap = 2;

// Code points, which is near enough for the names of hosts and tables.
std::size_t width(std::string_view cell) {
  return static_cast<std::size_t>(std::count_if(cell.begin(), cell.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
  }));
}

// The first cell of |row|, which is cut off.
std::string_view take_cell(std::string_view& row) {
  const std::size_t tab = row.find('\t');
  const std::string_view cell = row.substr(0, tab);
  row.remove_prefix(tab == std::string_view::npos ? row.size() : tab + 1);
  return cell;
}

}  // namespace

void Columns::row(std::string line) {
  if (!widths_.empty()) return print(line);
  held_.push_back(std::move(line));
  if (held_.size() == kSettlingRows) settle();
}

void Columns::end() {
  settle();
  widths_.clear();
}

void Columns::settle() {
  for (const std::string& line : held_) {
    std::string_view row = line;
    for (std::size_t column = 0; !row.empty(); ++column) {
      if (column == widths_.size()) widths_.push_back(0);
      widths_[column] = std::max(widths_[column], std::min(width(take_cell(row)), kWidest));
    }
  }
  for (const std::string& line : held_) print(line);
  held_.clear();
}

void Columns::print(std::string_view row) const {
  for (std::size_t column = 0; !row.empty(); ++column) {
    const std::string_view cell = take_cell(row);
    out_ << cell;
    if (row.empty()) break;  // the last column is not padded
    const std::size_t wanted = (column < widths_.size() ? widths_[column] : 0) + kGap;
    out_ << std::string(wanted > width(cell) ? wanted - width(cell) : kGap, ' ');
  }
  out_ << '\n';
}

}  // namespace stickmesh::ctl
