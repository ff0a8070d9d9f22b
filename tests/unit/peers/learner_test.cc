#include "tests/unit/peers/session_fixture.h"

namespace stickmesh::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Entry = RecordingHandler::Entry;

class LearnerTest : public SessionTest {
 protected:
  static std::string ack(TableId table, std::uint32_t id) {
    return plain(fmt::format("0a84 05 {:02x} {:08x}", table, id));
  }

  /// An update of the table of kDefineSrc, explicit when it has an id.
  static std::string src_update(std::optional<std::uint32_t> id, bool timed = false) {
    const std::string rest = std::string(timed ? "00001000" : "") + "0a000001 00 00 00 00 00";
    if (!id) return fmt::format("0a {} {} {}", timed ? "86" : "81", timed ? "0d" : "09", rest);
    return fmt::format("0a {} {} {:08x} {}", timed ? "85" : "80", timed ? "11" : "0d", *id, rest);
  }
  /// A table of that number with one gpc0 and integer keys.
  static std::vector<std::byte> definition(TableId id, const std::string& name) {
    std::vector<std::byte> message;
    Writer writer(message);
    encode_definition(id, {name, KeyType::kInteger, 4, Duration(0), {{DataType::kGpc0, 1, {}}}}, writer);
    return message;
  }
  void define(TableId id, const std::string& name) {
    ASSERT_TRUE(session->receive(definition(id, name), now));
  }
};

TEST_F(LearnerTest, HandsOnDefinitionsAndUpdates) {
  establish();
  receive_all({vectors::kDefineSrc, vectors::kSrcEntry, vectors::kSrcTimed});
  EXPECT_THAT(handler.tables, ElementsAre(vectors::src_table()));
  const std::string key("\x0a\0\0\x01", 4);
  EXPECT_THAT(handler.entries,
              ElementsAre(Entry{0, 1, false, std::nullopt, key, {5, 300, 1011, 7, 240}, ""},
                          Entry{0, 2, false, Duration(57982), key, {5, 300, 1011, 7, 240}, ""}));
}

TEST_F(LearnerTest, ServerKeysComeFromTheDictionary) {
  establish();
  receive_all({vectors::kDefineT1, vectors::kT1Foo, vectors::kT1Bar, vectors::kT1Baz});
  EXPECT_THAT(handler.entries, ElementsAre(Entry{0, 1, false, std::nullopt, "foo", {2, kServerKeySet}, "s1"},
                                           Entry{0, 2, false, std::nullopt, "bar", {2, kServerKeySet}, "s1"},
                                           Entry{0, 3, false, std::nullopt, "baz", {0, kServerKeyNone}, ""}));
}

TEST_F(LearnerTest, ASlotThatWasNeverFilledLeavesTheServerKeyUnchanged) {
  establish();
  receive_all({vectors::kDefineT1, vectors::kT1Bar});
  EXPECT_THAT(handler.entries,
              ElementsAre(Entry{0, 1, false, std::nullopt, "bar", {2, kServerKeyUnchanged}, ""}));
}

TEST_F(LearnerTest, TheDictionaryIsSharedByTablesAndItsSlotsAreReused) {
  establish();
  // As HAProxy does: name n goes to slot n mod 128.
  receive_all({"0a 82 0b 01 02 7431 02 04 f0f1fe00 00"});
  const auto update = [](const std::string& name, std::uint32_t slot, bool named) {
    std::vector<std::byte> body = from_hex("00000001 00000001");
    Writer writer(body);
    writer.varint(varint_size(slot) + (named ? 1 + name.size() : 0));
    writer.varint(slot);
    if (named) {
      writer.varint(name.size());
      writer.bytes(as_bytes(name));
    }
    std::vector<std::byte> message;
    Writer header(message);
    encode_table_header(TableType::kUpdate, body.size(), header);
    header.bytes(body);
    return message;
  };
  for (std::uint32_t index = 0; index < 130; ++index) {
    ASSERT_TRUE(session->receive(update(fmt::format("server{}", index), index % 128 + 1, true), now));
    EXPECT_EQ(handler.entries.back().server_key, fmt::format("server{}", index));
  }
  receive_all({"0a 82 0b 02 02 7432 02 04 f0f1fe00 00"});
  const std::pair<std::uint32_t, std::string> expected[] = {
      {1, "server128"}, {2, "server129"}, {3, "server2"}, {128, "server127"}};
  for (const auto& [slot, name] : expected) {
    ASSERT_TRUE(session->receive(update({}, slot, false), now));
    EXPECT_EQ(handler.entries.back().server_key, name) << slot;
    EXPECT_EQ(handler.entries.back().handle, 1U);
  }
}

