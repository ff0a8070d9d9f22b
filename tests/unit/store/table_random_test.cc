#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/store/table.h"
#include "tests/unit/store/table_fixture.h"
#include "tests/unit/store/table_oracle.h"
#include "tests/unit/store/table_random_cells.h"

namespace stickmesh::store {
namespace {

struct Scenario {
  unsigned seed;
  int steps;
  unsigned keys;
  unsigned origins;
  Duration expire;
  std::size_t max_entries;
};

class RandomRun {
 public:
  explicit RandomRun(const Scenario& scenario)
      : scenario_(scenario), random_(scenario.seed), oracle_(scenario.expire) {
    const std::vector<TableDefinition> all = origin_definitions(scenario.expire);
    table_ = std::make_unique<Table>("http", all[0], default_merges(), scenario.max_entries, world_.shared,
                                     at(now_));
    table_->track_changes(true);
    table_->on_removed([this](EntryId entry) { removed_.emplace_back(as_text(table_->key(entry))); });
    for (unsigned index = 0; index < scenario.origins; ++index) {
      senders_.emplace_back(*table_, world_.origin("lb" + std::to_string(index)), all[index % all.size()]);
    }
  }

  ~RandomRun() {
    if (table_) table_->on_removed({});
  }

  void run() {
    for (int step = 0; step < scenario_.steps && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(testing::Message() << "seed " << scenario_.seed << " step " << step);
      now_ += chance(2) ? 0 : static_cast<std::int64_t>(random_() % 40);
      const auto choice = random_() % 1000;
      if (choice < 880) {
        update();
      } else if (choice < 940) {
        expire(chance(2) ? kEverything : random_() % 50);
      } else if (choice < 990) {
        publish();
      } else if (choice < 996) {
        remove();
      } else if (choice < 998) {
        purge();
      } else {
        now_ +=
            static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(3 * scenario_.expire.count()));
      }
      // A daemon asks many times a second; the wheel is true as long as it is not a good part of a turn
      // behind.
      if (now_ - expired_ > 500) expire(kEverything);
      if (step % 500 == 0) compare();
    }
    if (testing::Test::HasFailure()) return;
    compare();
    finish();
  }

 private:
  bool chance(unsigned one_in) { return random_() % one_in == 0; }

  void update() {
    Sender& sender = senders_[random_() % senders_.size()];
    if (chance(40)) ++sender.version.generation;
    const Version newest = sender.version;
    if (chance(20) && newest.generation > 1) --sender.version.generation;
    sender.version.update_id = chance(5) ? newest.update_id : newest.update_id + 1;

    const std::string key = "key" + std::to_string(random_() % scenario_.keys);
    const std::string text = "srv" + std::to_string(random_() % 8);
    if (repeated_.size() < 50 || chance(3)) {
      Change change{sender.origin(), sender.version, {}, {}, {}};
      change.life = chance(4) ? LifeKind::kRemaining : LifeKind::kAnew;
      change.remaining =
          Duration(1 + random_() % static_cast<std::uint64_t>(scenario_.expire.count() * 5 / 4));
      repeated_.push_back({&sender, key, text, random_cells(random_, sender.definition()), change});
    }
    // Mostly something of before again, so that equal updates and repeated numbers are frequent.
    Said& said = repeated_[chance(2) ? repeated_.size() - 1 : random_() % repeated_.size()];
    if (chance(3)) said.change.life = chance(4) ? LifeKind::kRemaining : LifeKind::kAnew;
    if (chance(3)) said.change.version = said.sender->version;
    apply(said);
    sender.version = {newest.generation, std::max(newest.update_id, sender.version.update_id)};
    if (repeated_.size() > 300) repeated_.erase(repeated_.begin(), repeated_.begin() + 200);
  }

  struct Said {
    Sender* sender;
    std::string key;
    std::string text;
    std::vector<std::uint64_t> cells;
    Change change;
  };

