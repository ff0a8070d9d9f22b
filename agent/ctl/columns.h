#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace stickmesh::ctl {

/// Prints rows of tab-separated cells with their columns aligned. The first rows settle the widths; a table
/// that is longer is then printed as it comes.
class Columns {
 public:
  static constexpr std::size_t kSettlingRows = 1000;
  static constexpr std::size_t kWidest = 40;  ///< one long cell does not push all others off the screen

  explicit Columns(std::ostream& out) : out_(out) {}

  void row(std::string line);
  /// Ends the table: the next row belongs to another one.
  void end();

 private:
  void settle();
  void print(std::string_view row) const;

  std::ostream& out_;
  std::vector<std::string> held_;
  std::vector<std::size_t> widths_;  ///< empty until they are settled
};

}  // namespace stickmesh::ctl
