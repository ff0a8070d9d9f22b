#include "agent/config/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/config/not_in_this_build.h"

namespace stickmesh::config {

void Report::differs(std::string_view path, unsigned line) {
  for (const std::string_view entry : kNotInThisBuild) {
    const bool below = path.size() > entry.size() && path[entry.size()] == '.';
    if (path.substr(0, entry.size()) != entry || (path.size() != entry.size() && !below)) continue;
    Ignored& part =
        ignored_.try_emplace(std::string(path.substr(0, path.find('.'))), Ignored{line, {}}).first->second;
    part.line = std::min(part.line, line);
    const bool known = std::find(part.entries.begin(), part.entries.end(), entry) != part.entries.end();
    if (!known) part.entries.push_back(entry);
  }
}

std::vector<Finding> Report::notes() const {
  std::vector<Finding> notes = notes_;
  for (const auto& [part, ignored] : ignored_) {
    std::vector<std::string_view> entries = ignored.entries;
    std::sort(entries.begin(), entries.end());
    add(notes, ignored.line,
        fmt::format("{}: checked, but not in this build: it has no effect", fmt::join(entries, ", ")));
  }
  return sorted(std::move(notes));
}

void Report::add(std::vector<Finding>& to, unsigned line, std::string message) const {
  to.push_back(Finding{file_, std::max(line, 1U), std::move(message)});
}

std::vector<Finding> Report::sorted(std::vector<Finding> findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.line < b.line; });
  return findings;
}

std::string to_string(const Finding& finding) {
  return fmt::format("{}:{}: {}", finding.file, finding.line, finding.message);
}

}  // namespace stickmesh::config
