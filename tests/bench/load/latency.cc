#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "tests/bench/load/modes.h"
#include "tests/bench/load/runtime_socket.h"

namespace stickmesh::bench {

namespace {

using std::chrono::steady_clock;

constexpr Duration kLastWait{60'000};
// So much fits into the socket, and its answers are read before the next.
constexpr std::uint32_t kAtOnce = 100;

struct Sent {
  std::uint32_t sequence;
  steady_clock::time_point when;
};

class Latency final : public Run {
 public:
  Latency(Target target, LatencyOptions options)
      : Run(std::move(target)),
        options_(std::move(options)),
        next_(loop(), [this] { step(); }),
        maker_(this->target().tables.front(), 1),
        waiting_(options_.burst ? options_.updates : options_.keys) {}

 private:
  void prepare() override {
    if (!options_.runtime.empty()) {
      auto opened = RuntimeSocket::open(loop(), options_.runtime);
      if (!opened) return fail(to_string(opened.error()));
      runtime_ = std::move(*opened);
    }
    for (LoadPeer& peer : peers()) {
      peer.on_ready = [this] {
        if (++ready_ == peers().size()) step();
      };
    }
    LoadPeer& observer = peers().back();
    observer.on_established = [&observer] { observer.ask_lesson(); };
    observer.on_update = [this](std::string_view table, const peers::Update& update) {
      if (table == options_.table) seen(update);
    };
  }

  void step() {
    if (sequence_ == options_.updates) return done();
    for (std::uint32_t left = options_.burst ? kAtOnce : 1; left != 0 && sequence_ != options_.updates;
         --left)
      change();
    const bool last = sequence_ == options_.updates;
    const Duration gap(
        options_.burst ? 0 : 1 + static_cast<std::uint32_t>(random_()) % (2 * options_.gap_ms - 1));
    loop().refresh();
    next_.set(loop().now() + (last ? kLastWait : gap));
  }

  void change() {
    const std::uint32_t index =
        options_.burst ? sequence_ : static_cast<std::uint32_t>(random_()) % options_.keys;
    ++sequence_;
    waiting_[index].push_back({sequence_, steady_clock::now()});
    if (runtime_) {
      runtime_->send(fmt::format("set table {} key {} data.gpc0 {}", options_.runtime_table,
                                 dotted(spread(index)), sequence_));
    } else {
      peers().front().send(maker_.make(sequence_, index, sequence_, std::nullopt));
    }
  }

  static std::string dotted(std::uint32_t key) {
    return fmt::format("{}.{}.{}.{}", key >> 24U, key >> 16U & 255U, key >> 8U & 255U, key & 255U);
  }

  /// A later change of a key answers for the earlier ones, which it replaced.
  void seen(const peers::Update& update) {
    const steady_clock::time_point now = steady_clock::now();
    const std::uint32_t index = gather(Reader(update.key).u32be());
    if (index >= waiting_.size() || update.cells.empty()) return;
    std::deque<Sent>& waiting = waiting_[index];
    while (!waiting.empty() && waiting.front().sequence <= update.cells.front()) {
      delays_.push_back(std::chrono::duration<double, std::milli>(now - waiting.front().when).count());
      waiting.pop_front();
    }
    if (delays_.size() == options_.updates) done();
  }

  std::string report() const override {
    std::vector<double> delays = delays_;
    std::sort(delays.begin(), delays.end());
    const auto at = [&](double part) {
      if (delays.empty()) return 0.0;
      const auto rank = static_cast<std::size_t>(part * static_cast<double>(delays.size()));
      return delays[std::min(rank, delays.size() - 1)];
    };
    return fmt::format(
        R"({{"mode": "latency", "updates": {}, "arrived": {}, "p50_ms": {:.4f}, "p99_ms": {:.4f}, )"
        R"("max_ms": {:.4f}}})",
        options_.updates, delays.size(), at(0.50), at(0.99), at(1.0));
  }

  const LatencyOptions options_;
  net::Timer next_;
  UpdateMaker maker_;
  std::mt19937 random_{7};
  std::unique_ptr<RuntimeSocket> runtime_;
  std::vector<std::deque<Sent>> waiting_;
  std::vector<double> delays_;
  std::size_t ready_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<Run> make_latency(Target target, const LatencyOptions& options) {
  return std::make_unique<Latency>(std::move(target), options);
}

}  // namespace stickmesh::bench
