#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <optional>

#include "agent/admin/answers.h"
#include "agent/admin/commands.h"

namespace stickmesh::admin {

namespace {

std::string_view mode_of(const pipeline::LimitValue& value) {
  return value.shadow ? "shadow" : "enforce";
}

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string lines_to_paste(const pipeline::Limit& limit) {
  return fmt::format("[[limit]]\nname = \"{}\"\ntable = \"{}\"\ntype = \"{}\"\nabove = {}\nmode = \"{}\"\n",
                     limit.name, limit.table, traits(limit.type).name, limit.value().above,
                     mode_of(limit.value()));
}

}  // namespace

std::string Commands::show_limits() const {
  std::string out = "# name\ttable\ttype\tabove\tmode\tset_by\tconfigured_above\tconfigured_mode\n";
  for (const pipeline::Limit& limit : hub_.limits().all()) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", limit.name, limit.table,
                   traits(limit.type).name, limit.value().above, mode_of(limit.value()),
                   limit.changed ? "runtime" : "config", limit.configured.above, mode_of(limit.configured));
  }
  return out;
}

std::unique_ptr<Answer> Commands::set_limit(const Words& words, TimePoint now) {
  constexpr std::string_view kUsage = "set limit NAME N|shadow|enforce|config";
  if (words.size() != 4) return refused("set limit", {Reason::kBadCommand, std::string(kUsage)}, now);
  const pipeline::Limit* limit = hub_.limits().find(words[2]);
  std::optional<pipeline::LimitValue> value;
  if (limit != nullptr && words[3] != "config") {
    value = limit->value();
    if (words[3] == "shadow" || words[3] == "enforce") {
      value->shadow = words[3] == "shadow";
    } else if (const auto above = number_of(words[3])) {
      value->above = *above;
    } else {
      return refused(
          "set limit",
          {Reason::kBadCommand, fmt::format("'{}' is no number up to {}; {}", words[3], 0xffffffffU, kUsage)},
          now);
    }
  }
  if (auto set = hub_.set_limit(words[2], value); !set) return refused("set limit", set.error(), now);
  std::string out =
      fmt::format("{}: above {}, {}", limit->name, limit->value().above, mode_of(limit->value()));
  if (!limit->changed) return text_answer(out + ", as configured\n" + unsaved_line());
  return text_answer(fmt::format(
      "{}, at all agents and instances{}; in {} it is above {}, {}. To have it there:\n{}{}", out,
      hub_.runtime_unsaved().empty() ? ", also after a restart" : "", hub_.setup().config_file,
      limit->configured.above, mode_of(limit->configured), lines_to_paste(*limit), unsaved_line()));
}

}  // namespace stickmesh::admin
