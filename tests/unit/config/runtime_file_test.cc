#include "agent/config/runtime_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace stickmesh::config {
namespace {

class RuntimeFileTest : public ::testing::Test {
 protected:
  RuntimeFileTest() {
    std::string name = ::testing::TempDir() + "stickmesh-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~RuntimeFileTest() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return runtime_path(directory_); }
  void write(const std::string& text) const { std::ofstream(path()) << text; }

  std::string directory_;
};

TEST_F(RuntimeFileTest, NoFileIsAnEmptyOne) {
  EXPECT_EQ(load_runtime(path()), Runtime{});
}

TEST_F(RuntimeFileTest, WhatIsSavedIsLoaded) {
  Runtime runtime;
  runtime.maintenance = {"lb1", "lb\"2"};
  runtime.limits = {{"api", 0xffffffff, true, 1'700'000'000'123}, {"login", std::nullopt, false, 7}};
  ASSERT_TRUE(save_runtime(path(), runtime));
  EXPECT_EQ(load_runtime(path()), runtime);
  ASSERT_TRUE(save_runtime(path(), Runtime{}));
  EXPECT_EQ(load_runtime(path()), Runtime{});
}

TEST_F(RuntimeFileTest, OneOfAnEarlierVersionHasNoLimits) {
  write("maintenance = [ 'lb1' ]\n");
  const auto runtime = load_runtime(path());
  ASSERT_TRUE(runtime);
  EXPECT_EQ(runtime->maintenance, std::vector<std::string>{"lb1"});
  EXPECT_TRUE(runtime->limits.empty());
}

TEST_F(RuntimeFileTest, ADamagedOneIsNamed) {
  write("maintenance = [ 'lb1'\n");
  const auto runtime = load_runtime(path());
  ASSERT_FALSE(runtime);
  EXPECT_NE(runtime.error().detail.find(path()), std::string::npos);
}

}  // namespace
}  // namespace stickmesh::config
