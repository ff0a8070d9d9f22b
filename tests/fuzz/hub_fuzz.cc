// A whole agent without sockets: whatever one instance sends, the contributions of the others stay as they
// are, their sessions stay up and their totals are right. lb2, lb3 and the agent itself are well-behaved, a
// plain model says what they said; lb1 sends the input.
//
// Input: | options:1 | bytes of lb1, cut by 0xfe commands |. Options: bit 0, its first session is dialled by
// the agent; bit 1, memory is short; bit 2, strangers are accepted; bit 3, its first session begins with a
// good greeting. A command is 0xfe and a byte: 0xfe stands for itself; otherwise the low three bits choose
// what happens before the next piece, and the others how much of it.

#include <fmt/format.h>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/admin/commands.h"
#include "agent/base/log.h"
#include "agent/pipeline/hub.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/hub_ends.h"
#include "tests/fuzz/hub_model.h"

namespace stickmesh::pipeline {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};
/// Long enough for every contribution to expire; short enough for many inputs a second.
constexpr Duration kLongest = std::chrono::seconds(120);
constexpr std::size_t kMostSessions = 4;
constexpr const char* kKeys[] = {"joe", "amy", "u1", "u2", "eve", "pushed", "a1", "b1"};

TableDefinition table(const std::string& name, Duration expire, std::vector<StoredType> types) {
  return {name, KeyType::kString, 17, expire, std::move(types)};
}

const TableDefinition kHttp = table("/http", std::chrono::seconds(40),
                                    {{DataType::kGpt0, 1, {}},
                                     {DataType::kConnCur, 1, {}},
                                     {DataType::kHttpReqCnt, 1, {}},
                                     {DataType::kHttpReqRate, 1, std::chrono::seconds(10)},
                                     {DataType::kBytesInCnt, 1, {}}});
const TableDefinition kHttpTotal =
    table("/http.total", kHttp.expire, {{DataType::kGpt0, 1, {}}, {DataType::kHttpReqCnt, 1, {}}});
const TableDefinition kArr = table("/arr", Duration(0),
                                   {{DataType::kServerKey, 1, {}},
                                    {DataType::kGpt, 3, {}},
                                    {DataType::kGpc, 2, {}},
                                    {DataType::kGpcRate, 2, std::chrono::seconds(5)}});
const TableDefinition kArrTotal = table("/arr.total", Duration(0), kArr.types);
const TableDefinition kStatus{"/stickmesh",
                              KeyType::kString,
                              65,
                              std::chrono::seconds(2),
                              {{DataType::kGpt0, 1, {}}, {DataType::kGpc0, 1, {}}, {DataType::kGpc1, 1, {}}}};
const TableDefinition kSessions = table("/sessions", std::chrono::seconds(30), {{DataType::kGpt0, 1, {}}});
const TableDefinition kOwn =
    table("/http", kHttp.expire, {{DataType::kGpt0, 1, {}}, {DataType::kHttpReqCnt, 1, {}}});

class NoRestarts final : public admin::SoftRestart {
 public:
  Result<std::uint64_t> begin() override { return 0; }
  std::optional<Result<std::string>> ended(std::uint64_t) const override { return "not here"; }
};

class Play {
 public:
  explicit Play(std::uint8_t options)
      : short_((options & 2U) != 0),
        rules_({{Pattern("*"), Pattern("*.total")}}, {"stickmesh", "limits"}, {Pattern("sessions")}),
        registry_(rules_, std::size_t{1} << (short_ ? 22U : 28U), 16, 42),
        hub_(setup((options & 4U) != 0), registry_, errors_),
        commands_(hub_, restarts_, kStart),
        model_(registry_, short_) {
    hub_.set_wakeup([this] { woken_ = true; });
    for (int number = 2; number <= 3; ++number) {
      Neighbour& neighbour =
          neighbours_.emplace_back(hub_, fmt::format("lb{}", number), 20, source(number), now_);
      settle();
      neighbour.announce(1, kHttp);
      neighbour.announce(2, kArr);
      neighbour.announce(3, kHttpTotal);
      neighbour.announce(4, kArrTotal);
      neighbour.announce(5, kStatus);
      neighbour.push(6, kSessions, "joe", {{7}, {}});
      settle();
    }
    for (unsigned step = 0; step < 8; ++step) have_neighbour_push(step * 5);
    set_own(1);
    connect((options & 1U) != 0, (options & 8U) != 0, 1);
  }
  ~Play() {
    for (End& end : attackers_) end.finish({Reason::kConnectionLost, {}}, now_);
    for (Neighbour& neighbour : neighbours_) neighbour.leave(now_);
  }

  void run(Reader& input) {
    std::vector<std::byte> piece;
    while (input.remaining() > 0) {
      const std::uint8_t byte = input.u8();
      const std::uint8_t command = byte == 0xfe ? input.u8() : 0xfe;
      if (command == 0xfe) {
        piece.push_back(static_cast<std::byte>(byte));
        continue;
      }
      send(piece);
      piece.clear();
      act(command);
      check();
    }
    send(piece);
    check();
    finish();
  }

