#include "agent/daemon/handover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "agent/base/log.h"
#include "agent/daemon/state_file.h"
#include "agent/daemon/takeover.h"

namespace stickmesh::daemon {

namespace {

constexpr std::array kTryAgainAfter{Duration(1000), Duration(2000), Duration(4000)};
constexpr Duration kRunsAtLatest{10'000};
constexpr Duration kLastWord{1000};
constexpr const char* kToldToStop = "this process was told to stop";

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return fmt::format("it was ended by signal {}", WTERMSIG(status));
  return fmt::format("it ended with code {}; its log says why", WEXITSTATUS(status));
}

/// Out of the way of the numbers that the new process is to have.
net::UniqueFd moved_up(const net::UniqueFd& descriptor) {
  return net::UniqueFd(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, kLessonDescriptor + 1));
}

/// A new process ignores from its first moment on what it has no handler for yet, and what a service manager
/// tells all of its processes at once.
class Ignored {
 public:
  Ignored() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    for (std::size_t index = 0; index < kSignals.size(); ++index)
      ::sigaction(kSignals[index], &ignore, &before_[index]);
  }
  ~Ignored() {
    for (std::size_t index = 0; index < kSignals.size(); ++index)
      ::sigaction(kSignals[index], &before_[index], nullptr);
  }
  Ignored(const Ignored&) = delete;
  Ignored& operator=(const Ignored&) = delete;

 private:
  static constexpr std::array kSignals{SIGHUP, SIGUSR2};
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace

Handover::Handover(net::Loop& loop, pipeline::Hub& hub, ErrorLog& errors, Setup setup, Agent agent)
    : loop_(loop),
      hub_(hub),
      errors_(errors),
      setup_(std::move(setup)),
      agent_(std::move(agent)),
      timer_(loop, [this] { timed_out(); }),
      child_signal_(loop, SIGCHLD, [this] { child_may_have_ended(); }) {}

Handover::~Handover() {
  if (phase_ != Phase::kGone) kill_process();
}

Result<std::uint64_t> Handover::begin() {
  if (abandoned_) return refuse(Reason::kStopping, kToldToStop);
  if (hub_.restoring()) {
    return refuse(Reason::kReloadFailed,
                  "what Redis has kept is being read back: ask again in a few seconds");
  }
  // It will read the config as it is then.
  if (phase_ == Phase::kWaiting) return number_;
  if (phase_ != Phase::kIdle) {
    return refuse(Reason::kReloadFailed, "a soft restart is under way, with the config as it was: ask again");
  }
  ++number_;
  tries_ = 0;
  outcome_.reset();
  start();
  return number_;
}

std::optional<Result<std::string>> Handover::ended(std::uint64_t number) const {
  if (number == number_) return outcome_;
  return refuse(Reason::kReloadFailed, "another soft restart has followed it");
}

void Handover::start() {
  loop_.refresh();
  began_ = loop_.now();
  ++tries_;
  problem_.clear();
  phase_ = Phase::kTeaching;
  const Result<void> started = start_process();
  if (started) return;
  child_ == 0 ? fail(to_string(started.error())) : teaching_ended(started.error());
}

Result<void> Handover::start_process() {
  auto channel = net::DescriptorChannel::make_pair();
  if (!channel) return tl::unexpected(channel.error());
  auto lesson = net::DescriptorChannel::make_stream();
  if (!lesson) return tl::unexpected(lesson.error());
  const net::UniqueFd theirs = moved_up(channel->second);
  const net::UniqueFd their_lesson = moved_up(lesson->second);
  if (!theirs || !their_lesson) {
    return refuse(Reason::kSystem, fmt::format("no descriptors: {}", std::strerror(errno)));
  }
  std::array<std::string, 4> words{setup_.program, "-f", setup_.config_file, kTakeoverOption};
  std::array<char*, words.size() + 1> arguments{};
  for (std::size_t index = 0; index < words.size(); ++index) arguments[index] = words[index].data();

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), kChannelDescriptor);
  ::posix_spawn_file_actions_adddup2(&actions, their_lesson.get(), kLessonDescriptor);
  int error = 0;
  {
    const Ignored ignored;
    error = ::posix_spawn(&child_, setup_.program.c_str(), &actions, nullptr, arguments.data(), environ);
  }
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    child_ = 0;
    return refuse(Reason::kSystem,
                  fmt::format("{} cannot be started: {}", setup_.program, std::strerror(error)));
  }
  log::notice("soft restart: process {} was started", child_);
  channel_ = std::make_unique<net::DescriptorChannel>(
      loop_, std::move(channel->first),
      [this](std::string_view text, const std::vector<net::UniqueFd>&) { heard(text); }, [] {});
  Listening listening = agent_.listeners();
  const std::string verb =
      fmt::format("state {} {} {}", kHandoverVersion, listening.activated, hub_.setup().agent_name);
  if (auto sent = send_state(verb, std::move(listening.sockets)); !sent) return sent;
  return teach(std::move(lesson->first));
}

Result<void> Handover::teach(net::UniqueFd lesson) {
  auto session = std::make_unique<pipeline::TeachingLink>(hub_, loop_.now());
  link_ = session.get();
  lesson_ = std::make_unique<net::Connection>(loop_, std::move(lesson), net::SocketAddress(),
                                              std::move(session), [this](net::Connection&, const Error& why) {
                                                link_ = nullptr;
                                                loop_.bury(std::move(lesson_));
                                                teaching_ended(why);
                                              });
  return {};
}

// Mostly because the new process has ended, and what it says, or how, is the better reason.
void Handover::teaching_ended(const Error& why) {
  problem_ = to_string(why);
  if (!under_way()) return;
  if (phase_ == Phase::kTeaching) timer_.set(loop_.now() + kLastWord);
}

