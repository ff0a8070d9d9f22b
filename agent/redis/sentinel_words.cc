#include "agent/redis/sentinel_words.h"

#include <fmt/format.h>

#include "agent/redis/words.h"

namespace stickmesh::redis {

Result<std::string> read_master(const Reply& reply, std::string_view master) {
  if (reply.error()) return refuse(Reason::kRedis, explain(reply.text));
  if (reply.type == Reply::Type::kNothing)
    return refuse(Reason::kRedis,
                  fmt::format("sentinel: it knows no master '{}': look at redis.sentinel", master));
  const auto is_text = [](const Reply& part) { return part.type == Reply::Type::kText; };
  if (reply.list.size() != 2 || !is_text(reply.list[0]) || !is_text(reply.list[1]))
    return refuse(Reason::kRedis, "protocol: its answer to SENTINEL is no address");
  const std::string& host = reply.list[0].text;
  const bool six = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", six ? "[" : "", host, six ? "]" : "", reply.list[1].text);
}

}  // namespace stickmesh::redis