  void apply(Said& said) {
    table_->extend(said.sender->definition());
    said.change.key = as_bytes(said.key);
    said.change.cells = said.cells;
    said.change.server_key = said.text;
    const Plan plan = make_plan(said.sender->definition(), table_->layout());
    removed_.clear();
    const Applied applied = table_->apply(plan, said.change, at(now_));
    expect_purged();
    ASSERT_EQ(applied, oracle_.apply(said.sender->definition(), said.change, now_)) << said.key;
    compare(said.key);
  }

  // The wheel tells times in steps.
  std::int64_t step() const { return std::clamp<std::int64_t>(scenario_.expire.count() / 2048, 1, 1000); }

  // The oldest entry goes, unless the sixteen contributions that end first, among which it is looked for, are
  // of others, or their lives are longer than a turn of the wheel.
  void expect_purged() {
    for (const std::string& key : removed_) {
      ASSERT_TRUE(oracle_.entries.contains(key));
      const std::int64_t end = oracle_.end(key);
      for (const auto& [other, entry] : oracle_.entries) {
        if (end <= oracle_.end(other) + step() || ended_before(other) >= 16 || step() == 1000) continue;
        ADD_FAILURE() << key << " was purged, " << other << " is older";
      }
      oracle_.drop_entry(key);
    }
  }
  std::size_t ended_before(const std::string& key) const {
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (const auto& [origin, held] : oracle_.entries.at(key)) first = std::min(first, held.expires);
    std::size_t count = 0;
    for (const auto& [other, entry] : oracle_.entries) {
      for (const auto& [origin, held] : entry)
        count += other != key && held.expires <= first + step() ? 1U : 0U;
    }
    return count;
  }

  void expire(std::size_t limit) {
    removed_.clear();
    const bool done = table_->expire(at(now_), limit);
    if (done) expired_ = now_;
    for (const auto& [key, entry] : std::map(oracle_.entries)) {
      for (const auto& [origin, held] : entry) {
        if (contribution(*table_, key, origin) == kNone) {
          ASSERT_LE(held.expires, now_) << key;
          oracle_.drop_contribution(key, origin);
        } else if (done) {
          ASSERT_GE(held.expires / step(), now_ / step()) << key << " is overdue";
        }
      }
    }
    for (const std::string& key : removed_) ASSERT_FALSE(oracle_.entries.contains(key));
  }

  void publish() {
    std::set<std::string> seen;
    table_->take_changed([&](EntryId entry) {
      const std::string key(as_text(table_->key(entry)));
      EXPECT_TRUE(seen.insert(key).second) << key << " twice";
      if (chance(10)) return;  // a publisher may have no one to send it to
      table_->set_published(entry, 1, table_->end(entry));
      oracle_.published_end[key] = oracle_.end(key);
    });
    EXPECT_EQ(seen, oracle_.changed);
    oracle_.changed.clear();
  }

  void remove() {
    const std::string key = "key" + std::to_string(random_() % scenario_.keys);
    const EntryId entry = table_->find(as_bytes(key));
    ASSERT_EQ(entry != kNone, oracle_.entries.contains(key));
    if (entry == kNone) return;
    table_->remove_entry(entry);
    oracle_.drop_entry(key);
  }

  void purge() {
    removed_.clear();
    ASSERT_EQ(table_->purge_oldest(), !oracle_.entries.empty());
    expect_purged();
  }

