#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/config/config.h"

namespace stickmesh::config {

/// Something to tell about one line of a config file. The message names the key.
struct Finding {
  std::string file;
  unsigned line = 1;
  std::string message;

  bool operator==(const Finding&) const = default;
};

/// "FILE:LINE: message"
std::string to_string(const Finding& finding);

/// |notes| keep nobody from starting: keys that this version does not act on, peers that cannot get in.
struct Loaded {
  Config config;
  std::vector<Finding> notes;
};

/// Either a config that is valid as a whole, or everything that is wrong with it, in the order of the lines.
using LoadResult = tl::expected<Loaded, std::vector<Finding>>;

LoadResult load_config(std::string_view path);
/// |file| is what the findings call the text.
LoadResult parse_config(std::string_view text, std::string_view file);

}  // namespace stickmesh::config
