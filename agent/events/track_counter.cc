#include "agent/events/track_counter.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/printable.h"
#include "agent/events/key.h"
#include "spoe/events/values.h"

namespace stickmesh::events {

void TrackCounter::take(std::string_view text, std::string_view from, TimePoint now) {
  ++counters_.lines;
  Result<void> done = parse_track_line(text, line_);
  if (!done) {
    ++counters_.malformed;
  } else if (done = count(now); done) {
    ++counters_.counted;
  } else {
    ++counters_.refused;
  }
  if (!done) hub_.errors().record(done.error(), fmt::format("event line of {}", from), now);
}

// All of it is checked before anything is counted.
Result<void> TrackCounter::count(TimePoint now) {
  const auto view = views_.find_counted(line_.table);
  if (!view) return tl::unexpected(view.error());
  const store::Table& table = (*view)->table();
  key_.clear();
  if (const std::string_view why = append_key(table.definition(), line_.key, key_); !why.empty()) {
    return refuse(Reason::kBadKey, fmt::format("the keys of table '{}' are of type {}: {}", table.name(),
                                               key_type_name(table.definition().key_type), why));
  }
  values_.clear();
  for (const TrackLine::Count& count : line_.counts) {
    const auto wrong = [&](std::string_view why) {
      return refuse(Reason::kBadMessage, fmt::format("{}: {}", readable(count.type), why));
    };
    const auto field = (*view)->find(count.type);
    if (!field) return wrong(fmt::format("table '{}' stores no such type", table.name()));
    const auto value =
        spoe::counted_value(spoe::Value::int64(count.number), **view, (*view)->fields()[*field]);
    if (!value) return wrong(value.error());
    const bool twice = std::any_of(values_.begin(), values_.end(), [&](const pipeline::OwnValue& other) {
      return other.column == value->column && other.element == value->element;
    });
    if (twice) return wrong("it is named twice");
    values_.push_back(*value);
  }
  if (writer_.write((*view)->record(), key_, values_, {}, now)) return {};
  return refuse(Reason::kNoMemory, "no room for a new key: raise [agent] max-memory");
}

}  // namespace stickmesh::events
