#include "spoe/events/event_handler.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "spoe/events/key_conversion.h"
#include "spoe/events/values.h"

namespace stickmesh::spoe {

namespace {

constexpr std::size_t kNamedInErrors = 64;

// Names come from outside, and lines of the log have an end.
std::string_view shortened(std::string_view text) {
  return text.substr(0, kNamedInErrors);
}

}  // namespace

void EventHandler::established(const HaproxyHello& /*hello*/, TimePoint /*now*/) {}

void EventHandler::refused(std::uint64_t events, const Error& why, TimePoint now) {
  hub_.errors().record(why, events == 1 ? "SPOE event" : fmt::format("{} SPOE events", events), now, events);
}

Result<void> EventHandler::notified(MessageReader messages, Answer& answer, TimePoint now) {
  if (replaced_) return refuse(Reason::kOverload, "another process is in charge");
  prepared_.clear();
  keys_.clear();
  named_.clear();
  values_.clear();
  arguments_.clear();
  uses_.forget_if_many();
  while (const std::optional<Message> message = messages.next()) {
    Use& use = uses_.find(message->name);
    if (use.kind() == Kind::kOther) {
      prepare_other(*message, use, messages);
    } else if (const Result<void> prepared = prepare(*message, use, messages); !prepared) {
      ++counters_.refused;
      record(message->name, prepared.error(), now);
    }
  }
  for (const Prepared& prepared : prepared_) {
    // From the first message that was counted on, the event is one that was dealt with.
    try {
      prepared.view == nullptr ? carry_out_other(prepared, answer, now) : carry_out(prepared, answer, now);
    } catch (const std::exception& exception) {
      ++counters_.refused;
      record(prepared.message, {Reason::kSystem, exception.what()}, now);
    }
  }
  return {};
}

void EventHandler::record(std::string_view message, const Error& why, TimePoint now) {
  hub_.errors().record(why, fmt::format("SPOE message {}", shortened(message)), now);
}

Result<void> EventHandler::prepare(const Message& message, Use& use, MessageReader& reader) {
  Prepared prepared;
  prepared.message = message.name;
  prepared.use = &use;
  prepared.first = named_.size();
  prepared.first_value = values_.size();
  if (auto table = prepare_table(reader, prepared); !table) return table;
  if (auto key = prepare_key(reader, prepared); !key) return key;
  while (const std::optional<Argument> argument = reader.argument()) {
    if (auto value = prepare_value(*argument, prepared); !value) return value;
  }
  prepared.count = named_.size() - prepared.first;
  prepared.values = values_.size() - prepared.first_value;
  if (prepared.count == 0 && prepared.use->kind() != Kind::kLookup) {
    return refuse(Reason::kBadMessage, "it names no data type");
  }
  prepared_.push_back(prepared);
  return {};
}

void EventHandler::prepare_other(const Message& message, Use& use, MessageReader& reader) {
  Prepared prepared;
  prepared.message = message.name;
  prepared.use = &use;
  prepared.first_value = arguments_.size();
  while (const std::optional<Argument> argument = reader.argument()) arguments_.push_back(*argument);
  prepared.values = arguments_.size() - prepared.first_value;
  prepared_.push_back(prepared);
}

Result<void> EventHandler::prepare_table(MessageReader& reader, Prepared& prepared) {
  const std::optional<Argument> argument = reader.argument();
  if (!argument || argument->name != "table") {
    return refuse(Reason::kBadMessage, "the first argument is not 'table'");
  }
  if (argument->value.type != DataType::kString) {
    return refuse(Reason::kBadMessage, "table: it is no string such as str(http)");
  }
  const std::string_view name = argument->value.text();
  const auto view = prepared.use->kind() == Kind::kLookup ? views_.find_any(name) : views_.find_counted(name);
  if (!view) return tl::unexpected(view.error());
  prepared.view = *view;
  return {};
}

Result<void> EventHandler::prepare_key(MessageReader& reader, Prepared& prepared) {
  const std::optional<Argument> argument = reader.argument();
  if (!argument || argument->name != "key") {
    return refuse(Reason::kBadMessage, "the second argument is not 'key'");
  }
  if (argument->value.type == DataType::kNull) return {};
  const TableDefinition& definition = prepared.view->table().definition();
  prepared.key = keys_.size();
  if (const std::string_view why = append_key(definition, argument->value, keys_); !why.empty()) {
    return refuse(Reason::kBadKey,
                  fmt::format("key: the keys of table '{}' are of type {}: {}", prepared.view->table().name(),
                              key_type_name(definition.key_type), why));
  }
  prepared.has_key = true;
  prepared.key_size = keys_.size() - prepared.key;
  return {};
}

Result<void> EventHandler::prepare_value(const Argument& argument, Prepared& prepared) {
  const Kind kind = prepared.use->kind();
  const auto wrong = [&](std::string_view why) {
    return refuse(Reason::kBadMessage, fmt::format("{}: {}", shortened(argument.name), why));
  };
  if (kind == Kind::kLookup) return wrong("lookup takes a table and a key");
  const TableView& view = *prepared.view;
  const std::optional<std::uint32_t> index = view.find(argument.name);
  if (!index) return wrong(fmt::format("table '{}' stores no such type", view.table().name()));
  const auto first = named_.begin() + static_cast<std::ptrdiff_t>(prepared.first);
  if (std::find(first, named_.end(), *index) != named_.end()) return wrong("it is named twice");
  named_.push_back(*index);
  // HAProxy had no sample: nothing to count.
  if (argument.value.type == DataType::kNull) return {};
  auto value = kind == Kind::kTrack ? counted_value(argument.value, view, view.fields()[*index])
                                    : written_value(argument.value, view, view.fields()[*index]);
  if (!value) return wrong(value.error());
  values_.push_back(*value);
  return {};
}

void EventHandler::carry_out_other(const Prepared& prepared, Answer& answer, TimePoint now) {
  const auto arguments = std::span<const Argument>(arguments_).subspan(prepared.first_value, prepared.values);
  if (others_ != nullptr && others_->handle(*prepared.use, prepared.message, arguments, answer, now)) {
    ++counters_.hooked;
    return;
  }
  ++counters_.unknown;
  record(prepared.message,
         {Reason::kBadMessage, "nothing handles it: it is no track, lookup or set, and no hook's"}, now);
}

void EventHandler::carry_out(const Prepared& prepared, Answer& answer, TimePoint now) {
  TableView& view = *prepared.view;
  const store::Table& table = view.table();
  const Bytes key = Bytes(keys_).subspan(prepared.key, prepared.key_size);
  store::EntryId entry = prepared.has_key ? table.find(key) : store::kNone;
  const bool found = view.knows(entry, now);
  if (prepared.has_key && prepared.values != 0) {
    const auto values =
        std::span<const pipeline::OwnValue>(values_).subspan(prepared.first_value, prepared.values);
    if (!writer_.write(view.record(), key, values, {}, now)) {
      ++counters_.refused;
      return record(prepared.message, {Reason::kNoMemory, "no room for a new key: raise [agent] max-memory"},
                    now);
    }
    entry = table.find(key);
  }
  const Use& use = *prepared.use;
  if (!prepared.has_key) ++counters_.without_key;
  ++(use.kind() == Kind::kTrack ? counters_.tracked
     : use.kind() == Kind::kSet ? counters_.set
                                : counters_.looked_up);
  answer.set(Scope::kTransaction, use.found(), Value::boolean(found));
  answer.set(Scope::kTransaction, use.ready(), Value::boolean(hub_.learned() && !hub_.isolated()));
  if (view.knows(entry, now)) answer_totals(prepared, entry, answer, now);
}

void EventHandler::answer_totals(const Prepared& prepared, store::EntryId entry, Answer& answer,
                                 TimePoint now) {
  TableView& view = *prepared.view;
  const std::vector<std::string>& names = prepared.use->variables(view);
  Verdict verdict;
  const auto tell = [&](std::uint32_t index) {
    const Field& field = view.fields()[index];
    const Value value = view.total(entry, field, now);
    judge(view, entry, field, value, now, verdict);
    if (value.type == DataType::kNull) {
      answer.unset(Scope::kTransaction, names[index]);
    } else {
      answer.set(Scope::kTransaction, names[index], value);
    }
  };
  if (prepared.use->kind() == Kind::kLookup) {
    for (std::uint32_t index = 0; index < names.size(); ++index) tell(index);
  } else {
    for (std::size_t at = prepared.first; at < prepared.first + prepared.count; ++at) tell(named_[at]);
  }
  answer_verdict(*prepared.use, verdict, answer);
}

void EventHandler::judge(TableView& view, store::EntryId entry, const Field& field, const Value& total,
                         TimePoint now, Verdict& verdict) const {
  for (const std::uint32_t index : field.limits) {
    const pipeline::Limit& limit = hub_.limits().all()[index];
    verdict.limited = true;
    if (total.number <= limit.value().above) continue;
    const bool enforced = !limit.value().shadow;
    const bool refused = verdict.refuser != nullptr && !verdict.refuser->value().shadow;
    if (refused && !enforced) continue;
    const Duration wait = view.until_below(entry, field, limit.value().above, now);
    if (verdict.refuser != nullptr && refused == enforced && wait <= verdict.wait) continue;
    verdict.refuser = &limit;
    verdict.wait = wait;
  }
}

void EventHandler::answer_verdict(const Use& use, const Verdict& verdict, Answer& answer) const {
  if (!verdict.limited) return;
  const pipeline::Limit* refuser = verdict.refuser;
  const bool denied = refuser != nullptr && !refuser->value().shadow;
  answer.set(Scope::kTransaction, use.verdict(), Value::string(denied ? "deny" : "allow"));
  if (refuser == nullptr) return;
  answer.set(Scope::kTransaction, use.reason(), Value::string(refuser->name));
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(verdict.wait).count();
  answer.set(Scope::kTransaction, use.retry_after(), Value::int64(std::max<std::int64_t>(seconds, 1)));
}

}  // namespace stickmesh::spoe
