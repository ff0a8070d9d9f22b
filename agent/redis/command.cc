#include "agent/redis/command.h"

#include <hiredis/hiredis.h>

#include <cstdlib>
#include <memory>
#include <vector>

namespace stickmesh::redis {

bool append_command(std::string& out, std::span<const std::string_view> words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  texts.reserve(words.size());
  sizes.reserve(words.size());
  for (const std::string_view word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* made = nullptr;
  const int size = redisFormatCommandArgv(&made, static_cast<int>(words.size()), texts.data(), sizes.data());
  const std::unique_ptr<char, decltype(&std::free)> command(made, &std::free);
  if (size < 0) return false;
  out.append(command.get(), static_cast<std::size_t>(size));
  return true;
}

}  // namespace stickmesh::redis