  void compare(const std::string& key) {
    const EntryId entry = table_->find(as_bytes(key));
    ASSERT_NE(entry, kNone) << key;
    const TableOracle::Entry& expected = oracle_.entries.at(key);
    ASSERT_EQ(contributions_of(*table_, key), expected.size()) << key;
    for (const Column& column : table_->layout().columns()) {
      for (std::uint32_t element = 0; column.summed && element < column.elements; ++element) {
        const Table::Sum sum = table_->sum(entry, column, element);
        const Wide wanted = oracle_.sum(key, {column.type, element});
        ASSERT_EQ(sum.low, static_cast<std::uint64_t>(wanted)) << key << ' ' << traits(column.type).name;
        ASSERT_EQ(sum.high, static_cast<std::uint64_t>(wanted >> 64U))
            << key << ' ' << traits(column.type).name;
      }
    }
    for (const auto& [origin, held] : expected) {
      const ContributionId id = table_->find(entry, origin);
      ASSERT_NE(id, kNone);
      ASSERT_EQ(table_->version(id), held.version);
      ASSERT_EQ(table_->expires(id), at(held.expires));
      for (const auto& [name, value] : held.values) compare(id, name, value);
    }
  }

  void compare(ContributionId id, const TableOracle::Name& name, const TableOracle::Value& value) {
    const auto& [type, element] = name;
    const Column& column = *table_->layout().find(type);
    ASSERT_EQ(table_->change_number(id, column, element), value.change) << traits(type).name;
    if (column.kind == ValueKind::kRate) {
      const RateValue rate = table_->rate(id, column, element);
      ASSERT_EQ(rate.start, at(value.start));
      ASSERT_EQ(rate.current, value.current);
      ASSERT_EQ(rate.previous, value.previous);
    } else if (column.kind == ValueKind::kDictionary) {
      ASSERT_EQ(table_->text(id, column), value.text);
    } else {
      ASSERT_EQ(table_->number(id, column, element), value.number) << traits(type).name;
    }
  }

  void compare() {
    ASSERT_EQ(table_->entries(), oracle_.entries.size());
    ASSERT_EQ(table_->contributions(), oracle_.contributions());
    ASSERT_EQ(world_.lamport, oracle_.lamport);
    ASSERT_EQ(table_->counters().falls, oracle_.falls);
    ASSERT_EQ(table_->memory(), world_.budget.used());
    std::size_t walked = 0;
    for (EntryId entry = table_->next(0); entry != kNone; entry = table_->next(entry + 1)) ++walked;
    ASSERT_EQ(walked, oracle_.entries.size());
    for (const auto& [key, entry] : oracle_.entries) compare(key);
  }

  void finish() {
    table_->on_removed({});
    table_.reset();
    EXPECT_EQ(world_.budget.used(), 0U);
    // All eight texts were released, so their places are free again.
    for (int count = 0; count < 8; ++count)
      EXPECT_LE(world_.texts.acquire("fresh" + std::to_string(count)), 8U);
  }

  Scenario scenario_;
  std::mt19937 random_;
  World world_;
  std::unique_ptr<Table> table_;
  TableOracle oracle_;
  std::vector<Sender> senders_;
  std::vector<Said> repeated_;
  std::vector<std::string> removed_;
  std::int64_t now_ = 1'000'000;
  std::int64_t expired_ = now_;
};

class TableRandomTest : public testing::TestWithParam<Scenario> {};

TEST_P(TableRandomTest, AgreesWithAnObviousTable) {
  RandomRun(GetParam()).run();
}

INSTANTIATE_TEST_SUITE_P(Seeds, TableRandomTest,
                         testing::Values(Scenario{1, 12000, 40, 4, Duration(3000), 0},
                                         Scenario{2, 12000, 40, 4, Duration(3000), 0},
                                         Scenario{3, 12000, 8, 40, Duration(2000), 0},
                                         Scenario{4, 12000, 300, 2, Duration(60'000), 0},
                                         Scenario{5, 12000, 60, 5, Duration(3000), 25},
                                         Scenario{6, 12000, 60, 5, Duration(20'000), 40},
                                         Scenario{7, 12000, 30, 7, std::chrono::hours(3), 0}),
                         [](const auto& scenario) { return "Seed" + std::to_string(scenario.param.seed); });

}  // namespace
}  // namespace stickmesh::store
