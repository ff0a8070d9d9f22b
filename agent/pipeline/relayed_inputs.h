#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "agent/peers/session/handler.h"
#include "agent/pipeline/registry.h"

namespace stickmesh::pipeline {

/// A table of one origin, as another agent or this one's process before a soft restart tells it.
struct RelayedInput {
  TableRecord* record = nullptr;
  store::OriginId origin = store::kNobody;
  store::OriginId writer = store::kNobody;  ///< as `store::Copy` has it
  TableDefinition definition;
  store::Plan plan;  ///< empty while the definition does not fit the standing one
  std::uint32_t layout_number = 0;
  bool its_own = false;  ///< an incarnation of that agent

  /// What |update| says.
  store::Copy copy(const peers::Update& update, TimePoint now) const;
};

/// All of them that one session tells, by the handles that the session gives with their updates.
class RelayedInputs {
 public:
  explicit RelayedInputs(Registry& registry) : registry_(registry) {}

  /// The handle of the table of that name, made when it is new. Nothing when the config has no place for it;
  /// an error when there is none for its origin, or when it does not fit: its updates are left out then.
  struct Defined {
    std::optional<std::uint32_t> handle;
    std::optional<Error> problem;
  };
  Defined define(const TableDefinition& definition, TimePoint now);
  /// Sees to it that the plan is of the table as it is now.
  std::optional<Error> fit(RelayedInput& input) const;

  RelayedInput& operator[](std::uint32_t handle) { return inputs_[handle]; }
  std::size_t size() const { return inputs_.size(); }
  bool names(store::OriginId origin) const;

 private:
  std::optional<Error> fit_anew(RelayedInput& input) const;

  Registry& registry_;
  std::vector<RelayedInput> inputs_;
  /// By table, origin and writer: another agent may have thousands.
  std::map<std::tuple<const TableRecord*, store::OriginId, store::OriginId>, std::uint32_t> handles_;
};

}  // namespace stickmesh::pipeline
