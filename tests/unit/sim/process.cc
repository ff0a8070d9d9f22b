#include "tests/unit/sim/process.h"

#include <fmt/format.h>

#include <algorithm>

namespace stickmesh::sim {

namespace {

constexpr Duration kResyncTimeout{5000};
constexpr Duration kReconnect{5000};
constexpr Duration kHeartbeat{3000};

std::string describe(const StickTable& table, const StickTable::Entry& entry, TimePoint now) {
  return fmt::format("{} {}: id {:#x}, {} requests, {} open, gpt0 {}, {} ms left", table.definition().name,
                     entry.key, entry.id.value_or(0), entry.values.http_req_cnt, entry.values.conn_cur,
                     entry.values.gpt0, (entry.expires - now).count());
}

}  // namespace

Process::Process(const Section& section, std::uint64_t pid, Start start, TimePoint now)
    : section_(&section),
      pid_(pid),
      input_(section.input, section.input_size),
      total_(section.total, section.total_size),
      cursors_{Cursor(input_), Cursor(total_)},
      resync_(Resync::kFromLocal),
      old_process_(start == Start::kBesideOld),
      resync_end_(now + kResyncTimeout) {}

void Process::request(std::string_view key, std::uint32_t times, TimePoint now) {
  StickTable::Entry* entry = input_.get(key, now);
  if (entry == nullptr) return;
  entry->values.http_req_cnt += times;
  entry->values.http_req_rate.count(times, kPeriod, tick(now));
  input_.touch(*entry, now);
}

void Process::open(std::string_view key, TimePoint now) {
  StickTable::Entry* entry = input_.get(key, now);
  if (entry == nullptr) return;
  ++entry->values.conn_cur;
  request(key, 1, now);
}

void Process::close(std::string_view key, TimePoint now) {
  StickTable::Entry* entry = input_.find(key);
  if (entry == nullptr || entry->values.conn_cur == 0) return;
  --entry->values.conn_cur;
  input_.touch(*entry, now);
}

void Process::tag(std::string_view key, std::uint32_t gpt0, TimePoint now) {
  StickTable::Entry* entry = input_.get(key, now);
  if (entry == nullptr) return;
  entry->values.gpt0 = gpt0;
  input_.touch(*entry, now);
}

void Process::dial(TimePoint now) {
  peers::Options options;
  options.role = peers::Role::kDialling;
  options.local_name = section_->name;
  options.remote_name = section_->agent;
  options.pid = pid_;
  options.heartbeat = kHeartbeat;
  options.idle_timeout = options.write_timeout = kReconnect;
  session_ = std::make_unique<peers::PeerSession>(options, static_cast<peers::Handler&>(*this), now);
}

void Process::connection_lost(TimePoint now) {
  session_.reset();
  defined_.clear();
  last_selected_ = 0;
  lesson_ = Lesson::kNone;
  agent_not_up_to_date_ = false;
  if (teacher_ != Teacher::kRemote) return;
  teacher_ = Teacher::kNone;
  resync_end_ = now + kResyncTimeout;
}

bool Process::connected() const {
  return session_ != nullptr && session_->state() == peers::State::kRunning;
}

bool Process::has_room() const {
  return session_->pending().size() < section_->buffer;
}

bool Process::settled() const {
  return connected() && resync_ == Resync::kFinished && lesson_ == Lesson::kNone &&
         std::none_of(cursors_.begin(), cursors_.end(), [](const Cursor& cursor) { return cursor.waits(); });
}

void Process::established(TimePoint /*now*/) {
  if (note_) note_("is connected");
  for (Cursor& cursor : cursors_) cursor.connect();
}

std::optional<std::uint32_t> Process::table_defined(const TableDefinition& definition, TimePoint /*now*/) {
  for (StickTable* table : {&input_, &total_}) {
    const TableDefinition& own = table->definition();
    if (own.name != definition.name) continue;
    if (own.key_type != definition.key_type || own.key_size != definition.key_size) return std::nullopt;
    defined_.push_back({table, definition});
    return static_cast<std::uint32_t>(defined_.size() - 1);
  }
  return std::nullopt;
}

void Process::updated(std::uint32_t handle, const peers::Update& update, TimePoint now) {
  const auto& [table, definition] = defined_[handle];
  StickTable::Entry* entry =
      table->learn(as_text(update.key), update.timed ? update.remaining : table->definition().expire, now);
  if (entry == nullptr) return;
  std::size_t cell = 0;
  for (const StoredType& stored : definition.types) {
    const auto number = static_cast<std::uint32_t>(update.cells[cell]);
    switch (stored.type) {
      case DataType::kGpt0:
        entry->values.gpt0 = number;
        break;
      case DataType::kHttpReqCnt:
        entry->values.http_req_cnt = number;
        break;
      case DataType::kHttpReqRate:
        entry->values.http_req_rate = {(tick(now) - number) & ~1U,
                                       static_cast<std::uint32_t>(update.cells[cell + 1]),
                                       static_cast<std::uint32_t>(update.cells[cell + 2])};
        break;
      default:
        break;  // conn_cur is a matter of each process
    }
    cell += traits(stored.type).kind == ValueKind::kRate ? 3U : 1U;
  }
  if (note_) note_("is told " + describe(*table, *entry, now));
}

void Process::lesson_requested(TimePoint /*now*/) {
  if (note_) note_("is asked for a lesson");
  for (Cursor& cursor : cursors_) cursor.begin_lesson();
  lesson_ = Lesson::kTeaching;
}

void Process::lesson_confirmed(TimePoint /*now*/) {
  if (note_) note_("hears that its lesson is confirmed");
  for (Cursor& cursor : cursors_) cursor.confirm();
  lesson_ = Lesson::kNone;
}

void Process::acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint /*now*/) {
  if (lesson_ != Lesson::kNone || table == 0 || table > cursors_.size()) return;
  cursors_[cursors_.size() - table].acknowledge(update_id);
}

