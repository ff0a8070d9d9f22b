#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "agent/admin/entry_text.h"
#include "agent/pipeline/own_writer.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::redis {

/// An agent whose rules mirror some tables, which tests fill with what the agent itself has to say.
class TablesTest : public ::testing::Test {
 protected:
  using Types = std::vector<StoredType>;
  using Values = std::vector<std::pair<std::string_view, std::uint64_t>>;

  explicit TablesTest(const char* mirrored = "*")
      : rules_({{pipeline::Pattern("sum*"), pipeline::Pattern("total*")}}, {"stickmesh", "limits"},
               {pipeline::Pattern("same*")}, pipeline::Rules::Mirrored{pipeline::Pattern(mirrored), {}}) {}

  pipeline::TableRecord& declare(const std::string& name, Types types = {{DataType::kGpc0}},
                                 Duration expire = std::chrono::minutes(10), KeyType key = KeyType::kString,
                                 std::uint32_t key_size = 33) {
    TableDefinition definition;
    definition.name = name;
    definition.key_type = key;
    definition.key_size = key_size;
    definition.expire = expire;
    definition.types = std::move(types);
    return registry_.declare(definition, 0, now_);
  }
  pipeline::TableRecord& table(std::string_view name) { return *registry_.find(name); }
  store::EntryId entry(std::string_view table_name, std::string_view key) {
    return table(table_name).table->find(as_bytes(key));
  }

  store::EntryId set(std::string_view table_name, std::string_view key, const Values& values = {{"gpc0", 1}},
                     std::string_view server_key = {}) {
    const store::Layout& layout = table(table_name).table->layout();
    std::vector<pipeline::OwnValue> own;
    for (const auto& [name, number] : values) {
      const auto found = admin::find_value(layout, name);
      EXPECT_TRUE(found) << name;
      pipeline::OwnValue value;
      value.column = static_cast<std::uint32_t>(found->column - layout.columns().data());
      value.element = found->element;
      value.number = number;
      value.text = server_key;
      own.push_back(value);
    }
    EXPECT_TRUE(writer_.write(table(table_name), as_bytes(key), own, std::nullopt, now_));
    return entry(table_name, key);
  }
  void clear(std::string_view table_name, std::string_view key) {
    hub_.clear(table(table_name), entry(table_name, key), now_);
  }
  /// Time passes, and what has changed gets its place in the feeds.
  void run(Duration time = Duration(20)) {
    now_ += time;
    hub_.run(now_);
  }

  ErrorLog errors_;
  pipeline::Rules rules_;
  pipeline::Registry registry_{rules_, std::size_t{1} << 28U, 16, 42};
  pipeline::Hub hub_{pipeline::Agent::default_setup(), registry_, errors_};
  pipeline::OwnWriter writer_{hub_};
  TimePoint now_ = pipeline::kStart;
};

}  // namespace stickmesh::redis
