// Pattern functions of hooks with any subject, pattern and replacement: captures lie within the subject, and
// as long as the steps are enough, a script sees the same as with Lua's own functions.
//
// Input: | function:1 | number:1 | size of replacement:1 | size of subject:1 | replacement | subject |
// pattern |

#include <algorithm>
#include <array>
#include <cstdint>

#include "agent/base/bytes.h"
#include "agent/lua/pattern.h"
#include "tests/fuzz/check.h"
#include "tests/unit/lua/probe.h"

namespace stickmesh::lua {
namespace {

constexpr std::array kKinds = {"find", "find_plain", "match", "gmatch", "text", "some", "table", "call"};

/// Lua's own functions take as many, but cannot be stopped: what uses these up is not tried with them.
constexpr std::uint64_t kSteps = 20'000;

std::string text(Reader& input, std::size_t size) {
  return std::string(as_text(input.bytes(std::min(size, input.remaining()))));
}

Call call_of(Reader& input) {
  Call call;
  call.kind = kKinds[input.u8() % kKinds.size()];
  call.number = static_cast<std::int8_t>(input.u8());
  const std::size_t replacement = input.u8();
  const std::size_t subject = input.u8();
  call.replacement = text(input, replacement);
  call.subject = text(input, subject);
  call.pattern = text(input, input.remaining());
  return call;
}

void captures_are_within(const Call& call) {
  std::uint64_t steps = kSteps;
  PatternMatcher matcher(call.subject, call.pattern, PatternMatcher::Caret::kAnchors, steps);
  const auto outcome = matcher.search(0);
  FUZZ_CHECK((outcome == PatternMatcher::Outcome::kError) != matcher.error().empty());
  FUZZ_CHECK((steps == 0) <= (matcher.error() == kTooComplex));
  if (outcome != PatternMatcher::Outcome::kMatch) return;
  FUZZ_CHECK(matcher.begin() <= matcher.end() && matcher.end() <= call.subject.size());
  FUZZ_CHECK(matcher.captures() <= PatternMatcher::kMaxCaptures);
  for (std::size_t index = 0; index < matcher.captures(); ++index) {
    const auto capture = matcher.capture(index);
    FUZZ_CHECK(capture && capture->begin >= matcher.begin() && capture->begin <= matcher.end());
    FUZZ_CHECK(capture->size <= matcher.end() - capture->begin);
  }
}

void same_as_stock(const Call& call) {
  static StepBudget budget;
  static Probe ours(&budget);
  static Probe stock;
  budget.left = kSteps;
  const std::string said = ours.call(call);
  FUZZ_CHECK(budget.left != 0 || said.find(kTooComplex) != std::string::npos);
  if (budget.left != 0) FUZZ_CHECK(said == stock.call(call));
}

}  // namespace
}  // namespace stickmesh::lua

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stickmesh;
  Reader input({reinterpret_cast<const std::byte*>(data), size});
  const lua::Call call = lua::call_of(input);
  lua::captures_are_within(call);
  lua::same_as_stock(call);
  return 0;
}