void Process::lesson_ended(bool complete, TimePoint now) {
  if (note_) note_(complete ? "has learned all" : "has learned a part");
  if (teacher_ != Teacher::kRemote) return;
  teacher_ = Teacher::kNone;
  if (complete) {
    resync_ = Resync::kFinished;
    restored_ = true;
  } else {
    agent_not_up_to_date_ = true;
    resync_end_ = now + kResyncTimeout;
  }
}

void Process::local_lesson_begins() {
  if (resync_ == Resync::kFromLocal && teacher_ == Teacher::kNone) teacher_ = Teacher::kLocal;
}

void Process::local_lesson_ends() {
  if (teacher_ != Teacher::kLocal) return;
  teacher_ = Teacher::kNone;
  resync_ = Resync::kFinished;
}

void Process::local_lesson_breaks(TimePoint now) {
  if (teacher_ != Teacher::kLocal) return;
  teacher_ = Teacher::kNone;
  resync_end_ = now + kResyncTimeout;
}

void Process::local_update(bool to_input, const StickTable::Entry& taught, TimePoint now) {
  StickTable& table = to_input ? input_ : total_;
  StickTable::Entry* entry = table.learn(taught.key, std::max(taught.expires - now, Duration(0)), now);
  if (entry == nullptr) return;
  if (note_) note_("is told by the old process " + describe(table, taught, now));
  const std::uint32_t connections = entry->values.conn_cur;
  entry->values = taught.values;
  entry->values.conn_cur = connections;
}

void Process::check_resync(TimePoint now) {
  const bool late = now >= resync_end_;
  if (resync_ == Resync::kFromLocal && (!old_process_ || late) && teacher_ == Teacher::kNone) {
    resync_ = Resync::kFromRemote;
    resync_end_ = now + kResyncTimeout;
  }
  if (resync_ != Resync::kFromRemote || teacher_ != Teacher::kNone) return;
  if (connected() && !agent_not_up_to_date_) {
    teacher_ = Teacher::kRemote;
    lesson_asked_ = false;
  } else if (now >= resync_end_) {
    resync_ = Resync::kFinished;
  }
}

void Process::run(TimePoint now) {
  input_.purge(now);
  total_.purge(now);
  check_resync(now);
  if (connected()) send(now);
}

void Process::send(TimePoint now) {
  if (teacher_ == Teacher::kRemote && !lesson_asked_) {
    if (note_) note_("asks for a lesson");
    session_->request_lesson(now);
    lesson_asked_ = true;
  }
  const std::size_t last = last_selected_;
  for (std::size_t step = 1; step <= cursors_.size(); ++step) {
    const std::size_t index = (last + step) % cursors_.size();
    if (lesson_ == Lesson::kTeaching) {
      if (!cursors_[index].lesson_over() && !teach(index, now)) return;
    } else if (lesson_ == Lesson::kNone && teacher_ != Teacher::kRemote && cursors_[index].waits()) {
      if (!push(index, now)) return;
    }
  }
  if (lesson_ == Lesson::kTeaching) {
    lesson_ = Lesson::kAwaitsConfirm;
    if (note_) note_(resync_ == Resync::kFinished ? "ends its lesson" : "ends its lesson, which is partial");
    session_->finish_lesson(resync_ == Resync::kFinished, now);
  }
}

void Process::select(std::size_t index) {
  last_selected_ = index;
  session_->select(static_cast<peers::TableId>(cursors_.size() - index),
                   cursors_[index].table().definition());
}

bool Process::push(std::size_t index, TimePoint now) {
  if (!has_room()) return false;
  Cursor& cursor = cursors_[index];
  select(index);
  while (const StickTable::Entry* entry = cursor.next_change()) {
    if (!has_room()) return false;
    if (&cursor.table() == &input_) pushed_.push_back({entry->key, entry->expires <= now});
    send_entry(cursor.table(), *entry, /*timed=*/false, now);
    cursor.changed_sent(*entry->id);
  }
  return true;
}

bool Process::teach(std::size_t index, TimePoint now) {
  if (!has_room()) return false;
  Cursor& cursor = cursors_[index];
  select(index);
  while (const StickTable::Entry* entry = cursor.next_taught()) {
    if (!has_room()) return false;
    send_entry(cursor.table(), *entry, /*timed=*/true, now);
    cursor.taught(*entry->id);
  }
  return true;
}

void Process::send_entry(const StickTable& table, const StickTable::Entry& entry, bool timed, TimePoint now) {
  if (note_) note_((timed ? "teaches " : "pushes ") + describe(table, entry, now));
  std::optional<Duration> remaining;
  if (timed) remaining = std::max(entry.expires - now, Duration(0));
  encoder_.begin(*entry.id, remaining);
  encoder_.key(table.definition().key_type, as_bytes(entry.key));
  const Frequency& rate = entry.values.http_req_rate;
  encoder_.number(entry.values.gpt0);
  encoder_.number(entry.values.conn_cur);
  encoder_.number(entry.values.http_req_cnt);
  encoder_.rate(tick(now) - rate.start, rate.current, rate.previous);
  session_->append_update(encoder_.finish());
}

std::optional<TimePoint> Process::next_run() const {
  if (resync_ == Resync::kFinished || teacher_ != Teacher::kNone) return std::nullopt;
  return resync_end_;
}

}  // namespace stickmesh::sim
