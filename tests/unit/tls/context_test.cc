#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/unit/tls/authority.h"

namespace stickmesh::tls {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string problem(const Files& files) {
  const auto context = Context::load(files);
  return context ? "" : context.error().detail;
}

TEST(ContextTest, GoodFilesAreTaken) {
  Authority authority("ca");
  const Files files = authority.issue({{"agent-1"}});
  const auto context = Context::load(files);
  ASSERT_TRUE(context) << context.error().detail;
  EXPECT_TRUE((*context)->verifies());
  EXPECT_THAT((*context)->doubts("agent-1"), IsEmpty());
  EXPECT_THAT((*context)->doubts("AGENT-1"), IsEmpty());
}

TEST(ContextTest, TheKeyMayBeInTheFileOfTheCertificate) {
  Authority authority("ca");
  Files files = authority.issue({{"agent-1"}});
  std::string both;
  for (const std::string& path : {files.cert, files.key}) {
    std::FILE* file = std::fopen(path.c_str(), "r");
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) both += static_cast<char>(c);
    std::fclose(file);
  }
  files.cert = authority.path("both.pem");
  files.key.clear();
  write_file(files.cert, both);
  EXPECT_EQ(problem(files), "");
}

TEST(ContextTest, SaysWhichFileIsMissing) {
  Authority authority("ca");
  const Files good = authority.issue({{"agent-1"}});
  Files files = good;
  files.cert = "/nowhere/cert.pem";
  EXPECT_EQ(problem(files), "cert: /nowhere/cert.pem: No such file or directory");
  files = good;
  files.key = "/nowhere/key.pem";
  EXPECT_EQ(problem(files), "key: /nowhere/key.pem: No such file or directory");
  files = good;
  files.ca = "/nowhere/ca.pem";
  EXPECT_EQ(problem(files), "ca: /nowhere/ca.pem: No such file or directory");
  files.verify = false;
  EXPECT_EQ(problem(files), "");
}

TEST(ContextTest, SaysWhichFileMayNotBeRead) {
  Authority authority("ca");
  const Files files = authority.issue({{"agent-1"}});
  ::chmod(authority.path("").c_str(), 0755);
  ::chmod(files.key.c_str(), 0);
  // Root reads everything.
  const uid_t user = ::geteuid();
  ASSERT_EQ(::seteuid(user == 0 ? 65534 : user), 0);
  const std::string said = problem(files);
  ASSERT_EQ(::seteuid(user), 0);
  EXPECT_THAT(said, AllOf(StartsWith("key: "), HasSubstr("let the user of stickmeshd read it")));
}

TEST(ContextTest, SaysWhichFileHoldsSomethingElse) {
  Authority authority("ca");
  const Files good = authority.issue({{"agent-1"}});
  const std::string text = authority.path("text.pem");
  write_file(text, "this is no PEM\n");
  Files files = good;
  files.cert = text;
  EXPECT_THAT(problem(files), StartsWith("cert: " + text + ": no usable certificate in PEM format"));
  files = good;
  files.key = text;
  EXPECT_THAT(problem(files), StartsWith("key: " + text + ": no usable private key in PEM format"));
  files = good;
  files.ca = text;
  EXPECT_THAT(problem(files), StartsWith("ca: " + text + ": no certificate of an authority"));
  files.ca = good.key;
  EXPECT_THAT(problem(files), StartsWith("ca: " + good.key + ": no certificate of an authority"));
}

TEST(ContextTest, AKeyOfAnotherCertificateIsRefused) {
  Authority authority("ca");
  Files files = authority.issue({{"agent-1"}});
  const Files other = authority.issue({{"agent-1"}});
  files.key = other.key;
  EXPECT_EQ(problem(files), "key: " + other.key + ": is not the key of the certificate in " + files.cert);
}

TEST(ContextTest, AnEncryptedKeyIsRefusedWithoutAskingForAPassphrase) {
  Authority authority("ca");
  Files files = authority.issue({{"agent-1"}});
  const std::string encrypted = authority.path("encrypted.pem");
  const std::string command =
      "openssl ec -aes128 -passout pass:secret -in " + files.key + " -out " + encrypted + " 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  files.key = encrypted;
  EXPECT_THAT(problem(files), AllOf(StartsWith("key: "), HasSubstr("without a passphrase")));
}

TEST(ContextTest, DoubtsWhatOthersWillRefuse) {
  Authority authority("ca");
  const auto doubts = [&](const Wanted& wanted) {
    return (*Context::load(authority.issue(wanted)))->doubts("agent-1");
  };
  EXPECT_THAT(doubts({{"agent-2"}}), ElementsAre(HasSubstr("subjectAltName = DNS:agent-1")));
  EXPECT_THAT(doubts({{"*"}}), ElementsAre(HasSubstr("subjectAltName = DNS:agent-1")));
  EXPECT_THAT(doubts({{}, seconds(-60), seconds(60), {}, "agent-1"}), ElementsAre(HasSubstr("DNS:agent-1")));
  EXPECT_THAT(doubts({{"agent-1"}, seconds(-60), seconds(-30)}), ElementsAre(HasSubstr("has expired at 20")));
  EXPECT_THAT(doubts({{"agent-1"}, seconds(60), seconds(90)}), ElementsAre(HasSubstr("not valid before 20")));
  EXPECT_THAT(doubts({{"agent-1"}, seconds(-60), seconds(60), "serverAuth"}),
              ElementsAre(HasSubstr("is not for clientAuth")));
  EXPECT_THAT(doubts({{"agent-1"}, seconds(-60), seconds(60), "serverAuth,clientAuth"}), IsEmpty());
}

}  // namespace
}  // namespace stickmesh::tls
