#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "agent/snapshot/file.h"
#include "fixture.h"

namespace stickmesh::snapshot {
namespace {

const TableDefinition kTable = table_of("http", {{DataType::kGpt0}, {DataType::kGpc0}});

class DamageTest : public testing::Test {
 protected:
  DamageTest() {
    char name[] = "/tmp/snapshot-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = snapshot_path(directory_);
    tell(before_, "lb1", kTable, "joe", {1, 1}, {1, 5}, kStart);
  }
  ~DamageTest() override {
    for (const char* end : {"", ".refused", ".new"}) ::unlink((path_ + end).c_str());
    ::rmdir(directory_.c_str());
  }
  void write(Bytes file) const { std::ofstream(path_, std::ios::binary) << as_text(file); }
  std::string read(const std::string& path) const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  bool exists(const char* end) const { return ::access((path_ + end).c_str(), F_OK) == 0; }
  /// Why the file is refused; it must have changed nothing, and lie aside.
  std::string refusal() {
    const Result<bool> loaded = load(path_, after_.hub, kStart);
    EXPECT_FALSE(loaded.has_value());
    EXPECT_TRUE(after_.registry.tables().empty());
    EXPECT_EQ(after_.peer("lb1").last_seen, TimePoint{});
    EXPECT_FALSE(exists(""));
    EXPECT_TRUE(exists(".refused"));
    return loaded ? "" : to_string(loaded.error());
  }

  Agent before_{setup_at(kWall)};
  Agent after_{setup_at(kWall)};
  std::string directory_;
  std::string path_;
};

TEST_F(DamageTest, WhatWasSavedIsLoaded) {
  ASSERT_TRUE(save(path_, before_.hub, kStart).has_value());
  EXPECT_FALSE(exists(".new"));
  ASSERT_TRUE(load(path_, after_.hub, kStart).has_value());
  EXPECT_EQ(contents(after_, kStart), contents(before_, kStart));
  EXPECT_TRUE(exists("")) << "until the next takes its place";
}

TEST_F(DamageTest, NoFileIsNothingToLoad) {
  EXPECT_TRUE(load(path_, after_.hub, kStart).has_value());
}

TEST_F(DamageTest, EveryTruncationIsFoundOut) {
  const auto file = snapshot_of(before_, kStart);
  Receiver nobody;
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_FALSE(decode(Bytes(file).first(size), nobody).has_value()) << size;
  EXPECT_TRUE(decode(file, nobody).has_value());
  write(Bytes(file).first(file.size() / 2));
  EXPECT_NE(refusal().find("it was cut off after"), std::string::npos);
}

TEST_F(DamageTest, EveryFlippedBitIsFoundOut) {
  auto file = snapshot_of(before_, kStart);
  Receiver nobody;
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    file[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode(file, nobody).has_value()) << "byte " << bit / 8;
    file[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  file[file.size() / 2] ^= std::byte{4};
  write(file);
  EXPECT_NE(refusal().find("checksum"), std::string::npos);
}

TEST_F(DamageTest, AnotherAgentsSnapshotIsRefused) {
  pipeline::HubSetup setup = setup_at(kWall);
  setup.agent_name = "agent-2";
  Agent other(std::move(setup));
  tell(other, "lb1", kTable, "joe", {1, 1}, {1, 5}, kStart);
  const auto file = snapshot_of(other, kStart);
  write(file);
  const std::string said = refusal();
  EXPECT_NE(said.find("it is the agent agent-2's, and this one is called agent-1"), std::string::npos)
      << said;
  EXPECT_NE(said.find(path_ + ".refused"), std::string::npos) << said;
  EXPECT_EQ(read(path_ + ".refused"), as_text(file));
}

TEST_F(DamageTest, ALaterFormatIsRefusedAsSuch) {
  auto file = snapshot_of(before_, kStart);
  file[1 + kMagic.size()] = std::byte{kFormat + 1};
  write(file);
  EXPECT_NE(refusal().find("it has format 2, and this version knows formats up to 1"), std::string::npos);
}

TEST_F(DamageTest, WhatIsNoSnapshotAtAllIsRefused) {
  write(as_bytes("maintenance = []\n"));
  EXPECT_NE(refusal().find("does not begin as a snapshot does"), std::string::npos);
  write({});
  EXPECT_NE(refusal().find("it is empty"), std::string::npos);
}

TEST_F(DamageTest, WhatCannotBeReadIsSetAsideAsWell) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  EXPECT_NE(refusal().find("cannot be read"), std::string::npos);
  ::rmdir((path_ + ".refused").c_str());
}

TEST_F(DamageTest, WithoutTheDirectoryTheErrorSaysWhatToLookAt) {
  const auto saved = save(directory_ + "/missing/snapshot.msgpack", before_.hub, kStart);
  ASSERT_FALSE(saved.has_value());
  EXPECT_NE(saved.error().detail.find("check [agent] state-dir"), std::string::npos);
}

}  // namespace
}  // namespace stickmesh::snapshot