Result<void> Handover::send_state(std::string_view verb, std::vector<int> listeners) {
  const auto file = write_state(hub_, loop_.now());
  if (!file) return tl::unexpected(file.error());
  listeners.insert(listeners.begin(), file->get());
  return channel_->send(verb, listeners);
}

bool Handover::run(TimePoint now) {
  if (link_ == nullptr || (phase_ != Phase::kTeaching && phase_ != Phase::kFlushing)) return false;
  const bool freezing = phase_ == Phase::kFlushing;
  if (auto taught = link_->run(now, freezing); !taught) {
    fail(to_string(taught.error()), /*again=*/true);
    return false;
  }
  if (freezing && link_->all_sent()) flushed();
  return link_ != nullptr && link_->busy();
}

void Handover::heard(std::string_view text) {
  if (!under_way() || child_ == 0) return heard_last(text);
  if (text == "learned" && phase_ == Phase::kTeaching) return freeze();
  if (text == "ready" && phase_ == Phase::kSwitching) {
    phase_ = Phase::kGoing;
    timer_.set(loop_.now() + kRunsAtLatest);
    if (auto sent = channel_->send("go"); !sent) fail(to_string(sent.error()));
    return;
  }
  if (text == "running" && phase_ == Phase::kGoing) {
    timer_.stop();
    phase_ = Phase::kGone;
    loop_.refresh();
    outcome_ = fmt::format("process {} is in charge; it took {} ms, and the switch {} ms", child_,
                           (loop_.now() - began_).count(), (loop_.now() - frozen_at_).count());
    log::notice("soft restart: {}", **outcome_);
    agent_.retire(child_);
    // If it does not hear it, it sees this process end.
    (void)channel_->send("retired");
    return;
  }
  heard_last(text);
}

// Also of one that has ended meanwhile.
void Handover::heard_last(std::string_view text) {
  constexpr std::string_view kFailed = "failed ";
  if (under_way() && text.starts_with(kFailed)) fail(std::string(text.substr(kFailed.size())));
}

void Handover::freeze() {
  loop_.refresh();
  phase_ = Phase::kFlushing;
  frozen_at_ = loop_.now();
  timer_.set(frozen_at_ + setup_.switch_timeout);
  agent_.freeze();
  hub_.wake();
}

void Handover::flushed() {
  phase_ = Phase::kSwitching;
  if (const std::uint64_t left_out = link_->left_out(); left_out != 0) {
    errors_.record(
        {Reason::kMessageTooLong, fmt::format("{} contributions are too long to be told", left_out)},
        "soft restart", loop_.now());
  }
  if (auto sent = send_sockets(); !sent) return fail(to_string(sent.error()));
  if (auto sent = send_state(fmt::format("switch {}", link_->size()), {}); !sent)
    fail(to_string(sent.error()));
}

Result<void> Handover::send_sockets() {
  const std::vector<SpoeSocket> sockets = agent_.spoe_sockets();
  const auto parcels = pack(sockets);
  if (!parcels) return tl::unexpected(parcels.error());
  for (const SpoeParcel& parcel : *parcels) {
    std::vector<int> descriptors = {parcel.file.get()};
    descriptors.insert(descriptors.end(), parcel.sockets.begin(), parcel.sockets.end());
    if (auto sent = channel_->send(kSocketsVerb, descriptors); !sent) return sent;
  }
  return {};
}

void Handover::timed_out() {
  if (phase_ == Phase::kWaiting) return start();
  if (phase_ == Phase::kTeaching || (phase_ == Phase::kFlushing && !problem_.empty())) return fail(problem_);
  if (phase_ == Phase::kGoing) return fail("the new process did not begin to serve");
  fail(
      fmt::format("the switch took longer than [agent] switch-timeout = {}", describe(setup_.switch_timeout)),
      /*again=*/true);
}

void Handover::child_may_have_ended() {
  int status = 0;
  if (child_ == 0 || ::waitpid(child_, &status, WNOHANG) != child_) return;
  child_ = 0;
  // Its last word, if there is one, says more.
  if (channel_) channel_->read_all();
  // Also if it had begun to serve: then it has served for a moment only, and this one has not gone yet.
  if (under_way()) fail(describe_exit(status));
}

void Handover::fail(std::string why, bool again, Reason reason) {
  const bool was_frozen = frozen();
  const bool served = phase_ == Phase::kGoing || phase_ == Phase::kGone;
  timer_.stop();
  end_process();
  if (served) {
    hub_.meet_agents_anew();
    agent_.drop_spoe();
  }
  again = again && tries_ <= kTryAgainAfter.size();
  phase_ = again ? Phase::kWaiting : Phase::kIdle;
  if (again) {
    const Duration wait = kTryAgainAfter[tries_ - 1];
    log::warning("soft restart: {}; it is tried again in {}", why, describe(wait));
    timer_.set(loop_.now() + wait);
  } else {
    const Error error{reason, std::move(why)};
    errors_.record(error, "soft restart: this process stays in charge", loop_.now());
    outcome_ = tl::unexpected(error);
  }
  if (was_frozen) agent_.thaw();
  if (!again) agent_.stays(outcome_->error().detail);
}

void Handover::kill_process() {
  if (child_ == 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
  child_ = 0;
}

// What called us may be a callback of what is to go.
void Handover::end_process() {
  if (channel_) {
    channel_->stop();
    loop_.bury(std::move(channel_));
  }
  kill_process();
  if (lesson_) {
    link_ = nullptr;
    lesson_->suspend();
    loop_.bury(std::move(lesson_));
  }
}

void Handover::abandon() {
  abandoned_ = true;
  if (phase_ == Phase::kIdle) return;
  fail(kToldToStop, false, Reason::kStopping);
}

}  // namespace stickmesh::daemon
