#include "agent/redis/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/printable.h"

namespace stickmesh::redis {

namespace {

struct Known {
  std::string_view kind;
  std::string_view words;
};

constexpr std::size_t kShown = 160;

constexpr Known kStops[] = {
    {"READONLY", "it is a replica that takes no writes: give the master's address"},
    {"OOM", "its memory is full: raise its maxmemory, or choose a maxmemory-policy that makes room"},
    {"LOADING", "it is still loading its data"},
    {"BUSY", "it is busy with a script"},
    {"MISCONF", "it takes no writes because it cannot save to its disk"},
    {"MASTERDOWN", "it is a replica without its master"},
    {"NOREPLICAS", "it takes no writes because it has too few replicas (min-replicas-to-write)"},
    {"NOAUTH", "it wants a password: set redis.password-file"},
    {"WRONGPASS", "the user or the password is wrong: look at redis.user and redis.password-file"},
    {"NOPERM", "the user may not do this: give it the rights (ACL SETUSER)"},
    {"MOVED", "it is part of a cluster, and the key belongs to another node"},
    {"ASK", "it is part of a cluster, and the key is moving to another node"},
    {"TRYAGAIN", "it is part of a cluster that is being changed"},
    {"CLUSTERDOWN",
     "its cluster is down: some slots have no master (cluster-require-full-coverage no lets the others go "
     "on)"},
    {"CROSSSLOT", "it is part of a cluster"},
};

const Known* find(std::string_view kind) {
  const auto* found = std::find_if(std::begin(kStops), std::end(kStops),
                                   [&](const Known& known) { return known.kind == kind; });
  return found == std::end(kStops) ? nullptr : found;
}

}  // namespace

std::string_view kind_of(std::string_view error) {
  return error.substr(0, error.find_first_of(" :"));
}

std::string explain(std::string_view error) {
  const std::string_view kind = kind_of(error);
  const std::string said = readable(error.substr(std::min(kind.size() + 1, error.size())), kShown);
  const Known* known = find(kind);
  if (known == nullptr) return fmt::format("{}: {}", readable(kind), said);
  return fmt::format("{}: {} ({})", kind, known->words, said);
}

std::string explain_to_one(std::string_view explained) {
  const std::string_view kind = kind_of(explained);
  const bool elsewhere = kind == "MOVED" || kind == "ASK";
  return fmt::format("{}{}", explained, elsewhere ? ": set redis.cluster = true" : "");
}

bool stops_all(std::string_view error) {
  return find(kind_of(error)) != nullptr;
}

}  // namespace stickmesh::redis
