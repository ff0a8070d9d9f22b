#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace stickmesh::admin {

/// A part of the agent that has some numbers for `show info`.
class NumbersSource {
 public:
  NumbersSource() = default;
  NumbersSource(const NumbersSource&) = delete;
  NumbersSource& operator=(const NumbersSource&) = delete;
  virtual ~NumbersSource() = default;

  /// As they are shown: "Event_lines_total", 17.
  virtual std::vector<std::pair<std::string, std::uint64_t>> numbers() const = 0;
};

}  // namespace stickmesh::admin
