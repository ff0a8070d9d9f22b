#include "agent/pipeline/rules.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

namespace stickmesh::pipeline {

std::optional<std::string_view> Pattern::match(std::string_view name) const {
  if (star_ == std::string::npos) return name == text_ ? std::optional(std::string_view{}) : std::nullopt;
  const std::string_view head = std::string_view(text_).substr(0, star_);
  const std::string_view tail = std::string_view(text_).substr(star_ + 1);
  if (name.size() < head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail))
    return std::nullopt;
  return name.substr(head.size(), name.size() - head.size() - tail.size());
}

std::string Pattern::fill(std::string_view run) const {
  if (star_ == std::string::npos) return text_;
  return text_.substr(0, star_).append(run).append(text_, star_ + 1);
}

std::uint64_t Rules::digest() const {
  // No name has a line feed or a tab.
  std::string text = own_.status + '\n' + own_.limits + '\n';
  for (const Pattern& tables : replicated_) text += tables.text() + '\n';
  for (const AggregateRule& rule : aggregates_) {
    text += rule.from.text() + '\t' + rule.to.text() + '\t';
    for (const Merge merge : rule.merges) text += static_cast<char>('0' + static_cast<int>(merge));
    for (const auto& [source, published] : rule.copies)
      text += fmt::format("\t{} {}", static_cast<int>(source), static_cast<int>(published));
    text += '\n';
  }
  return XXH3_64bits(text.data(), text.size());
}

Treatment Rules::treat(std::string_view name) const {
  const bool output = is_status(name) || is_limits(name) ||
                      std::any_of(aggregates_.begin(), aggregates_.end(),
                                  [&](const AggregateRule& rule) { return rule.to.match(name).has_value(); });
  if (output) return {Treatment::Kind::kOutput, nullptr, {}};
  for (const Pattern& tables : replicated_) {
    if (tables.match(name)) return {Treatment::Kind::kReplicate, nullptr, std::string(name)};
  }
  for (const AggregateRule& rule : aggregates_) {
    if (const auto run = rule.from.match(name))
      return {Treatment::Kind::kAggregate, &rule, rule.to.fill(*run)};
  }
  return {};
}

}  // namespace stickmesh::pipeline
