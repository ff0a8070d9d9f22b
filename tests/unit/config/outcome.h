#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config_file.h"

namespace stickmesh::config {

inline std::vector<std::string> lines(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  for (const Finding& finding : findings) out.push_back(fmt::format("{}: {}", finding.line, finding.message));
  return out;
}

/// What is found in |text|, each as "LINE: message"; empty when it is valid.
inline std::vector<std::string> findings(std::string_view text) {
  const LoadResult result = parse_config(text, "test.toml");
  return result ? std::vector<std::string>() : lines(result.error());
}

/// The notes on a valid |text|.
inline std::vector<std::string> notes(std::string_view text) {
  const LoadResult result = parse_config(text, "test.toml");
  EXPECT_TRUE(result) << fmt::format("{}", fmt::join(findings(text), "\n"));
  return result ? lines(result->notes) : std::vector<std::string>();
}

/// The config of a |text| that must be valid.
inline Config config_of(std::string_view text) {
  const LoadResult result = parse_config(text, "test.toml");
  EXPECT_TRUE(result) << fmt::format("{}", fmt::join(findings(text), "\n"));
  return result ? result->config : Config{};
}

}  // namespace stickmesh::config
