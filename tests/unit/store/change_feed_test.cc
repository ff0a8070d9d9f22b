#include "agent/store/change_feed.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace stickmesh::store {

// Stands in for the four thousand million changes that it takes to come near the end of the 32-bit update
// ids.
template <std::uint64_t ChangeFeed::*Last>
struct FeedAccess {
  friend void start_feed_after(ChangeFeed& feed, std::uint64_t sequence) { feed.*Last = sequence; }
};
void start_feed_after(ChangeFeed& feed, std::uint64_t sequence);
template struct FeedAccess<&ChangeFeed::last_>;

namespace {

constexpr std::uint64_t kTurn = std::uint64_t{1} << 32U;

std::uint32_t update_id(std::uint64_t sequence) {
  return static_cast<std::uint32_t>(sequence);
}

std::vector<std::uint32_t> entries_after(const ChangeFeed& feed, std::uint64_t sequence) {
  std::vector<std::uint32_t> entries;
  for (std::size_t position = feed.after(sequence); position < feed.size(); ++position) {
    entries.push_back(feed.at(position).entry);
  }
  return entries;
}

TEST(ChangeFeedTest, NumbersRiseFromOne) {
  ChangeFeed feed;
  EXPECT_EQ(feed.last(), 0U);
  EXPECT_EQ(feed.publish(7), 1U);
  EXPECT_EQ(feed.publish(8), 2U);
  EXPECT_EQ(feed.publish(7), 3U);
  EXPECT_EQ(feed.last(), 3U);
  EXPECT_EQ(entries_after(feed, 0), (std::vector<std::uint32_t>{7, 8, 7}));
  EXPECT_EQ(entries_after(feed, 1), (std::vector<std::uint32_t>{8, 7}));
  EXPECT_TRUE(entries_after(feed, 3).empty());
}

TEST(ChangeFeedTest, UpdateIdIsNeverZero) {
  ChangeFeed feed;
  start_feed_after(feed, kTurn - 2);
  EXPECT_EQ(update_id(feed.publish(1)), 0xffffffffU);
  EXPECT_EQ(update_id(feed.publish(2)), 1U);
  EXPECT_EQ(feed.last(), kTurn + 1);
  EXPECT_EQ(entries_after(feed, kTurn - 1), std::vector<std::uint32_t>{2});
}

TEST(ChangeFeedTest, AnUpdateIdStandsForTheNewestSequenceThatIsNotInTheFuture) {
  ChangeFeed feed;
  for (std::uint32_t entry = 0; entry < 10; ++entry) feed.publish(entry);
  EXPECT_EQ(feed.sequence_of(10), 10U);
  EXPECT_EQ(feed.sequence_of(3), 3U);
  EXPECT_EQ(feed.sequence_of(0), 0U);
  EXPECT_EQ(feed.sequence_of(11), 0U);
  EXPECT_EQ(feed.sequence_of(0xffffffffU), 0U);
}

TEST(ChangeFeedTest, AnUpdateIdOfBeforeTheWrapIsUnderstoodAfterIt) {
  ChangeFeed feed;
  start_feed_after(feed, 3 * kTurn - 3);
  std::vector<std::uint64_t> given;
  for (std::uint32_t entry = 0; entry < 6; ++entry) given.push_back(feed.publish(entry));
  for (const std::uint64_t sequence : given) EXPECT_EQ(feed.sequence_of(update_id(sequence)), sequence);
  EXPECT_EQ(feed.sequence_of(update_id(feed.last() + 1)), feed.last() - (kTurn - 1));
}

TEST(ChangeFeedTest, CompactionWaitsUntilStalePlacesAreTheGreaterPart) {
  ChangeFeed feed;
  for (std::uint32_t count = 0; count < 1023; ++count) feed.publish(0);
  const auto none = [](const ChangeFeed::Place&) { return false; };
  feed.compact(1, none);
  EXPECT_EQ(feed.size(), 1023U);
  feed.publish(0);
  feed.compact(513, none);
  EXPECT_EQ(feed.size(), 1024U);
  feed.compact(512, none);
  EXPECT_EQ(feed.size(), 0U);
}

// Whatever was compacted away, a receiver that goes on from its sequence number sees the newest state of
// every entry that was published after it, and each once at most after a compaction.
TEST(ChangeFeedTest, CompactionKeepsEveryCursorValid) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    ChangeFeed feed;
    start_feed_after(feed, kTurn - 5000);
    std::map<std::uint32_t, std::uint64_t> newest;
    std::vector<std::uint64_t> cursors(8, kTurn - 5000);
    std::size_t compactions = 0;
    for (int step = 0; step < 20000; ++step) {
      const auto entry = static_cast<std::uint32_t>(random() % 300);
      newest[entry] = feed.publish(entry);
      const std::size_t size = feed.size();
      feed.compact(newest.size(),
                   [&](const ChangeFeed::Place& place) { return newest.at(place.entry) == place.sequence; });
      compactions += feed.size() < size ? 1U : 0U;
      ASSERT_LE(feed.size(), std::max<std::size_t>(1024, 2 * newest.size()));
      if (step % 50 != 0) continue;

      std::uint64_t& cursor = cursors[random() % cursors.size()];
      std::map<std::uint32_t, std::uint64_t> seen;
      for (std::size_t position = feed.after(cursor); position < feed.size(); ++position) {
        const ChangeFeed::Place& place = feed.at(position);
        ASSERT_GT(place.sequence, cursor);
        if (newest.at(place.entry) == place.sequence) seen[place.entry] = place.sequence;
      }
      for (const auto& [published, sequence] : newest) {
        ASSERT_EQ(seen.contains(published), sequence > cursor) << "entry " << published;
      }
      cursor = feed.last() - random() % 100;
    }
    EXPECT_GT(compactions, 5U);
  }
}

}  // namespace
}  // namespace stickmesh::store
