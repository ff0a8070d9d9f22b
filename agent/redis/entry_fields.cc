#include "agent/redis/entry_fields.h"

#include <fmt/format.h>

#include <iterator>

#include "agent/admin/entry_text.h"
#include "agent/admin/key_text.h"

namespace stickmesh::redis {

using store::Column;

std::string key_part(std::string_view table) {
  std::string part;
  for (const char c : table) {
    if (c == '%') {
      part += "%25";
    } else if (c == ':') {
      part += "%3A";
    } else {
      part += c;
    }
  }
  return part;
}

EntryKeys::EntryKeys(std::string_view prefix, const store::Table& table)
    : table_(&table), key_(fmt::format("{}:{}", prefix, key_part(table.name()))), head_(key_.size()) {}

std::string_view EntryKeys::of(store::EntryId entry) {
  key_.resize(head_);
  return with_key(entry);
}

std::string_view EntryKeys::of(store::EntryId entry, std::string_view origin) {
  key_.resize(head_);
  key_ += '@';
  key_ += key_part(origin);
  return with_key(entry);
}

std::string_view EntryKeys::with_key(store::EntryId entry) {
  key_ += ':';
  const Bytes key = table_->key(entry);
  const KeyType type = table_->definition().key_type;
  type == KeyType::kString ? key_.append(as_text(key)) : key_.append(admin::key_to_text(type, key));
  return key_;
}

void EntryFields::follow_layout() {
  if (!fields_.empty() && layout_number_ == table_->layout_number()) return;
  layout_number_ = table_->layout_number();
  fields_.clear();
  for (const Column& column : table_->layout().columns()) {
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      const std::string name = admin::value_name(column, element, /*with_period=*/false);
      fields_.push_back(name);
      fields_.emplace_back();
      if (column.kind != ValueKind::kRate) continue;
      fields_.push_back(name + ".counter");
      fields_.emplace_back();
    }
  }
}

std::span<const std::string> EntryFields::of(store::EntryId entry, TimePoint now,
                                             std::chrono::system_clock::time_point wall_clock) {
  follow_layout();
  std::size_t at = 1;
  const auto next = [&]() -> std::string& {
    std::string& value = fields_[at];
    value.clear();
    at += 2;
    return value;
  };
  for (const Column& column : table_->layout().columns()) {
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      switch (column.kind) {
        case ValueKind::kRate: {
          const aggregate::Counter counter = totals_.rate(entry, column, element, now);
          fmt::format_to(std::back_inserter(next()), "{}", aggregate::reading(counter, column.period));
          const auto start = std::chrono::floor<Duration>(wall_clock - counter.age).time_since_epoch();
          fmt::format_to(std::back_inserter(next()), "{} {} {}", start.count(), counter.current,
                         counter.previous);
          break;
        }
        case ValueKind::kDictionary:
          next() = totals_.text(entry, column, now);
          break;
        case ValueKind::kSigned32:
          fmt::format_to(std::back_inserter(next()), "{}",
                         static_cast<std::int64_t>(totals_.number(entry, column, element, now)));
          break;
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          fmt::format_to(std::back_inserter(next()), "{}", totals_.number(entry, column, element, now));
          break;
      }
    }
  }
  return fields_;
}

}  // namespace stickmesh::redis
