#include "tests/bench/load/stream.h"

#include <algorithm>
#include <numeric>

#include "agent/peers/wire/message.h"

namespace stickmesh::bench {

bool can_make(const TableDefinition& definition) {
  return definition.key_size == 4 &&
         std::none_of(definition.types.begin(), definition.types.end(), [](const StoredType& type) {
           return traits(type.type).array || traits(type.type).kind == ValueKind::kDictionary;
         });
}

Bytes UpdateMaker::make(std::uint32_t update_id, std::uint32_t index, std::uint32_t sequence,
                        std::optional<Duration> remaining) {
  const std::uint32_t number = spread(index);
  const std::byte key[4] = {static_cast<std::byte>(number >> 24U), static_cast<std::byte>(number >> 16U),
                            static_cast<std::byte>(number >> 8U), static_cast<std::byte>(number)};
  encoder_.begin(update_id, remaining);
  encoder_.key(definition_.key_type, key);
  for (const StoredType& type : definition_.types) value(type, sequence);
  return encoder_.finish();
}

void UpdateMaker::value(const StoredType& type, std::uint32_t sequence) {
  if (type.type == DataType::kGpc0) return encoder_.number(sequence);
  const auto random = static_cast<std::uint32_t>(random_());
  switch (traits(type.type).kind) {
    case ValueKind::kRate: {
      const auto period = static_cast<std::uint32_t>(type.period.count());
      return encoder_.rate(period == 0 ? 0 : random % period, random >> 24U, random >> 16U & 0xffU);
    }
    case ValueKind::kUnsigned64:
      return encoder_.number(random % 10'000'000);
    default:
      return encoder_.number(random % 10'000);
  }
}

Bytes Stream::block(std::size_t index) const {
  const std::size_t begin = index == 0 ? 0 : block_ends[index - 1];
  return Bytes(bytes).subspan(begin, block_ends[index] - begin);
}

Stream make_stream(const TableDefinition& definition, const StreamPlan& plan) {
  std::vector<std::uint32_t> order(plan.keys);
  std::iota(order.begin(), order.end(), 0U);
  std::mt19937 random(plan.seed);

  Stream stream;
  stream.bytes.reserve(std::size_t{plan.updates} * 40);
  UpdateMaker maker(definition, plan.seed + 1);
  std::size_t block = 0;
  for (std::uint32_t count = 0; count < plan.updates; ++count) {
    if (count % plan.keys == 0) std::shuffle(order.begin(), order.end(), random);
    std::optional<Duration> remaining;
    if (plan.timed) remaining = definition.expire / 2 + definition.expire * count / (plan.updates * 3);
    stream.last_id = plan.first_id + count;
    const Bytes message = maker.make(stream.last_id, order[count % plan.keys], stream.last_id, remaining);
    if (stream.bytes.size() + message.size() - block > peers::kMaxSentMessage) {
      stream.block_ends.push_back(stream.bytes.size());
      block = stream.bytes.size();
    }
    stream.bytes.insert(stream.bytes.end(), message.begin(), message.end());
  }
  if (stream.bytes.size() > block) stream.block_ends.push_back(stream.bytes.size());
  return stream;
}

}  // namespace stickmesh::bench