 private:
  /// Each instance may come from its own host only, as a stranger from none.
  HubSetup setup(bool accept_unknown) {
    HubSetup setup;
    setup.agent_name = "agent";
    setup.config_file = "stickmesh.toml";
    setup.accept_unknown = accept_unknown;
    setup.wall_clock = [this] { return std::chrono::system_clock::time_point(now_.time_since_epoch()); };
    for (int number = 1; number <= 3; ++number) {
      setup.peers.push_back(
          {fmt::format("lb{}", number), PeerKind::kHaproxy, source(number).text, source(number).host, 7});
    }
    setup.allowed_from = [](const Source&) { return false; };
    return setup;
  }
  static Source source(int number) {
    const std::string host = fmt::format("192.0.2.{}", number);
    return {host + ":10000", host};
  }
  Peer& peer(const std::string& name) {
    for (Peer& peer : hub_.peers()) {
      if (peer.setup.name == name) return peer;
    }
    FUZZ_CHECK(false);
    std::abort();
  }

  // --- lb1

  void connect(bool dialled, bool greet, unsigned pid) {
    if (attackers_.size() >= kMostSessions) reset();
    attackers_.emplace_back(hub_,
                            dialled ? hub_.dial(peer("lb1"), source(1), now_) : hub_.accept(source(1), now_));
    if (!greet) return;
    const std::string hello = fmt::format("HAProxyS 2.1\nagent\nlb1 {} 1\n", pid);
    const Bytes greeting = as_bytes(dialled ? std::string_view("200\n") : std::string_view(hello));
    send({greeting.begin(), greeting.end()});
  }
  void reset() {
    if (attackers_.empty()) return;
    attackers_.front().finish({Reason::kConnectionLost, {}}, now_);
    attackers_.pop_front();
  }
  /// On its newest session.
  void send(const std::vector<std::byte>& piece) {
    if (attackers_.empty()) return;
    attackers_.back().write(piece);
    settle();
  }

  // --- the others

  void have_neighbour_push(unsigned choice) {
    Neighbour& neighbour = choice % 2 == 0 ? neighbours_.front() : neighbours_.back();
    const store::OriginId origin = peer(choice % 2 == 0 ? "lb2" : "lb3").origin;
    const std::string key = kKeys[choice / 4 % std::size(kKeys)];
    const std::uint64_t number = ++pushes_ * 7;
    Values values;
    if (choice / 2 % 2 == 0) {
      values.cells = {number % 3, number, number * 1000, number, 3 * number, 5, number << 40U};
      neighbour.push(1, kHttp, key, values);
    } else {
      values.cells = {1, number, 2, 3, number % 2, 4, number, 1, 2, 9000, number, 6};
      values.text = fmt::format("server{}", number % 5);
      neighbour.push(2, kArr, key, values);
    }
    settle();
    model_.said(origin, choice / 2 % 2 == 0 ? kHttp : kArr, key, values, now_);
  }
  void set_own(unsigned choice) {
    const std::string key = kKeys[choice % std::size(kKeys)];
    const std::uint64_t number = ++pushes_;
    read(fmt::format("set table http key {} data.gpt0 {} data.http_req_cnt {}", key, number, number * 3));
    settle();
    model_.said(hub_.own_origin(), kOwn, key, {{number, number * 3}, {}}, now_);
  }
  void clear(const std::string& key) {
    read(fmt::format("clear table http key {}", key));
    settle();
    model_.cleared("http", key);
  }
  void read(const std::string& command) {
    kept_ = commands_.run(command, now_);
    read_on();
  }
  void read_on() {
    if (!kept_) return;
    std::string text;
    for (int pieces = 0; kept_->more(text, now_); ++pieces) FUZZ_CHECK(pieces < 1000);
    FUZZ_CHECK(!text.empty());
    kept_.reset();
  }

  // --- time

  void act(std::uint8_t command) {
    const unsigned amount = command >> 3U;
    switch (command & 7U) {
      case 0:
        return pass(Duration(amount * 100));
      case 1:
        return pass(Duration(amount * 1000));
      case 2:
        if (!attackers_.empty()) attackers_.back().take(amount * 64, now_);
        return settle();
      case 3:
        for (End& end : attackers_) end.take(std::size_t{1} << 30U, now_);
        return settle();
      case 4:
        reset();
        return connect((amount & 1U) != 0, (amount & 2U) != 0, amount >> 2U);
      case 5:
        return connect((amount & 1U) != 0, (amount & 2U) != 0, amount >> 2U);
      case 6:
        return have_neighbour_push(amount);
      case 7:
        return operate(amount);
    }
  }
  void operate(unsigned amount) {
    static constexpr const char* kCommands[] = {"show peers lb1",     "show table http origins",
                                                "show errors",        "set peer lb1 maint",
                                                "set peer lb1 ready", "clear table sessions"};
    if (amount < 8) return set_own(amount);
    if (amount < 8 + std::size(kCommands)) return read(kCommands[amount - 8]);
    if (amount >= 24) return clear(kKeys[amount - 24]);
    // Begun now, read after whatever happens in between.
    if (!kept_) {
      kept_ = commands_.run("show table http.total data.http_req_cnt ge 1 origins json", now_);
    } else {
      read_on();
    }
  }