TEST_F(LearnerTest, AcksEachTableOnceForWhatCameTogether) {
  establish();
  ASSERT_TRUE(session->receive(
      joined({vectors::kDefineSrc, vectors::kSrcEntry, src_update(7), src_update(9), vectors::kDefineT1,
              vectors::kT1Foo, vectors::kT1Bar, vectors::kDefineSrc, src_update(12)}),
      now));
  EXPECT_EQ(drain(), ack(1, 12) + ack(3, 2));
  EXPECT_EQ(session->traffic().acks_out, 2U);
}

TEST_F(LearnerTest, AcksOnlyAfterTheHandlerHasApplied) {
  establish();
  handler.on_update = [this] { EXPECT_TRUE(session->pending().empty()); };
  receive_all({vectors::kDefineSrc, vectors::kSrcEntry});
  EXPECT_EQ(drain(), ack(1, 1));
}

TEST_F(LearnerTest, DoesNotAckTheSameIdTwiceAndNever0) {
  establish();
  receive_all({vectors::kDefineSrc, src_update(0)});
  EXPECT_EQ(drain(), "");
  receive_all({src_update(5)});
  EXPECT_EQ(drain(), ack(1, 5));
  receive_all({src_update(5)});
  EXPECT_EQ(drain(), "");
  receive_all({src_update(0)});
  EXPECT_EQ(drain(), "");
  receive_all({src_update(4)});
  EXPECT_EQ(drain(), ack(1, 4));
}

TEST_F(LearnerTest, ImplicitIdsCountFrom0InEachTable) {
  establish();
  receive_all({vectors::kDefineSrc, src_update(std::nullopt), src_update(std::nullopt), src_update(40),
               src_update(std::nullopt), vectors::kDefineT1, vectors::kT1Bar, vectors::kDefineSrc,
               src_update(std::nullopt, /*timed=*/true)});
  EXPECT_THAT(handler.take_calls(), ElementsAre("table st_src", "live 1", "live 2", "live 40", "live 41",
                                                "table /t1", "live 1", "table st_src", "live 42"));
}

TEST_F(LearnerTest, IdsWrap) {
  establish();
  receive_all(
      {vectors::kDefineSrc, src_update(0xffffffff), src_update(std::nullopt), src_update(std::nullopt)});
  EXPECT_THAT(handler.take_calls(), ElementsAre("table st_src", "live 4294967295", "live 0", "live 1"));
  EXPECT_EQ(drain(), ack(1, 0xffffffff) + ack(1, 1));
}

TEST_F(LearnerTest, ATableSwitchSelectsWhatWasDefined) {
  establish();
  receive_all({vectors::kDefineSrc, vectors::kDefineT1, "0a 83 01 01", vectors::kSrcEntry, "0a 83 01 03",
               vectors::kT1Foo});
  EXPECT_THAT(handler.take_calls(), ElementsAre("table st_src", "table /t1", "live 1", "live 1"));
  EXPECT_EQ(handler.entries[0].handle, 0U);
  EXPECT_EQ(handler.entries[1].handle, 1U);
}

TEST_F(LearnerTest, UpdatesOfIgnoredTablesAreSkippedUndecodedAndNotAcked) {
  establish();
  handler.ignored = {"st_src"};
  receive_all({vectors::kDefineSrc, vectors::kSrcEntry, "0a 80 01 00", "0a 83 01 01", "0a 81 00"});
  EXPECT_THAT(handler.entries, IsEmpty());
  EXPECT_EQ(drain(), "");
  EXPECT_EQ(session->traffic().updates_ignored, 3U);
  EXPECT_EQ(session->traffic().updates_in, 0U);

  handler.ignored.clear();
  receive_all({vectors::kDefineSrc, vectors::kSrcEntry});
  EXPECT_EQ(drain(), ack(1, 1));
}

