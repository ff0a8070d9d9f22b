#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config_file.h"

namespace stickmesh::config {

/// Collects what is found while one file is read.
class Report {
 public:
  explicit Report(std::string_view file) : file_(file) {}

  void fail(unsigned line, std::string message) { add(findings_, line, std::move(message)); }
  void note(unsigned line, std::string message) { add(notes_, line, std::move(message)); }
  /// The key |path| is not at its default: noted, once per part, when this version does not act on it.
  void differs(std::string_view path, unsigned line);

  bool failed() const { return !findings_.empty(); }
  /// In the order of the lines.
  std::vector<Finding> findings() const { return sorted(findings_); }
  std::vector<Finding> notes() const;

 private:
  struct Ignored {
    unsigned line;
    std::vector<std::string_view> entries;  ///< of kNotInThisBuild
  };

  void add(std::vector<Finding>& to, unsigned line, std::string message) const;
  static std::vector<Finding> sorted(std::vector<Finding> findings);

  std::string file_;
  std::vector<Finding> findings_;
  std::vector<Finding> notes_;
  std::map<std::string, Ignored, std::less<>> ignored_;  ///< by part
};

}  // namespace stickmesh::config
