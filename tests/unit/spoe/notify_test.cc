#include "spoe/wire/notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {
namespace {

ByteVector two_messages() {
  ByteVector bytes = payload();
  MessageWriter writer(bytes);
  writer.message("lookup-ban", 0);
  return bytes + payload("set", "");
}

TEST(NotifyTest, MessagesAndArgumentsAreReadInOrder) {
  const ByteVector bytes = two_messages();
  ASSERT_TRUE(check_notify(bytes));
  MessageReader reader(bytes);
  EXPECT_FALSE(reader.argument());
  auto message = reader.next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->name, "track");
  EXPECT_EQ(message->arguments, 3U);
  auto argument = reader.argument();
  ASSERT_TRUE(argument);
  EXPECT_EQ(argument->name, "key");
  EXPECT_EQ(argument->value, Value::string("joe"));
  EXPECT_GE(argument->value.bytes.data(), bytes.data());
  EXPECT_LT(argument->value.bytes.data(), bytes.data() + bytes.size());
  // What is left of a message is skipped.
  message = reader.next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->name, "lookup-ban");
  EXPECT_FALSE(reader.argument());
  message = reader.next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->name, "set");
  for (int index = 0; index < 3; ++index) EXPECT_TRUE(reader.argument());
  EXPECT_FALSE(reader.argument());
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.ok());
}

TEST(NotifyTest, NoMessageAtAllIsValid) {
  EXPECT_TRUE(check_notify({}));
}

TEST(NotifyTest, AnyNameIsValid) {
  for (const std::string& name : {std::string(), std::string(4096, 'x'), std::string(3, '\0')}) {
    EXPECT_TRUE(check_notify(payload(name)));
  }
}

TEST(NotifyTest, EveryTruncationIsFound) {
  const ByteVector bytes = two_messages();
  std::size_t whole = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (check_notify(Bytes(bytes).first(size))) ++whole;
  }
  EXPECT_EQ(whole, 3U);  // nothing, the first message, and the first two
}

TEST(NotifyTest, SaysWhereTheFaultIs) {
  ByteVector bytes = payload();
  MessageWriter writer(bytes);
  writer.message("track-api\n", 2);
  writer.argument("a", Value::null());
  const ByteVector bad = bytes + from_hex("01 62 0c");
  const auto result = check_notify(bad);
  ASSERT_FALSE(result);
  EXPECT_EQ(to_string(result.error()), "bad-message: argument 2 of 2 of message 2, \"track-api?\"");
  const auto count = check_notify(from_hex("01 61 ff 00 00"));
  EXPECT_EQ(to_string(count.error()), "truncated: argument 2 of 255 of message 1, \"a\"");
  const auto garbage = check_notify(payload() + from_hex("05 61"));
  EXPECT_EQ(to_string(garbage.error()), "truncated: the name of message 2");
}

}  // namespace
}  // namespace stickmesh::spoe
