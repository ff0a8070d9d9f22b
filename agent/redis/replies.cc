#include "agent/redis/replies.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <new>

namespace stickmesh::redis {

// What hiredis calls while it reads: makes the parts of the reply where they belong.
struct Building {
  static Reply* place(const redisReadTask* task) {
    auto& reader = *static_cast<ReplyReader*>(task->privdata);
    if (task->parent == nullptr) {
      reader.replies_ = reader.bytes_ = 0;
      return &reader.root_;
    }
    return &static_cast<Reply*>(task->parent->obj)->list[static_cast<std::size_t>(task->idx)];
  }

  static std::size_t max_replies(const redisReadTask* task) {
    return static_cast<ReplyReader*>(task->privdata)->max_replies_;
  }

  // hiredis has no other way to hear of it than as of memory that is short.
  static bool takes(const redisReadTask* task, std::size_t ReplyReader::*sum, std::size_t more,
                    std::size_t limit) {
    auto& reader = *static_cast<ReplyReader*>(task->privdata);
    reader.too_much_ = more > limit - reader.*sum;
    if (!reader.too_much_) reader.*sum += more;
    return !reader.too_much_;
  }

  // Nothing may be thrown through functions in C.
  template <typename Fill>
  static void* filled(Reply* reply, Fill&& fill) noexcept {
    try {
      fill();
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return reply;
  }

  static void* text(const redisReadTask* task, char* text, std::size_t size) {
    Reply* reply = place(task);
    if (!takes(task, &ReplyReader::bytes_, size, ReplyReader::kMaxBytes)) return nullptr;
    reply->type = task->type == REDIS_REPLY_ERROR    ? Reply::Type::kError
                  : task->type == REDIS_REPLY_STATUS ? Reply::Type::kStatus
                                                     : Reply::Type::kText;
    return filled(reply, [&] { reply->text.assign(text, size); });
  }

  static void* list(const redisReadTask* task, std::size_t size) {
    Reply* reply = place(task);
    if (!takes(task, &ReplyReader::replies_, size, max_replies(task))) return nullptr;
    reply->type = Reply::Type::kList;
    return filled(reply, [&] { reply->list.assign(size, {}); });
  }
  // Before 1.0 the size is an int.
  static void* list(const redisReadTask* task, int size) {
    return size < 0 ? nullptr : list(task, static_cast<std::size_t>(size));
  }

  static void* number(const redisReadTask* task, long long number) {
    Reply* reply = place(task);
    reply->type = Reply::Type::kNumber;
    reply->number = number;
    return reply;
  }

  static void* nothing(const redisReadTask* task) {
    Reply* reply = place(task);
    reply->type = Reply::Type::kNothing;
    return reply;
  }

  static redisReplyObjectFunctions* functions() {
    static redisReplyObjectFunctions made = [] {
      redisReplyObjectFunctions all{};
      all.createString = text;
      all.createArray = list;
      all.createInteger = number;
      all.createNil = nothing;
      all.freeObject = [](void*) {};
      return all;
    }();
    return &made;
  }
};

ReplyReader::ReplyReader() : reader_(redisReaderCreateWithFunctions(Building::functions()), redisReaderFree) {
  if (reader_ != nullptr) reader_->privdata = this;
}

ReplyReader::~ReplyReader() = default;

Result<void> ReplyReader::read(Bytes in, const std::function<Result<void>(const Reply&)>& take) {
  if (reader_ == nullptr) return refuse(Reason::kNoMemory, "no memory to read replies");
  const auto too_long = [&] {
    return refuse(Reason::kRedis, fmt::format("protocol: a reply is longer than {} bytes or {} parts",
                                              kMaxBytes, max_replies_));
  };
  const auto unreadable = [&] {
    if (too_much_) return too_long();
    return refuse(Reason::kRedis,
                  fmt::format("protocol: it sends what is no reply of Redis: {}", reader_->errstr));
  };
  const auto* text = reinterpret_cast<const char*>(in.data());
  if (redisReaderFeed(reader_.get(), text, in.size()) != REDIS_OK) return unreadable();
  while (true) {
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) return unreadable();
    if (reply == nullptr) break;
    if (auto taken = take(root_); !taken) return taken;
  }
  if (reader_->len - reader_->pos > kMaxBytes) return too_long();
  return {};
}

}  // namespace stickmesh::redis