  void settle() {
    for (int rounds = 0;; ++rounds) {
      FUZZ_CHECK(rounds < 2000);
      bool moved = false;
      for (Neighbour& neighbour : neighbours_) moved |= neighbour.exchange(now_);
      for (End& end : attackers_) moved |= end.read(now_);
      if (std::exchange(woken_, false) || (run_due_ && *run_due_ <= now_)) {
        run_due_ = hub_.run(now_);
        moved = true;
      }
      if (!moved) break;
    }
    attackers_.remove_if([](const End& end) { return !end.open(); });
  }

  void pass(Duration time) {
    const TimePoint until = std::min(now_ + time, kStart + kLongest);
    for (int rounds = 0;; ++rounds) {
      FUZZ_CHECK(rounds < 20'000);
      const TimePoint next = next_deadline();
      if (next > until) break;
      now_ = std::max(now_, next);
      for (Neighbour& neighbour : neighbours_) neighbour.keep_time(now_);
      for (End& end : attackers_) end.keep_time(now_);
      settle();
    }
    now_ = std::max(now_, until);
    settle();
  }
  TimePoint next_deadline() const {
    TimePoint next = run_due_.value_or(TimePoint::max());
    for (const Neighbour& neighbour : neighbours_)
      next = std::min(next, neighbour.deadline().value_or(TimePoint::max()));
    for (const End& end : attackers_) next = std::min(next, end.deadline().value_or(TimePoint::max()));
    return next;
  }

  // --- what must be true

  void check() {
    model_.check(now_);
    model_.check_totals(now_);
    for (const Neighbour& neighbour : neighbours_) FUZZ_CHECK(neighbour.up());
    FUZZ_CHECK(registry_.budget().used() <= registry_.budget().limit());
  }

  void finish() {
    const std::uint64_t heartbeats = neighbours_.front().heartbeats();
    const TimePoint until = now_ + Duration(2500);
    while (now_ < until) {
      // Past the end of the play's time, too.
      now_ += Duration(50);
      for (Neighbour& neighbour : neighbours_) neighbour.keep_time(now_);
      for (End& end : attackers_) end.keep_time(now_);
      settle();
    }
    check();
    FUZZ_CHECK(neighbours_.front().heartbeats() >= heartbeats + 2);
    for (const char* command : {"show info", "show peers", "show tables", "show errors"}) read(command);
    for (const auto& [name, record] : registry_.tables()) {
      for (const char* form : {"", " origins json"}) read(fmt::format("show table {}{}", name, form));
    }
    check_received();
    check_mark();
  }
  /// lb2 has been told the totals of all keys that the well-behaved use. What has expired this very moment is
  /// still to be taken out, and told then.
  void check_received() {
    const store::Table& http = *registry_.find("http")->table;
    aggregate::Totals totals(http);
    model_.for_each_key("http", [&](const std::string& key) {
      const store::EntryId entry = http.find(as_bytes(key));
      for (store::ContributionId id = http.first(entry); id != store::kNone; id = http.following(id)) {
        if (!http.live(id, now_)) return;
      }
      const std::vector<std::uint64_t>* got = neighbours_.front().total("/http.total", key);
      FUZZ_CHECK(got != nullptr);
      for (const std::size_t cell : {0U, 1U}) {
        const store::Column& column = *http.layout().find(kHttpTotal.types[cell].type);
        FUZZ_CHECK((*got)[cell] == totals.number(entry, column, 0, now_));
      }
    });
  }

  /// lb2 knows that the total is current, and that the two well-behaved are there.
  void check_mark() {
    const std::vector<std::uint64_t>* mark = neighbours_.front().total("/stickmesh", "http.total");
    FUZZ_CHECK(mark != nullptr);
    FUZZ_CHECK(std::chrono::seconds((*mark)[0]) >= now_.time_since_epoch());
    FUZZ_CHECK((*mark)[1] >= 2 && (*mark)[1] <= (*mark)[2] && (*mark)[2] <= 3);
  }

  TimePoint now_ = kStart;
  bool short_;
  ErrorLog errors_;
  Rules rules_;
  Registry registry_;
  Hub hub_;
  NoRestarts restarts_;
  admin::Commands commands_;
  Model model_;
  std::list<Neighbour> neighbours_;
  std::list<End> attackers_;  ///< the sessions of lb1, which says what the input has it say
  std::unique_ptr<admin::Answer> kept_;
  bool woken_ = false;
  std::optional<TimePoint> run_due_;
  std::uint64_t pushes_ = 0;
};

}  // namespace
}  // namespace stickmesh::pipeline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stickmesh;
  log::configure(log::Level::kError, log::Target::kStderr);
  Reader input({reinterpret_cast<const std::byte*>(data), std::min<std::size_t>(size, 4096)});
  const std::uint8_t options = input.u8();
  pipeline::Play(options).run(input);
  return 0;
}
