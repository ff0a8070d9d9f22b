#include <vector>

#include "tests/bench/load/modes.h"

namespace stickmesh::bench {

namespace {

constexpr Duration kAskAgain{500};

class Receive final : public Run {
 public:
  Receive(Target target, ReceiveOptions options)
      : Run(std::move(target)),
        options_(std::move(options)),
        measurement_(loop(), this->target()),
        ask_(loop(), [this] { peers().front().ask_lesson(); }),
        seen_(options_.entries) {}

 private:
  void prepare() override {
    LoadPeer& learner = peers().front();
    learner.on_established = [this, &learner] {
      measurement_.start();
      learner.ask_lesson();
    };
    learner.on_update = [this](std::string_view table, const peers::Update& update) { count(table, update); };
    learner.on_lesson_taken = [this](bool complete) {
      if (!complete) return ask_.set(loop().now() + kAskAgain);
      lesson_taken_ = true;
      in_lesson_ = updates_;
      check();
    };
  }

  void count(std::string_view table, const peers::Update& update) {
    if (table != options_.table) return;
    ++updates_;
    const std::uint32_t index = gather(Reader(update.key).u32be());
    if (index >= seen_.size() || seen_[index]) return;
    seen_[index] = true;
    if (++entries_ == options_.entries) check();
  }

  void check() {
    if (ended_ || !lesson_taken_ || entries_ < options_.entries) return;
    ended_ = true;
    settle();
  }

  void settle() {
    measurement_.stop([this, before = updates_] {
      if (options_.drain && updates_ != before) return settle();
      done();
    });
  }

  std::string report() const override {
    return fmt::format(
        R"({{"mode": "receive", "entries": {}, "received": {}, "in_lesson": {}, "rounds": [{}]}})", entries_,
        updates_, in_lesson_, measurement_.report(entries_));
  }

  const ReceiveOptions options_;
  Measurement measurement_;
  net::Timer ask_;
  std::vector<bool> seen_;
  std::uint32_t entries_ = 0;
  std::uint64_t updates_ = 0;
  std::uint64_t in_lesson_ = 0;
  bool lesson_taken_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Run> make_receive(Target target, const ReceiveOptions& options) {
  return std::make_unique<Receive>(std::move(target), options);
}

}  // namespace stickmesh::bench
