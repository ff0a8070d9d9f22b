#include "tests/bench/spoe/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "spoe/wire/notify.h"
#include "tests/bench/load/keys.h"

namespace stickmesh::bench {

namespace {

void write_key(bool text, std::uint32_t index, spoe::MessageWriter& writer) {
  if (text) return writer.argument("key", spoe::Value::string(fmt::format("client-{}", index)));
  const std::uint32_t number = spread(index);
  const std::byte address[spoe::kIpv4Size] = {
      static_cast<std::byte>(number >> 24U), static_cast<std::byte>(number >> 16U),
      static_cast<std::byte>(number >> 8U), static_cast<std::byte>(number)};
  writer.argument("key", spoe::Value::ipv4(address));
}

}  // namespace

Payloads::Payloads(const EventPlan& plan) {
  std::vector<std::uint32_t> order(plan.keys);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  ends_.reserve(order.size());
  spoe::MessageWriter writer(bytes_);
  for (const std::uint32_t index : order) {
    if (!plan.message.empty()) {
      writer.message(plan.message, static_cast<std::uint8_t>(2 + plan.arguments.size()));
      writer.argument("table", spoe::Value::string(plan.table));
      write_key(plan.text_keys, index, writer);
      for (const auto& [name, value] : plan.arguments) writer.argument(name, spoe::Value::int64(value));
    }
    ends_.push_back(bytes_.size());
  }
}

Bytes Payloads::next() {
  const std::size_t begin = next_ == 0 ? 0 : ends_[next_ - 1];
  const Bytes payload = Bytes(bytes_).subspan(begin, ends_[next_] - begin);
  next_ = next_ + 1 == ends_.size() ? 0 : next_ + 1;
  return payload;
}

}  // namespace stickmesh::bench
