#include "agent/daemon/state_dir.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/unit/net/fixture.h"

namespace stickmesh::daemon {
namespace {

using ::testing::HasSubstr;

TEST(StateDirTest, OnlyADirectoryWillDo) {
  const net::TemporaryDirectory directory;
  EXPECT_TRUE(check_state_dir(directory.file("")));
  const auto missing = check_state_dir(directory.file("missing"));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().detail, HasSubstr("create it"));
  std::ofstream(directory.file("file")) << "x";
  const auto file = check_state_dir(directory.file("file"));
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().detail, HasSubstr("name a directory"));
}

}  // namespace
}  // namespace stickmesh::daemon
