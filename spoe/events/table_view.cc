#include "spoe/events/table_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "agent/aggregate/rate.h"
#include "agent/base/printable.h"

namespace stickmesh::spoe {

namespace {

std::int64_t saturated(std::uint64_t number) {
  constexpr std::uint64_t kMaximum = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(number, kMaximum));
}

// An array's index stands before the first underscore.
std::string name_of(stickmesh::DataType type, std::uint32_t element) {
  std::string name(traits(type).name);
  if (traits(type).array) name.insert(std::min(name.find('_'), name.size()), std::to_string(element));
  return name;
}

}  // namespace

TableView::TableView(pipeline::TableRecord& record, bool output, const pipeline::Limits& limits)
    : record_(&record),
      limits_(&limits),
      output_(output),
      layout_number_(table().layout_number() - 1),
      totals_(table()) {
  refresh();
}

void TableView::refresh() {
  if (layout_number_ == table().layout_number()) return;
  layout_number_ = table().layout_number();
  ++number_;
  fields_.clear();
  if (!output_) {
    for (const store::Column& column : table().layout().columns()) add(column.type, column);
    return;
  }
  // A total may also show what the input counts as another type.
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    const auto type = static_cast<stickmesh::DataType>(index);
    if (const store::Column* column = record_->output->source(type)) add(type, *column);
  }
}

void TableView::add(stickmesh::DataType type, const store::Column& column) {
  const auto index = static_cast<std::uint32_t>(&column - table().layout().columns().data());
  for (std::uint32_t element = 0; element < column.elements; ++element) {
    fields_.push_back({name_of(type, element), index, element, limits_of(type)});
  }
}

// A limit may name the table or its total.
std::vector<std::uint32_t> TableView::limits_of(stickmesh::DataType type) const {
  std::vector<std::uint32_t> found;
  for (std::uint32_t index = 0; index < limits_->all().size(); ++index) {
    const pipeline::Limit& limit = limits_->all()[index];
    const bool here =
        limit.table == table().name() || (record_->output && limit.table == record_->output->name());
    if (here && limit.type == type) found.push_back(index);
  }
  return found;
}

std::optional<std::uint32_t> TableView::find(std::string_view name) const {
  for (std::uint32_t index = 0; index < fields_.size(); ++index) {
    if (fields_[index].name == name) return index;
  }
  return std::nullopt;
}

Value TableView::total(store::EntryId entry, const Field& field, TimePoint now) {
  const store::Column& of = column(field);
  switch (of.kind) {
    case ValueKind::kRate:
      return Value::int64(aggregate::reading(totals_.rate(entry, of, field.element, now), of.period));
    case ValueKind::kDictionary: {
      const std::string_view text = totals_.text(entry, of, now);
      return text.empty() ? Value::null() : Value::string(text);
    }
    case ValueKind::kSigned32:
      return Value::int64(static_cast<std::int64_t>(totals_.number(entry, of, field.element, now)));
    case ValueKind::kUnsigned32:
    case ValueKind::kUnsigned64:
      break;
  }
  return Value::int64(saturated(totals_.number(entry, of, field.element, now)));
}

Duration TableView::until_below(store::EntryId entry, const Field& field, std::uint32_t limit,
                                TimePoint now) {
  constexpr Duration kExact{100};
  const store::Column& of = column(field);
  if (of.kind != ValueKind::kRate) return table().end(entry) - now;
  // It falls all the time, and is 0 two periods after the last event.
  aggregate::Counter counter = totals_.rate(entry, of, field.element, now);
  const Duration age = counter.age;
  Duration above{0};
  Duration below = 2 * of.period;
  while (below - above > kExact) {
    const Duration middle = above + (below - above) / 2;
    counter.age = age + middle;
    const std::uint32_t then = aggregate::reading(counter, of.period);
    (then > limit ? above : below) = middle;
  }
  return below;
}

TableView* TableViews::find(std::string_view name) {
  if (name.starts_with('/')) name.remove_prefix(1);
  auto place = views_.find(name);
  if (place == views_.end()) {
    pipeline::TableRecord* record = registry_.find(name);
    const bool output = record == nullptr;
    if (output) record = registry_.find_output(name);
    if (record == nullptr) return nullptr;
    place = views_.emplace(std::string(name), std::make_unique<TableView>(*record, output, limits_)).first;
  }
  place->second->refresh();
  return place->second.get();
}

Result<TableView*> TableViews::find_any(std::string_view name) {
  if (TableView* view = find(name)) return view;
  return refuse(Reason::kNotFound,
                fmt::format("table: there is no table '{}': no instance has announced it, and no [[table]] "
                            "declares it",
                            readable(name)));
}

Result<TableView*> TableViews::find_counted(std::string_view name) {
  auto view = find_any(name);
  if (view && (*view)->output()) {
    return refuse(Reason::kBadMessage,
                  fmt::format("table: '{}' is a total, which is only looked up: '{}' is counted",
                              readable(name), (*view)->table().name()));
  }
  return view;
}

}  // namespace stickmesh::spoe
