#include "agent/net/descriptors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace stickmesh::net {
namespace {

class DescriptorsTest : public ::testing::Test {
 protected:
  DescriptorsTest() { ::getrlimit(RLIMIT_NOFILE, &before_); }
  ~DescriptorsTest() override { ::setrlimit(RLIMIT_NOFILE, &before_); }

  static rlim_t current() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
  }

  rlimit before_{};
};

TEST_F(DescriptorsTest, RaisesTheSoftLimitAsFarAsTheHardOneAllows) {
  const rlimit low{256, before_.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const std::size_t raised = raise_descriptor_limit();
  EXPECT_EQ(raised, std::min<rlim_t>(before_.rlim_max, 65536));
  EXPECT_EQ(current(), raised);
}

TEST_F(DescriptorsTest, NeverLowersIt) {
  const rlimit all{before_.rlim_max, before_.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &all), 0);
  EXPECT_EQ(raise_descriptor_limit(), before_.rlim_max);
  EXPECT_EQ(current(), before_.rlim_max);
}

}  // namespace
}  // namespace stickmesh::net
