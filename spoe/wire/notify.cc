#include "spoe/wire/notify.h"

#include <fmt/format.h>

#include "agent/base/printable.h"

namespace stickmesh::spoe {

std::optional<Message> MessageReader::next() {
  Argument skipped;
  while (read(skipped)) {
  }
  if (!reader_.ok() || reader_.remaining() == 0) return std::nullopt;
  Message message;
  message.name = read_name(reader_);
  message.arguments = reader_.u8();
  if (!reader_.ok()) return std::nullopt;
  left_ = message.arguments;
  return message;
}

std::optional<Argument> MessageReader::argument() {
  std::optional<Argument> argument(std::in_place);
  if (!read(*argument)) argument.reset();
  return argument;
}

bool MessageReader::read(Argument& argument) {
  if (left_ == 0) return false;
  --left_;
  argument.name = read_name(reader_);
  read_value(reader_, argument.value);
  if (!reader_.ok()) left_ = 0;
  return reader_.ok();
}

Result<void> check_notify(Bytes payload) {
  MessageReader reader(payload);
  Argument argument;
  std::size_t messages = 0;
  while (const std::optional<Message> message = reader.next()) {
    ++messages;
    std::size_t arguments = 0;
    while (reader.read(argument)) ++arguments;
    if (reader.ok()) continue;
    return refuse(reader.failure(), fmt::format("argument {} of {} of message {}, \"{}\"", arguments + 1,
                                                message->arguments, messages, readable(message->name)));
  }
  if (!reader.ok()) return refuse(reader.failure(), fmt::format("the name of message {}", messages + 1));
  return {};
}

void MessageWriter::message(std::string_view name, std::uint8_t arguments) {
  write_name(name, writer_);
  writer_.u8(arguments);
}

void MessageWriter::argument(std::string_view name, const Value& value) {
  write_name(name, writer_);
  write_value(value, writer_);
}

}  // namespace stickmesh::spoe
