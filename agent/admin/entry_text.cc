#include "agent/admin/entry_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "agent/admin/key_text.h"

namespace stickmesh::admin {

using store::Column;
using store::ContributionId;
using store::EntryId;
using store::kNone;

std::string value_name(const Column& column, std::uint32_t element, bool with_period) {
  std::string name(traits(column.type).name);
  if (traits(column.type).array) name.insert(std::min(name.find('_'), name.size()), std::to_string(element));
  if (with_period && column.kind == ValueKind::kRate) name += fmt::format("({})", column.period.count());
  return name;
}

std::optional<ValueName> find_value(const store::Layout& layout, std::string_view name) {
  for (const Column& column : layout.columns()) {
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      if (value_name(column, element, /*with_period=*/false) == name) return ValueName{&column, element};
    }
  }
  return std::nullopt;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      // A key need not be UTF-8: each byte becomes the character of that number.
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::optional<std::uint64_t> EntryText::number(EntryId entry, const ValueName& value, TimePoint now) {
  const Column& column = *value.column;
  switch (column.kind) {
    case ValueKind::kRate:
      return aggregate::reading(totals_.rate(entry, column, value.element, now), column.period);
    case ValueKind::kDictionary:
      return std::nullopt;
    case ValueKind::kSigned32:
    case ValueKind::kUnsigned32:
    case ValueKind::kUnsigned64:
      return totals_.number(entry, column, value.element, now);
  }
  return std::nullopt;
}

std::uint64_t EntryText::part(ContributionId contribution, const ValueName& value, TimePoint now) const {
  if (value.column->kind != ValueKind::kRate)
    return table_.number(contribution, *value.column, value.element);
  const store::RateValue rate = table_.rate(contribution, *value.column, value.element);
  const Duration age = std::max(now - rate.start, Duration(0));
  return aggregate::reading({age, rate.current, rate.previous}, value.column->period);
}

std::string EntryText::value(EntryId entry, ContributionId contribution, const Column& column,
                             std::uint32_t element, TimePoint now) {
  const bool total = contribution == kNone;
  switch (column.kind) {
    case ValueKind::kDictionary: {
      const std::string_view text =
          total ? totals_.text(entry, column, now) : table_.text(contribution, column);
      if (json_) return text.empty() ? "null" : json_string(text);
      return text.empty() ? "-" : std::string(text);
    }
    case ValueKind::kRate:
    case ValueKind::kSigned32:
    case ValueKind::kUnsigned32:
    case ValueKind::kUnsigned64:
      break;
  }
  const ValueName name{&column, element};
  const std::uint64_t number =
      total ? this->number(entry, name, now).value_or(0) : part(contribution, name, now);
  return column.kind == ValueKind::kSigned32 ? std::to_string(static_cast<std::int64_t>(number))
                                             : std::to_string(number);
}

void EntryText::append_values(std::string& out, EntryId entry, ContributionId contribution, TimePoint now) {
  std::string_view separator = json_ ? "" : " ";
  for (const Column& column : table_.layout().columns()) {
    if (contribution != kNone && !table_.stores(contribution, column.type)) continue;
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      const std::string text = value(entry, contribution, column, element, now);
      if (json_) {
        fmt::format_to(std::back_inserter(out), "{}\"{}\":{}", separator, value_name(column, element, false),
                       text);
        separator = ",";
      } else {
        fmt::format_to(std::back_inserter(out), "{}{}={}", separator, value_name(column, element, true),
                       text);
      }
    }
  }
}

Duration EntryText::remaining(TimePoint end, TimePoint now) const {
  return table_.definition().expire.count() == 0 ? Duration(0) : std::max(end - now, Duration(0));
}

void EntryText::append(std::string& out, EntryId entry, TimePoint now) {
  const auto put = std::back_inserter(out);
  const std::string key = key_to_text(table_.definition().key_type, table_.key(entry));
  const auto exp = remaining(table_.end(entry), now).count();
  if (json_) {
    fmt::format_to(put, "{{\"key\":{},\"exp\":{},\"values\":{{", json_string(key), exp);
  } else {
    // HAProxy prints an address here, which its readers skip: ours is the number of the entry.
    fmt::format_to(put, "{:#x}: key={} use=0 exp={}", entry + 1, key, exp);
  }
  append_values(out, entry, kNone, now);
  out += json_ ? "}" : "\n";
  if (origins_) {
    std::string_view separator = ",\"origins\":[";
    for (ContributionId id = table_.first(entry); id != kNone; id = table_.following(id)) {
      if (!table_.live(id, now)) continue;
      const std::string& origin = table_.shared().origins[table_.origin(id)].name;
      const store::Version version = table_.version(id);
      const auto left = remaining(table_.expires(id), now).count();
      if (json_) {
        fmt::format_to(put, "{}{{\"origin\":{},\"generation\":{},\"update\":{},\"exp\":{},\"values\":{{",
                       separator, json_string(origin), version.generation, version.update_id, left);
        separator = ",";
      } else {
        fmt::format_to(put, "  origin={} version={}.{} exp={}", origin, version.generation, version.update_id,
                       left);
      }
      append_values(out, entry, id, now);
      out += json_ ? "}}" : "\n";
    }
    if (json_) out += separator == "," ? "]" : ",\"origins\":[]";
  }
  if (json_) out += "}";
}

}  // namespace stickmesh::admin
