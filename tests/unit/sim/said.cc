#include "tests/unit/sim/said.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <utility>

#include "agent/peers/wire/definition.h"
#include "agent/peers/wire/entry_update.h"
#include "agent/peers/wire/handshake.h"
#include "agent/peers/wire/message.h"

namespace stickmesh::sim {

namespace {

class Decoder {
 public:
  explicit Decoder(Bytes stream) : rest_(stream) {}

  std::vector<Said> run() {
    const auto hello = peers::parse_hello(as_text(rest_));
    if (!hello || !*hello) return {{"no hello", {}, {}}};
    say(fmt::format("{} calls {}, 2.{}", (*hello)->hello.from, (*hello)->hello.to, (*hello)->hello.minor));
    rest_ = rest_.subspan((*hello)->size);
    while (true) {
      const peers::Frame frame = peers::parse_frame(rest_, 1 << 16);
      if (frame.status != peers::FrameStatus::kMessage) break;
      rest_ = rest_.subspan(frame.size);
      take(frame.message);
    }
    return std::move(said_);
  }

 private:
  void say(std::string words) { said_.push_back({std::move(words), {}, {}}); }

  void take(const peers::Message& message) {
    if (message.message_class == peers::MessageClass::kControl) {
      take_control(static_cast<peers::ControlType>(message.type));
    } else if (message.message_class == peers::MessageClass::kStickTable) {
      take_table(static_cast<peers::TableType>(message.type), message.body);
    } else {
      say(fmt::format("class {}", static_cast<int>(message.message_class)));
    }
  }

  void take_control(peers::ControlType type) {
    if (type == peers::ControlType::kResyncRequest) say("asks for a lesson");
    if (type == peers::ControlType::kResyncFinished) say("has taught all");
    if (type == peers::ControlType::kResyncPartial) say("has taught a part");
  }

  void take_table(peers::TableType type, Bytes body) {
    if (type == peers::TableType::kDefinition) return define(body);
    if (type != peers::TableType::kAck) return update(type, body);
  }

  void define(Bytes body) {
    const auto defined = peers::decode_definition(body);
    if (!defined) return say("a bad definition");
    table_ = *defined;
    say(fmt::format("table {} is {} {}", table_.id, table_.definition.name, describe(table_.definition)));
  }

  void update(peers::TableType type, Bytes body) {
    std::vector<std::uint64_t> cells(peers::cell_count(table_.definition));
    const auto decoded = peers::decode_update(type, body, table_.definition, cells);
    if (!decoded) return say("a bad update");
    std::uint32_t& id = last_ids_[table_.id];
    id = decoded->has_id ? decoded->id : id + 1;
    // The rate comes last: age, events of this period and of the one before.
    const std::uint64_t age = std::exchange(cells[cells.size() - 3], 0);
    const bool empty = cells[cells.size() - 2] == 0 && cells.back() == 0;
    Said& said = said_.emplace_back();
    said.words = fmt::format("{} {} {:#x} {}: {}", decoded->timed ? "teaches" : "pushes",
                             table_.definition.name, id, as_text(decoded->key), fmt::join(cells, " "));
    if (decoded->timed) said.remaining = decoded->remaining;
    if (!empty) said.age = Duration(static_cast<Duration::rep>(age));
  }

  Bytes rest_;
  peers::DefinedTable table_;
  std::map<peers::TableId, std::uint32_t> last_ids_;
  std::vector<Said> said_;
};

}  // namespace

std::vector<Said> decode_said(Bytes stream) {
  return Decoder(stream).run();
}

}  // namespace stickmesh::sim
