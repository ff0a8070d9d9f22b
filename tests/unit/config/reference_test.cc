#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "agent/config/not_in_this_build.h"
#include "tests/unit/config/outcome.h"

/// conf/examples/full.toml, of which the manual page is made, says of each key what the parser does: nothing
/// is said twice by hand. packaging/man/make-config-page says how it is written.
namespace stickmesh::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Names = std::set<std::string>;

struct Documented {
  std::string section;  ///< "peers.tls"
  std::string name;
  std::string value;  ///< as it stands in the file
  std::string text;   ///< the comment above
  Names notes;        ///< the parts of the comment beside
  std::size_t line;   ///< counted from 0

  std::string path() const { return section + "." + name; }
  bool required() const { return notes.count("*") != 0; }
  bool is_example() const {
    return required() || std::any_of(notes.begin(), notes.end(),
                                     [](const std::string& note) { return note.rfind("default: ", 0) == 0; });
  }
};

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (std::size_t end; (end = text.find(separator, at)) != std::string::npos; at = end + separator.size())
    parts.push_back(text.substr(at, end - at));
  parts.push_back(text.substr(at));
  return parts;
}

/// The whole file, by lines, as a test may change them.
class Reference : public testing::Test {
 protected:
  Reference() {
    std::ifstream file(STICKMESH_CONF_DIR "/examples/full.toml");
    for (std::string line; std::getline(file, line);) take(line);
  }

  static std::string joined(const std::vector<std::string>& lines) {
    return fmt::format("{}\n", fmt::join(lines, "\n"));
  }
  std::string with(const Documented& key, const std::string& value) const {
    std::vector<std::string> lines = lines_;
    lines[key.line] = fmt::format("{} = {}", key.name, value);
    return joined(lines);
  }
  std::string without(const Documented& key) const {
    std::vector<std::string> lines = lines_;
    lines[key.line].clear();
    return joined(lines);
  }

  /// What is found about |key| alone when it has |value|: others may depend on it.
  std::string complaint(const Documented& key, const std::string& value) const {
    for (const std::string& finding : findings(with(key, value))) {
      const std::size_t begin = finding.find(' ') + 1;
      if (finding.compare(begin, key.path().size() + 2, key.path() + ": ") == 0) return finding;
    }
    return {};
  }

