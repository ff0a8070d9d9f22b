#include <algorithm>
#include <vector>

#include "tests/bench/load/modes.h"

namespace stickmesh::bench {

namespace {

class Push final : public Run {
 public:
  Push(Target target, const PushOptions& options)
      : Run(std::move(target)), options_(options), measurement_(loop(), this->target()) {}

 private:
  void prepare() override {
    encode_round();
    for (LoadPeer& peer : peers()) {
      peer.on_ready = [this] {
        if (++ready_ == peers().size()) play_round();
      };
      peer.on_played = [this] {
        if (++played_ == peers().size()) measurement_.stop([this] { end_round(); });
      };
    }
  }

  void encode_round() {
    streams_.clear();
    StreamPlan plan;
    plan.keys = options_.keys;
    plan.updates = options_.updates;
    plan.first_id = 1 + round_ * options_.updates;
    for (std::size_t index = 0; index < peers().size(); ++index) {
      plan.seed = round_ * 100 + static_cast<std::uint32_t>(index) * 2;
      streams_.push_back(make_stream(target().tables.front(), plan));
    }
  }

  void play_round() {
    played_ = 0;
    measurement_.start();
    for (std::size_t index = 0; index < peers().size(); ++index) peers()[index].play(streams_[index]);
  }

  void end_round() {
    reports_ += (reports_.empty() ? "" : ", ") +
                measurement_.report(std::uint64_t{options_.updates} * peers().size());
    if (++round_ == options_.rounds) return done();
    encode_round();
    play_round();
  }

  std::string report() const override {
    return fmt::format(R"({{"mode": "push", "peers": {}, "keys": {}, "rounds": [{}]}})",
                       target().names.size(), options_.keys, reports_);
  }

  const PushOptions options_;
  Measurement measurement_;
  std::vector<Stream> streams_;
  std::uint32_t round_ = 0;
  std::size_t ready_ = 0;
  std::size_t played_ = 0;
  std::string reports_;
};

}  // namespace

std::unique_ptr<Run> make_push(Target target, const PushOptions& options) {
  return std::make_unique<Push>(std::move(target), options);
}

}  // namespace stickmesh::bench
