// All decoders of spoe/wire on the same bytes. What they accept must come back when it is encoded and decoded
// again.

#include <cstdint>
#include <vector>

#include "spoe/wire/ack.h"
#include "spoe/wire/disconnect.h"
#include "spoe/wire/frame.h"
#include "spoe/wire/hello.h"
#include "spoe/wire/notify.h"
#include "spoe/wire/typed_data.h"
#include "tests/fuzz/check.h"

namespace stickmesh::spoe {
namespace {

bool within(Bytes part, Bytes whole) {
  return part.empty() || (part.data() >= whole.data() && part.size() <= whole.size() &&
                          part.data() + part.size() <= whole.data() + whole.size());
}

void fuzz_value(Bytes in) {
  Reader reader(in);
  const Value value = read_value(reader);
  if (!reader.ok()) return;
  FUZZ_CHECK(within(value.bytes, in) && value.bytes.size() <= in.size());
  std::vector<std::byte> room(max_value_size(value));
  const std::byte* end = encode_value(value, room.data());
  const Bytes encoded(room.data(), static_cast<std::size_t>(end - room.data()));
  FUZZ_CHECK(encoded.size() <= room.size());
  Reader again(encoded);
  FUZZ_CHECK(read_value(again) == value && again.ok() && again.remaining() == 0);
  std::vector<std::byte> written;
  Writer writer(written);
  write_value(value, writer);
  FUZZ_CHECK(as_text(written) == as_text(encoded));
}

void fuzz_notify(Bytes payload) {
  const bool valid = check_notify(payload).has_value();
  std::vector<std::byte> again;
  MessageWriter writer(again);
  MessageReader reader(payload);
  std::size_t messages = 0, skipped = 0;
  while (const auto message = reader.next()) {
    ++messages;
    FUZZ_CHECK(within(as_bytes(message->name), payload) && message->arguments <= 255);
    writer.message(message->name, static_cast<std::uint8_t>(message->arguments));
    std::size_t arguments = 0;
    while (const auto argument = reader.argument()) {
      ++arguments;
      FUZZ_CHECK(within(as_bytes(argument->name), payload) && within(argument->value.bytes, payload));
      writer.argument(argument->name, argument->value);
    }
    FUZZ_CHECK(arguments == message->arguments || !valid);
  }
  FUZZ_CHECK(reader.ok() == valid);
  if (!valid) return;
  MessageReader skimmer(payload);
  while (skimmer.next()) ++skipped;
  FUZZ_CHECK(skipped == messages);

  FUZZ_CHECK(check_notify(again).has_value());
  MessageReader first(payload);
  MessageReader second(again);
  while (const auto message = first.next()) {
    const auto same = second.next();
    FUZZ_CHECK(same && same->name == message->name && same->arguments == message->arguments);
    while (const auto argument = first.argument()) {
      const auto same_argument = second.argument();
      FUZZ_CHECK(same_argument && same_argument->name == argument->name);
      FUZZ_CHECK(same_argument->value == argument->value);
    }
  }
  FUZZ_CHECK(!second.next());
}

void fuzz_hello(const FrameHeader& header, Bytes payload) {
  const auto hello = decode_haproxy_hello(header, payload);
  if (!hello) return;
  FUZZ_CHECK(hello->max_frame_size >= kMinFrameSize && within(as_bytes(hello->engine_id), payload));
  std::vector<std::byte> message;
  Writer writer(message);
  encode_haproxy_hello(*hello, writer);
  const Frame frame = parse_frame(message, message.size());
  FUZZ_CHECK(frame.status == FrameStatus::kFrame && frame.size == message.size());
  const auto again = decode_haproxy_hello(frame.header, frame.payload);
  FUZZ_CHECK(again && again->max_frame_size == hello->max_frame_size);
  FUZZ_CHECK(again->pipelining == hello->pipelining && again->async == hello->async);
  FUZZ_CHECK(again->health_check == hello->health_check && again->engine_id == hello->engine_id);
}

void fuzz_agent_frames(Bytes payload) {
  if (const auto hello = decode_agent_hello(payload)) {
    std::vector<std::byte> message;
    Writer writer(message);
    encode_agent_hello(*hello, writer);
    FUZZ_CHECK(decode_agent_hello(parse_frame(message, message.size()).payload) == hello);
  }
  if (const auto goodbye = decode_disconnect(payload)) {
    std::vector<std::byte> message;
    Writer writer(message);
    encode_agent_disconnect(goodbye->status, goodbye->message, writer);
    const Frame frame = parse_frame(message, kMinFrameSize);
    FUZZ_CHECK(frame.status == FrameStatus::kFrame);
    const auto again = decode_disconnect(frame.payload);
    FUZZ_CHECK(again && again->status == goodbye->status);
    FUZZ_CHECK(goodbye->message.starts_with(again->message));
  }
}

void fuzz_ack(Bytes payload) {
  constexpr std::size_t kLimit = 300;
  Buffer out;
  AckWriter ack(out, ~0ULL, 240, kLimit);
  std::vector<Action> written;
  std::size_t asked = 0;
  ActionReader reader(payload);
  while (const auto action = reader.next()) {
    ++asked;
    const bool taken = action->set ? ack.set(action->scope, action->name, action->value)
                                   : ack.unset(action->scope, action->name);
    FUZZ_CHECK(!taken || is_variable_name(action->name));
    if (taken) written.push_back(*action);
  }
  ack.finish();
  FUZZ_CHECK(ack.actions() == written.size() && ack.actions() + ack.left_out() == asked);
  const Frame frame = parse_frame(out.pending(), kLimit);
  FUZZ_CHECK(frame.status == FrameStatus::kFrame && frame.size == out.size());
  ActionReader again(frame.payload);
  for (const Action& action : written) {
    const auto same = again.next();
    FUZZ_CHECK(same && same->set == action.set && same->scope == action.scope);
    FUZZ_CHECK(same->name == action.name && same->value == action.value);
  }
  FUZZ_CHECK(!again.next() && again.ok());
}

void fuzz_payload(const FrameHeader& header, Bytes payload) {
  fuzz_value(payload);
  fuzz_notify(payload);
  fuzz_hello(header, payload);
  fuzz_agent_frames(payload);
  fuzz_ack(payload);
}

void fuzz_stream(Bytes in) {
  while (!in.empty()) {
    const Frame frame = parse_frame(in, 4096);
    if (frame.status == FrameStatus::kNeedMore) FUZZ_CHECK(frame.size > in.size());
    if (frame.status != FrameStatus::kFrame) return;
    FUZZ_CHECK(frame.size <= in.size() && frame.size >= kLengthSize + kMinFrameLength);
    std::vector<std::byte> message;
    Writer writer(message);
    write_frame(frame.header, frame.payload, writer);
    const Frame again = parse_frame(message, message.size());
    FUZZ_CHECK(again.header == frame.header && as_text(again.payload) == as_text(frame.payload));
    fuzz_payload(frame.header, frame.payload);
    in = in.subspan(frame.size);
  }
}

}  // namespace
}  // namespace stickmesh::spoe

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stickmesh;
  using namespace stickmesh::spoe;
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  fuzz_stream(input);
  fuzz_payload({FrameType::kHaproxyHello, kFin, 0, 0}, input);
  return 0;
}