TEST_F(LearnerTest, TheHandlerHearsOfEveryRepeatedDefinition) {
  establish();
  receive_all({vectors::kDefineSrc, vectors::kDefineSrc});
  EXPECT_THAT(handler.take_calls(), ElementsAre("table st_src", "table st_src"));
  EXPECT_THAT(handler.tables, ElementsAre(vectors::src_table(), vectors::src_table()));
  receive_all({vectors::kSrcEntry});
  EXPECT_EQ(handler.entries.back().handle, 1U);
}

TEST_F(LearnerTest, ADefinitionWithMuchBehindItIsTakenEachTime) {
  establish();
  std::vector<std::byte> body = from_hex(vectors::kDefineSrc);
  body.erase(body.begin(), body.begin() + 3);
  body.resize(10'000);
  std::vector<std::byte> message;
  Writer writer(message);
  encode_table_header(TableType::kDefinition, body.size(), writer);
  writer.bytes(body);
  ASSERT_TRUE(session->receive(message, now));
  ASSERT_TRUE(session->receive(message, now));
  EXPECT_THAT(handler.tables, ElementsAre(vectors::src_table(), vectors::src_table()));
}

TEST_F(LearnerTest, ARedefinitionGivesANumberToAnotherTable) {
  establish();
  define(1, "a");
  define(2, "b");
  receive_all({"0a 80 09 00000005 00000001 00"});
  EXPECT_EQ(drain(), ack(2, 5));
  define(2, "a");
  receive_all({"0a 80 09 00000006 00000001 00"});
  EXPECT_EQ(drain(), ack(2, 6));
  EXPECT_EQ(refusal("0a 83 01 01"), Reason::kUnknownTableId);
}

TEST_F(LearnerTest, ATableKeepsItsImplicitIdsUnderANewNumber) {
  establish();
  define(1, "a");
  receive_all({"0a 80 09 00000005 00000001 00"});
  define(9, "a");
  receive_all({"0a 81 05 00000001 00"});
  EXPECT_EQ(handler.entries.back().id, 6U);
  EXPECT_EQ(drain(), ack(1, 5) + ack(9, 6));
}

TEST_F(LearnerTest, ANumberThatWasTakenAwayBetweenUpdateAndAckIsNotAcked) {
  establish();
  std::vector<std::byte> batch = definition(1, "a");
  for (const std::byte byte : from_hex("0a 80 09 00000005 00000001 00")) batch.push_back(byte);
  for (const std::byte byte : definition(1, "b")) batch.push_back(byte);
  ASSERT_TRUE(session->receive(batch, now));
  EXPECT_EQ(drain(), "");
}

TEST_F(LearnerTest, TablesHaveALimit) {
  Options options = accepting();
  options.max_tables = 2;
  establish(options);
  define(1, "a");
  define(2, "b");
  define(7, "a");
  const auto result = session->receive(definition(3, "c"), now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kTooManyTables);
}

TEST_F(LearnerTest, ALessonIsAskedForConfirmedOnceAndNotAcked) {
  establish();
  session->request_lesson(now);
  EXPECT_TRUE(session->learning());
  EXPECT_EQ(drain(), plain(vectors::kResyncRequest));
  receive_all({vectors::kDefineSrc, src_update(0x80000001, /*timed=*/true),
               src_update(std::nullopt, /*timed=*/true)});
  EXPECT_EQ(drain(), "");
  receive_all({vectors::kFinished});
  EXPECT_EQ(drain(), plain(vectors::kConfirm));
  EXPECT_FALSE(session->learning());
  EXPECT_THAT(handler.take_calls(),
              ElementsAre("table st_src", "lesson 2147483649", "lesson 2147483650", "lesson ended"));
  receive_all({src_update(3)});
  EXPECT_EQ(drain(), ack(1, 3));
}

TEST_F(LearnerTest, APartialLessonIsConfirmedToo) {
  establish();
  session->request_lesson(now);
  drain();
  receive_all({vectors::kPartial});
  EXPECT_EQ(drain(), plain(vectors::kConfirm));
  EXPECT_THAT(handler.take_calls(), ElementsAre("lesson partial"));
}

TEST_F(LearnerTest, LivePushesBeforeALessonAreStillLive) {
  establish();
  session->request_lesson(now);
  drain();
  receive_all({vectors::kDefineSrc, src_update(4)});
  EXPECT_EQ(drain(), ack(1, 4));
  EXPECT_THAT(handler.take_calls(), ElementsAre("table st_src", "live 4"));
}

TEST_F(LearnerTest, WhatIsPushedAgainAfterALessonIsAckedAgain) {
  establish();
  receive_all({vectors::kDefineSrc, src_update(4)});
  session->request_lesson(now);
  receive_all({src_update(4, /*timed=*/true), vectors::kFinished});
  drain();
  receive_all({src_update(4)});
  EXPECT_EQ(drain(), ack(1, 4));
}

TEST_F(LearnerTest, TimedUpdatesOutsideALessonAreLive) {
  establish();
  receive_all({vectors::kDefineSrc, src_update(4, /*timed=*/true)});
  EXPECT_EQ(drain(), ack(1, 4));
}

TEST_F(LearnerTest, TheLessonOfA20PeerIsUntimed) {
  establish(accepting(), "HAProxyS 2.0\nagent\nlb1 4711 1\n");
  session->request_lesson(now);
  drain();
  receive_all({vectors::kDefineSrc, src_update(4), vectors::kFinished});
  EXPECT_EQ(drain(), plain(vectors::kConfirm));
  EXPECT_THAT(handler.take_calls(), ElementsAre("table st_src", "lesson 4", "lesson ended"));
  receive_all({src_update(5)});
  EXPECT_EQ(drain(), ack(1, 5));
}

TEST_F(LearnerTest, ALessonThatNobodyAskedForIsConfirmedAndOtherwiseIgnored) {
  establish();
  receive_all({vectors::kFinished, vectors::kPartial});
  EXPECT_EQ(drain(), plain(vectors::kConfirm) + plain(vectors::kConfirm));
  EXPECT_THAT(handler.calls, IsEmpty());
}

TEST_F(LearnerTest, ARequestDuringALessonRestartsItAtItsEnd) {
  establish();
  session->request_lesson(now);
  drain();
  session->request_lesson(now);
  session->request_lesson(now);
  EXPECT_EQ(drain(), "");
  receive_all({vectors::kDefineSrc, src_update(1, /*timed=*/true), vectors::kFinished});
  EXPECT_EQ(drain(), plain(vectors::kConfirm) + plain(vectors::kResyncRequest));
  EXPECT_TRUE(session->learning());
  receive_all({src_update(1, /*timed=*/true), vectors::kFinished});
  EXPECT_EQ(drain(), plain(vectors::kConfirm));
  EXPECT_FALSE(session->learning());
  EXPECT_THAT(handler.take_calls(), ElementsAre("table st_src", "lesson 1", "lesson 1", "lesson ended"));
}

TEST_F(LearnerTest, TheNextLessonMayBeAskedForAtTheEndOfThisOne) {
  establish();
  handler.on_lesson_ended = [this] { session->request_lesson(now); };
  session->request_lesson(now);
  drain();
  receive_all({vectors::kPartial});
  EXPECT_EQ(drain(), plain(vectors::kConfirm) + plain(vectors::kResyncRequest));
}

TEST_F(LearnerTest, ASelectionOutlivesControlMessages) {
  establish();
  receive_all({vectors::kDefineSrc, vectors::kResyncRequest, vectors::kHeartbeat, vectors::kFinished,
               vectors::kSrcEntry});
  EXPECT_EQ(handler.entries.size(), 1U);
}

}  // namespace
}  // namespace stickmesh::peers