  /// The keys that the parser asks for in a section: it names them when there is another one.
  Names known(const std::string& section) const {
    std::vector<std::string> lines = lines_;
    const std::size_t at = section.empty() ? 0 : headers_.at(section) + 1;
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), "zzz = 1");
    return listed_in(joined(lines));
  }
  static Names listed_in(const std::string& text) {
    for (const std::string& finding : findings(text)) {
      const std::size_t list = finding.find("unknown key; known are ");
      if (list == std::string::npos) continue;
      const std::vector<std::string> names = split(finding.substr(list + 23), ", ");
      return {names.begin(), names.end()};
    }
    return {};
  }

  std::vector<std::string> lines_;
  std::map<std::string, std::size_t> headers_;  ///< line by section
  std::vector<Documented> keys_;
  std::string head_;  ///< the comments before the first section

 private:
  void take(const std::string& line) {
    static const std::regex kHeader(R"(\[+([a-z.-]+)\]+)");
    static const std::regex kKey(R"re(([a-z-]+) = ((?:"[^"]*"|[^"#])*?)(?:\s+# (.+))?)re");
    const std::size_t number = lines_.size();
    lines_.push_back(line);
    std::smatch found;
    if (!line.empty() && line[0] == '#') {
      comment_ += line.substr(1);
      if (headers_.empty()) head_ += line;
      return;
    }
    if (std::regex_match(line, found, kHeader)) {
      section_ = found[1];
      headers_[section_] = number;
    } else if (std::regex_match(line, found, kKey)) {
      const std::vector<std::string> notes = split(found[3], "; ");
      keys_.push_back({section_, found[1], found[2], comment_, {notes.begin(), notes.end()}, number});
    } else {
      EXPECT_EQ(line, "");
    }
    comment_.clear();
  }

  std::string section_;
  std::string comment_;
};

TEST_F(Reference, HasTheKeysThatTheParserKnowsAndNoOther) {
  ASSERT_TRUE(parse_config(joined(lines_), "full.toml"));
  std::map<std::string, Names> written;
  for (const auto& [section, line] : headers_) {
    const std::size_t dot = section.rfind('.');
    written[dot == std::string::npos ? "" : section.substr(0, dot)].insert(section.substr(dot + 1));
    written[section];
  }
  for (const Documented& key : keys_) written[key.section].insert(key.name);
  for (const auto& [section, names] : written) EXPECT_EQ(names, known(section)) << "[" << section << "]";
}

TEST_F(Reference, NamesWhatAListenerIsWrittenWith) {
  const Names names = listed_in(R"(peers.listen = [{ path = "/run/x.sock", zzz = 1 }])");
  EXPECT_EQ(names, (Names{"group", "mode", "path"}));
  for (const std::string& name : names) EXPECT_THAT(head_, HasSubstr(" " + name + " = "));
}

TEST_F(Reference, SetsEachKeyToItsDefaultUnlessItSaysOtherwise) {
  const Config whole = config_of(joined(lines_));
  for (const Documented& key : keys_) {
    if (key.required()) continue;
    const Config less = config_of(without(key));
    EXPECT_EQ(less == whole, !key.is_example()) << key.path() << " = " << key.value;
  }
}

TEST_F(Reference, MarksTheKeysThatMustBeGiven) {
  for (const Documented& key : keys_) {
    const std::string text = without(key);
    const std::vector<std::string> found = findings(text);
    const bool missed = std::any_of(found.begin(), found.end(), [&](const std::string& finding) {
      return finding.find(key.path() + ": is missing") != std::string::npos;
    });
    EXPECT_EQ(missed, key.required()) << key.path();
  }
}

// What none of them may be, whatever its type: the answer is in the words of that type.
constexpr const char* kFarTooMuch[] = {"99999999999", "\"2147483647ms\"", "\"9000000TiB\""};
const std::regex kRange(R"((\d+\w*) to (\d+\w*))");

TEST_F(Reference, HasTheRangesThatTheParserHas) {
  std::size_t ranges = 0;
  for (const Documented& key : keys_) {
    Names said;
    for (const std::string& note : key.notes) {
      if (std::regex_match(note, kRange)) said.insert(note);
    }
    Names kept;
    for (const char* value : kFarTooMuch) {
      static const std::regex kComplaint(R"(.* must be (\d+\w* to \d+\w*))");
      const std::string complaint = this->complaint(key, value);
      std::smatch found;
      if (std::regex_match(complaint, found, kComplaint)) kept.insert(found[1]);
    }
    EXPECT_EQ(said, kept) << key.path();
    ranges += said.size();
  }
  EXPECT_GT(ranges, 10U);
}

/// Values at the ends of a range, and the ones beyond.
struct Ends {
  std::vector<std::string> inside, outside;
};

Ends ends_of(const std::string& least, const std::string& most) {
  Ends ends;
  const auto add = [&ends](const std::string& format, std::uint64_t low, std::uint64_t high) {
    const auto write = [&](std::uint64_t value) { return fmt::format(fmt::runtime(format), value); };
    ends.inside = {write(low), write(high)};
    ends.outside = {write(high + 1)};
    if (low > 0) ends.outside.push_back(write(low - 1));
  };
  if (most.find("iB") != std::string::npos) {
    add("{}", *parse_size(least), *parse_size(most));
  } else if (const auto time = parse_duration(most)) {
    add("\"{}ms\"", static_cast<std::uint64_t>(parse_duration(least)->count()),
        static_cast<std::uint64_t>(time->count()));
  } else {
    add("{}", std::stoull(least), std::stoull(most));
  }
  return ends;
}

TEST_F(Reference, TheEndsOfARangeAreTakenAndWhatIsBeyondIsNot) {
  for (const Documented& key : keys_) {
    for (const std::string& note : key.notes) {
      std::smatch range;
      if (!std::regex_match(note, range, kRange)) continue;
      const Ends ends = ends_of(range[1], range[2]);
      for (const std::string& value : ends.inside)
        EXPECT_THAT(complaint(key, value), testing::Not(HasSubstr(" must be "))) << value;
      for (const std::string& value : ends.outside)
        EXPECT_THAT(complaint(key, value), HasSubstr(" must be " + note)) << value;
    }
  }
}

TEST_F(Reference, HasTheWordsAmongWhichTheParserLetsChoose) {
  static const std::regex kWords(R"([a-z]+(, [a-z]+)+)");
  std::size_t choices = 0;
  for (const Documented& key : keys_) {
    Names said;
    for (const std::string& note : key.notes) {
      if (std::regex_match(note, kWords)) said.insert(note);
    }
    Names taken;
    const std::string complaint = this->complaint(key, "\"zzz\"");
    const std::size_t list = complaint.find(" is none of \"");
    if (list != std::string::npos) {
      const std::string words = complaint.substr(list + 13, complaint.size() - list - 14);
      taken.insert(fmt::format("{}", fmt::join(split(words, "\", \""), ", ")));
    }
    EXPECT_EQ(said, taken) << key.path();
    choices += said.size();
  }
  EXPECT_GT(choices, 4U);
}

TEST_F(Reference, SaysOfWhichKeysThisBuildMakesNoUse) {
  Names said;
  for (const Documented& key : keys_) {
    if (key.text.rfind(" Not in this build:", 0) == 0) said.insert(key.path());
  }
  EXPECT_EQ(said, Names(std::begin(kNotInThisBuild), std::end(kNotInThisBuild)));
}

}  // namespace
}  // namespace stickmesh::config
