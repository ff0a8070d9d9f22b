#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/result.h"

struct redisReader;

namespace stickmesh::redis {

/// What Redis answers to one command.
struct Reply {
  enum class Type : std::uint8_t { kNothing, kText, kStatus, kError, kNumber, kList };

  Type type = Type::kNothing;
  std::string text{};         ///< of kText, kStatus and kError
  std::int64_t number = 0;    ///< of kNumber
  std::vector<Reply> list{};  ///< of kList

  bool error() const { return type == Type::kError; }
};

/// Reads replies out of a stream (RESP2), through hiredis.
class ReplyReader {
 public:
  /// More than any reply to a command that is sent here takes.
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20U;
  static constexpr std::size_t kMaxReplies = 100'000;  ///< within one, unless `allow`

  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  /// So many parts within one reply.
  void allow(std::size_t replies) { max_replies_ = replies; }
  /// Takes bytes in any fragmentation, and calls |take| with each reply that is complete, which is valid
  /// during the call. An error of |take| stops it. An error is final.
  Result<void> read(Bytes in, const std::function<Result<void>(const Reply&)>& take);

 private:
  friend struct Building;

  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  Reply root_;
  std::size_t max_replies_ = kMaxReplies;
  std::size_t replies_ = 0;  ///< within |root_|
  std::size_t bytes_ = 0;    ///< of texts within |root_|
  bool too_much_ = false;    ///< one of the two is above its limit
};

}  // namespace stickmesh::redis
