#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/data_types.h"

namespace stickmesh::pipeline {

/// A pattern with at most one `*`, which matches any run of characters.
class Pattern {
 public:
  explicit Pattern(std::string text) : text_(std::move(text)), star_(text_.find('*')) {}

  /// What the `*` stands for in |name|; empty without one. Nothing when |name| does not match.
  std::optional<std::string_view> match(std::string_view name) const;
  /// The pattern with |run| in place of its `*`.
  std::string fill(std::string_view run) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::size_t star_;
};

struct AggregateRule {
  Pattern from;
  Pattern to;
  Merges merges = default_merges();
  /// Types that are also published as another one: (source, published as).
  std::vector<std::pair<DataType, DataType>> copies = {};
};

/// What becomes of a table, by its name.
struct Treatment {
  enum class Kind : std::uint8_t {
    kOutput,     ///< published by agents, never counted as input
    kReplicate,  ///< the last change wins and goes to every other instance
    kAggregate,  ///< kept by origin, its total published as |output|
    kKeep,       ///< kept by origin, published to nobody
  };
  Kind kind = Kind::kKeep;
  const AggregateRule* rule = nullptr;  ///< of kAggregate
  std::string output;
};

/// The `[[replicate]]` and `[[aggregate]]` rules in file order, and the names that no rule may read (DESIGN,
/// "How tables are treated").
class Rules {
 public:
  /// What agents write besides totals; empty names are never written.
  struct OwnTables {
    std::string status;
    std::string limits;
  };
  /// What is kept in Redis, too.
  struct Mirrored {
    Pattern tables;
    std::vector<std::string> never;  ///< private ones
  };
  Rules(std::vector<AggregateRule> aggregates, OwnTables own, std::vector<Pattern> replicated = {},
        std::optional<Mirrored> mirrored = {}, bool watched = false)
      : aggregates_(std::move(aggregates)),
        replicated_(std::move(replicated)),
        own_(std::move(own)),
        mirrored_(std::move(mirrored)),
        watched_(watched) {}
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  /// |name| without the leading slash of the wire.
  Treatment treat(std::string_view name) const;
  /// The same for rules that treat every table alike, and with near certainty for no others.
  std::uint64_t digest() const;
  bool is_status(std::string_view name) const { return !own_.status.empty() && name == own_.status; }
  bool is_limits(std::string_view name) const { return !own_.limits.empty() && name == own_.limits; }
  /// Whether somebody in the agent may want to follow the changes of any table.
  bool watched() const { return watched_; }
  /// Whether the table is kept in Redis, too.
  bool mirrors(std::string_view name) const {
    return mirrored_ && mirrored_->tables.match(name) &&
           std::find(mirrored_->never.begin(), mirrored_->never.end(), name) == mirrored_->never.end();
  }

 private:
  std::vector<AggregateRule> aggregates_;
  std::vector<Pattern> replicated_;
  OwnTables own_;
  std::optional<Mirrored> mirrored_;
  bool watched_;
};

}  // namespace stickmesh::pipeline
