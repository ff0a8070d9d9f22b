#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/events/line_session.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::events {

/// A session on an agent without sockets, and a clock that only tests move.
class LineSessionTest : public ::testing::Test {
 protected:
  pipeline::TableRecord& declare(const std::string& name, std::vector<StoredType> types) {
    TableDefinition definition = pipeline::counter_table(name);
    definition.types = std::move(types);
    return agent_.registry.declare(definition, 0, now_);
  }
  Result<void> say(std::string_view text) { return session_.receive(as_bytes(text), now_); }
  /// The agent's own contribution; -1 where there is none.
  std::int64_t own(const std::string& name, std::string_view key, std::size_t column = 0) {
    const store::Table& table = *agent_.registry.find(name)->table;
    const store::EntryId entry = table.find(as_bytes(key));
    if (entry == store::kNone) return -1;
    const store::ContributionId id = table.find(entry, agent_.hub.own_origin());
    return id == store::kNone
               ? -1
               : static_cast<std::int64_t>(table.number(id, table.layout().columns()[column], 0));
  }
  std::string last_error() const {
    const auto& recent = agent_.errors.recent();
    return recent.empty() ? "" : recent.back().where + ": " + recent.back().detail;
  }

  pipeline::Agent agent_;
  TrackCounter counter_{agent_.hub};
  LineSession session_{counter_, "127.0.0.1:4000"};
  TimePoint now_ = pipeline::kStart;
};

}  // namespace stickmesh::events
