#include "spoe/events/uses.h"

#include <algorithm>
#include <utility>

namespace stickmesh::spoe {

namespace {

constexpr std::size_t kMany = 1000;

Kind kind_of(std::string_view word) {
  if (word == "track") return Kind::kTrack;
  if (word == "lookup") return Kind::kLookup;
  return word == "set" ? Kind::kSet : Kind::kOther;
}

bool fits_variable(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
}

std::string prefix_of(std::string_view message) {
  const std::size_t dash = message.find('-');
  if (dash == std::string_view::npos || dash + 1 == message.size()) return {};
  std::string prefix(message.substr(dash + 1));
  std::replace_if(
      prefix.begin(), prefix.end(), [](char c) { return !fits_variable(c); }, '_');
  return prefix + '.';
}

}  // namespace

Use::Use(std::string_view message)
    : kind_(kind_of(message.substr(0, message.find('-')))),
      prefix_(prefix_of(message)),
      found_(prefix_ + "found"),
      ready_(prefix_ + "ready"),
      verdict_(prefix_ + "verdict"),
      reason_(prefix_ + "reason"),
      retry_after_(prefix_ + "retry_after") {}

const std::vector<std::string>& Use::variables(const TableView& view) {
  Names& names = names_[&view];
  if (std::exchange(names.number, view.number()) != view.number()) {
    names.of_fields.clear();
    for (const Field& field : view.fields()) names.of_fields.push_back(prefix_ + field.name);
  }
  return names.of_fields;
}

Use& Uses::find(std::string_view message) {
  const auto known = uses_.find(message);
  if (known != uses_.end()) return known->second;
  return uses_.emplace(std::string(message), Use(message)).first->second;
}

void Uses::forget_if_many() {
  if (uses_.size() > kMany) uses_.clear();
}

}  // namespace stickmesh::spoe
