#include "tests/bench/load/modes.h"

namespace stickmesh::bench {

namespace {

class Lesson final : public Run {
 public:
  Lesson(Target target, std::uint32_t entries)
      : Run(std::move(target)), entries_(entries), measurement_(loop(), this->target()) {}

 private:
  void prepare() override {
    StreamPlan plan;
    plan.keys = plan.updates = entries_;
    plan.timed = true;
    stream_ = make_stream(target().tables.front(), plan);

    LoadPeer& teacher = peers().front();
    teacher.teach(stream_);
    teacher.on_lesson_asked = [this] {
      if (++asked_ == 1) measurement_.start();
    };
    teacher.on_lesson_confirmed = [this] { measurement_.stop([this] { done(); }); };
  }

  std::string report() const override {
    return fmt::format(R"({{"mode": "lesson", "lessons": {}, "rounds": [{}]}})", asked_,
                       measurement_.report(entries_));
  }

  const std::uint32_t entries_;
  Measurement measurement_;
  Stream stream_;
  unsigned asked_ = 0;
};

}  // namespace

std::unique_ptr<Run> make_lesson(Target target, std::uint32_t entries) {
  return std::make_unique<Lesson>(std::move(target), entries);
}

}  // namespace stickmesh::bench
