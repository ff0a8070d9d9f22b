#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "spoe/events/table_view.h"

namespace stickmesh::spoe {

enum class Kind : std::uint8_t { kTrack, kLookup, kSet, kOther };

/// What a message's name says: HAProxy takes each name once per engine, so `track-api` is a `track` for the
/// use `api`, whose variables are `api.TYPE`. What no variable's name may have, such as a second '-', is '_'
/// there.
class Use {
 public:
  explicit Use(std::string_view message);

  Kind kind() const { return kind_; }
  /// What stands before the names of its variables.
  const std::string& prefix() const { return prefix_; }
  const std::string& found() const { return found_; }
  const std::string& ready() const { return ready_; }
  const std::string& verdict() const { return verdict_; }
  const std::string& reason() const { return reason_; }
  const std::string& retry_after() const { return retry_after_; }
  /// The names of the variables for the values of |view|, in the order of its fields. Valid until the view
  /// changes.
  const std::vector<std::string>& variables(const TableView& view);

 private:
  struct Names {
    std::uint64_t number = 0;  ///< of the view
    std::vector<std::string> of_fields;
  };

  Kind kind_;
  std::string prefix_;
  std::string found_;
  std::string ready_;
  std::string verdict_;
  std::string reason_;
  std::string retry_after_;
  std::unordered_map<const TableView*, Names> names_;
};

/// The uses that have come up, so that no name is put together for an event.
class Uses {
 public:
  /// Valid until `forget_if_many`.
  Use& find(std::string_view message);
  /// HAProxy knows its messages from its config; others may make up any number of them.
  void forget_if_many();

 private:
  TextMap<Use> uses_;
};

}  // namespace stickmesh::spoe
