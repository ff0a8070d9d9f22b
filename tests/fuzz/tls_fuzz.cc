// TLS around a session. Bytes of a stranger never reach the session within; between two real ends whatever is
// said arrives in order, and only the whole of what came before a flipped bit. Keys are new in every process,
// so the same input meets other records there.

#include <array>
#include <cstdint>
#include <string>

#include "tests/fuzz/check.h"
#include "tests/unit/tls/authority.h"
#include "tests/unit/tls/ends.h"

namespace {

using namespace stickmesh;
using tls::End;
using tls::Role;

// A batch, what came before it, and answers to one buffer of requests.
constexpr std::size_t kMostOutput = 4 * 65536;

struct Both {
  tls::Authority authority{"fuzz"};
  tls::Files dialling = authority.issue({{"lb1"}});
  tls::Files accepting = authority.issue({{"agent-1"}});
};

const Both& files() {
  static const Both both;
  return both;
}

void check(const End& end) {
  FUZZ_CHECK(end.session->pending().size() <= kMostOutput);
  if (end.error) FUZZ_CHECK(!end.session->wants_input() && end.session->close_reason());
  if (end.inner == nullptr) FUZZ_CHECK(end.script.received.empty());
}

void finish(End& end) {
  const bool began = end.inner != nullptr;
  end.close(end.error.value_or(Error{Reason::kConnectionLost, "cut"}));
  FUZZ_CHECK(began == end.script.end.has_value() && began != end.failed.has_value());
}

void stranger(Role role, Bytes input) {
  End end(role == Role::kAccepting ? files().accepting : files().dialling, role);
  std::string_view bytes = as_text(input);
  while (!bytes.empty() && !end.error) {
    const std::size_t piece = 1 + static_cast<unsigned char>(bytes[0]) % 64;
    end.give(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    check(end);
    end.take();
  }
  FUZZ_CHECK(end.inner == nullptr);
  finish(end);
}

/// Two ends, and a line between them that a test may damage.
class Pair {
 public:
  void run(Bytes commands) {
    for (const std::byte command : commands) step(std::to_integer<unsigned>(command));
    if (!damaged_) drain();
    for (unsigned side = 0; side < 2; ++side) {
      const std::string& heard = ends_[side].script.received;
      FUZZ_CHECK(said_[1 - side].compare(0, heard.size(), heard) == 0);
      if (!damaged_) FUZZ_CHECK(!ends_[side].error && heard == said_[1 - side]);
    }
    for (End& end : ends_) finish(end);
  }

 private:
  void step(unsigned command) {
    const unsigned side = command & 1U;
    const unsigned size = command >> 4U;
    End& end = ends_[side];
    switch (command >> 1U & 7U) {
      case 0:
        return carry(side, std::size_t{1} << size);
      case 1:
        return carry(side, 1 + size);
      case 2:
        return say(side, std::size_t{1} << size);
      case 3:
        end.script.reads = !end.script.reads;
        return;
      case 4:
        flip_ = size == 0 ? 0 : 1U << (size & 7U);
        return;
      case 5:
        if (end.error || end.inner == nullptr) return;
        if (auto alive = end.session->expire(tls::kStart); !alive) end.error = alive.error();
        damaged_ = true;
        return;
      case 6:
        return end.give({});
      default:
        return check(end);
    }
  }

  void say(unsigned side, std::size_t size) {
    End& end = ends_[side];
    if (end.inner == nullptr || (said_[side].size() > 500'000 && size > 1)) return;
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(++count_);
    said_[side] += text;
    end.inner->say(text);
  }

  void carry(unsigned side, std::size_t most) {
    End& from = ends_[side];
    End& to = ends_[1 - side];
    check(from);
    check(to);
    if (!to.session->wants_input()) return;
    std::string bytes(as_text(from.session->pending()));
    bytes.resize(std::min(bytes.size(), most));
    if (bytes.empty()) return;
    from.session->sent(bytes.size(), tls::kStart);
    if (const unsigned flip = std::exchange(flip_, 0); flip != 0) {
      bytes.front() = static_cast<char>(static_cast<unsigned char>(bytes.front()) ^ flip);
      damaged_ = true;
    }
    to.give(bytes);
  }

  void drain() {
    for (End& end : ends_) end.script.reads = true;
    exchange(ends_[0], ends_[1]);
    // One that has kept input goes on when something of its own has left.
    for (unsigned side = 0; side < 2; ++side) say(side, 1);
    exchange(ends_[0], ends_[1]);
  }

  std::array<End, 2> ends_{End(files().dialling, Role::kDialling), End(files().accepting, Role::kAccepting)};
  std::array<std::string, 2> said_;
  unsigned flip_ = 0;
  unsigned count_ = 0;
  bool damaged_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  if (input.empty()) return 0;
  switch (std::to_integer<unsigned>(input[0]) % 3) {
    case 0:
      stranger(Role::kAccepting, input.subspan(1));
      break;
    case 1:
      stranger(Role::kDialling, input.subspan(1));
      break;
    default:
      Pair().run(input.subspan(1));
      break;
  }
  return 0;
}
