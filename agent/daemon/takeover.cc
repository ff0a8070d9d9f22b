#include "agent/daemon/takeover.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "agent/base/log.h"
#include "agent/daemon/state_file.h"
#include "agent/pipeline/succession.h"

namespace stickmesh::daemon {

namespace {

constexpr std::string_view kState = "state ";
constexpr std::string_view kSwitch = "switch ";

/// Takes a number and the space behind it off |words|.
std::optional<std::uint64_t> take_number(std::string_view& words) {
  std::uint64_t number = 0;
  const char* const last = words.data() + words.size();
  const auto [end, error] = std::from_chars(words.data(), last, number);
  if (error != std::errc{} || end == last || *end != ' ') return std::nullopt;
  words.remove_prefix(static_cast<std::size_t>(end - words.data()) + 1);
  return number;
}

}  // namespace

void Takeover::tell_failure(std::string_view why) {
  // If it does not hear it, it sees this process end.
  (void)net::DescriptorChannel::send(kChannelDescriptor, fmt::format("failed {}", why));
}

Takeover::Takeover(net::Loop& loop, pipeline::Hub& hub, Agent agent)
    : loop_(loop),
      hub_(hub),
      agent_(std::move(agent)),
      lesson_socket_(kLessonDescriptor),
      channel_(
          loop, net::UniqueFd(kChannelDescriptor),
          [this](std::string_view text, std::vector<net::UniqueFd> descriptors) {
            heard(text, std::move(descriptors));
          },
          [this] { channel_ended(); }) {
  // A soft restart of this process is none of theirs.
  for (const int inherited : {kChannelDescriptor, kLessonDescriptor}) ::fcntl(inherited, F_SETFD, FD_CLOEXEC);
}

void Takeover::heard(std::string_view text, std::vector<net::UniqueFd> descriptors) {
  if (text.starts_with(kState) && phase_ == Phase::kLearning && !lesson_) {
    if (auto begun = begin(text.substr(kState.size()), std::move(descriptors)); !begun)
      fail(begun.error().detail);
  } else if (text.starts_with(kSwitch) && phase_ == Phase::kLearned && !descriptors.empty()) {
    text.remove_prefix(kSwitch.size());
    std::from_chars(text.data(), text.data() + text.size(), lesson_size_);
    last_state_ = std::move(descriptors.front());
    take_over_if_complete();
  } else if (text == kSocketsVerb && phase_ == Phase::kLearned) {
    if (auto kept = agent_.keep_sockets(std::move(descriptors)); !kept) fail(kept.error().detail);
  } else if (text == "go" && phase_ == Phase::kReady) {
    phase_ = Phase::kServing;
    agent_.serve();
    if (auto sent = channel_.send("running"); !sent)
      log::warning("soft restart: {}", to_string(sent.error()));
    agent_.tidy_up();
  } else if (text == "retired" && phase_ == Phase::kServing) {
    other_is_gone();
  }
}

Result<void> Takeover::begin(std::string_view words, std::vector<net::UniqueFd> descriptors) {
  const std::optional<std::uint64_t> version = take_number(words);
  const std::optional<std::uint64_t> activated = take_number(words);
  if (version != kHandoverVersion || !activated) {
    return refuse(
        Reason::kReloadFailed,
        fmt::format("the process in charge is another version, whose soft restart ({}) this one ({}) does "
                    "not understand: restart the service; what it holds is then read from its snapshot",
                    version ? fmt::format("{}", *version) : "?", kHandoverVersion));
  }
  const std::string_view name = words;
  if (name != hub_.setup().agent_name) {
    return refuse(Reason::kReloadFailed,
                  fmt::format("[agent] name cannot change from '{}' to '{}' without a restart", name,
                              hub_.setup().agent_name));
  }
  if (descriptors.empty()) return refuse(Reason::kSystem, "no state was passed on");
  if (auto read = read_state(descriptors.front().get(), hub_, loop_.now()); !read) return read;
  descriptors.erase(descriptors.begin());
  if (auto prepared = agent_.prepare(std::move(descriptors), *activated); !prepared) return prepared;
  learn();
  return {};
}

void Takeover::learn() {
  auto session = std::make_unique<pipeline::LearningLink>(
      hub_,
      [this] {
        phase_ = Phase::kLearned;
        if (auto sent = channel_.send("learned"); !sent) fail(sent.error().detail);
      },
      [this] { take_over_if_complete(); }, loop_.now());
  link_ = session.get();
  lesson_ = std::make_unique<net::Connection>(loop_, std::move(lesson_socket_), net::SocketAddress(),
                                              std::move(session), [this](net::Connection&, const Error& why) {
                                                link_ = nullptr;
                                                loop_.bury(std::move(lesson_));
                                                fail(to_string(why));
                                              });
}

void Takeover::take_over_if_complete() {
  if (phase_ != Phase::kLearned || !last_state_ || link_->size() < lesson_size_) return;
  link_ = nullptr;
  loop_.bury(std::move(lesson_));
  loop_.refresh();
  if (auto read = read_state(last_state_.get(), hub_, loop_.now()); !read) return fail(read.error().detail);
  last_state_.reset();
  phase_ = Phase::kReady;
  if (auto sent = channel_.send("ready"); !sent) fail(sent.error().detail);
}

void Takeover::fail(std::string_view why) {
  if (!waiting() || std::exchange(phase_, Phase::kFailed) == Phase::kFailed) return;
  log::error("soft restart: {}", why);
  (void)channel_.send(fmt::format("failed {}", why));
  agent_.give_up();
}

void Takeover::other_is_gone() {
  phase_ = Phase::kInCharge;
  agent_.take_charge();
}

void Takeover::channel_ended() {
  if (phase_ == Phase::kServing) return other_is_gone();
  fail("the process before this one has ended");
}

}  // namespace stickmesh::daemon
