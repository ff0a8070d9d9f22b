#include "agent/redis/restore.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/printable.h"
#include "agent/pipeline/accepted_origin.h"
#include "agent/snapshot/decoder.h"

namespace stickmesh::redis {

using pipeline::kAcceptedOrigin;

Restore::Restore(pipeline::Hub& hub, std::string_view prefix, TimePoint now)
    : hub_(hub), prefix_(fmt::format("{}:", prefix)), restoration_(hub, now) {}

Walk Restore::walk() {
  return {fmt::format("{}*@*:*", literal(prefix_)), plain_reading(),
          [this](std::string_view key) { return wanted(key); },
          [this](const std::string& key, const Reply& value, TimePoint now) { take(key, value, now); }};
}

// The pattern also fits the keys of longer prefixes, of entries whose own key has an '@', and what others
// have written for us.
bool Restore::wanted(std::string_view key) const {
  const std::string_view rest = key.substr(std::min(prefix_.size(), key.size()));
  const std::size_t at = rest.find('@');
  const std::size_t colon = rest.find(':');
  return at < colon && rest.substr(at + 1, colon - at - 1) != kAcceptedOrigin;
}

void Restore::take(const std::string& key, const Reply& value, TimePoint now) {
  if (value.type == Reply::Type::kNothing) return;  // it has expired meanwhile
  if (value.type != Reply::Type::kText) {
    ++damaged_;
    return hub_.errors().record({Reason::kRedis, fmt::format("{} is no text", printable(key))}, "Redis", now);
  }
  restoration_.set_now(now);
  snapshot::Receiver nobody;
  auto checked = snapshot::decode(as_bytes(value.text), nobody);
  if (checked) checked = snapshot::decode(as_bytes(value.text), restoration_);
  if (checked) return;
  ++damaged_;
  checked.error().detail = fmt::format("{} is left out: {}", printable(key, 256), checked.error().detail);
  hub_.errors().record(checked.error(), "Redis", now);
}

Restore::Counts Restore::finish() {
  return {restoration_.finish(), damaged_};
}

}  // namespace stickmesh::redis
