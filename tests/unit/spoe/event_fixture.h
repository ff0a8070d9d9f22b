#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spoe/events/event_handler.h"
#include "tests/unit/pipeline/instance.h"
#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {

using NamedValues = std::vector<std::pair<std::string_view, Value>>;

/// The payload of an event, message by message.
class Event {
 public:
  Event& message(std::string_view name, const NamedValues& arguments) {
    MessageWriter writer(bytes_);
    writer.message(name, static_cast<std::uint8_t>(arguments.size()));
    for (const auto& [argument, value] : arguments) writer.argument(argument, value);
    return *this;
  }
  Bytes bytes() const { return bytes_; }

 private:
  ByteVector bytes_;
};

/// A handler on an agent without sockets, and a clock that only tests move.
class EventHandlerTest : public ::testing::Test {
 protected:
  using Types = std::vector<StoredType>;

  explicit EventHandlerTest(pipeline::HubSetup setup = pipeline::Agent::default_setup())
      : agent_(std::move(setup)) {}

  pipeline::TableRecord& declare(const std::string& name, Types types, KeyType key = KeyType::kString,
                                 std::uint32_t key_size = 33) {
    TableDefinition definition = pipeline::counter_table(name);
    definition.key_type = key;
    definition.key_size = key_size;
    definition.types = std::move(types);
    return agent_.registry.declare(definition, 0, now_);
  }
  /// All variables that the event sets, in words; they end with the scope's number and a dot in front.
  std::string say(const Event& event) {
    Buffer out;
    AckWriter ack(out, 1, 1, 16380);
    Answer answer(ack);
    const Result<void> handled = handler_.notified(MessageReader(event.bytes()), answer, now_);
    ack.finish();
    if (!handled) return "error: " + to_string(handled.error());
    const Frame frame = parse_frame(out.pending(), 1 << 20);
    return describe_actions(frame.payload);
  }
  std::string say(std::string_view name, const NamedValues& arguments) {
    return say(Event().message(name, arguments));
  }
  std::string last_error() const {
    const auto& recent = agent_.errors.recent();
    return recent.empty() ? "" : recent.back().where + ": " + recent.back().detail;
  }

  pipeline::Agent agent_;
  EventHandler handler_{agent_.hub};
  TimePoint now_ = pipeline::kStart;
};

}  // namespace stickmesh::spoe
