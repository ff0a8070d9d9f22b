#include "agent/daemon/spoe_sockets.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "agent/daemon/state_file.h"
#include "agent/net/descriptor_channel.h"

namespace stickmesh::daemon {

namespace {

constexpr std::size_t kSocketsOfParcel = net::DescriptorChannel::kMaxDescriptors - 1;

std::uint64_t milliseconds(TimePoint when) {
  return static_cast<std::uint64_t>(when.time_since_epoch().count());
}
TimePoint time_of(std::uint64_t milliseconds) {
  return TimePoint(Duration(static_cast<Duration::rep>(milliseconds)));
}

void write_bytes(Writer& out, Bytes bytes) {
  out.varint(bytes.size());
  out.bytes(bytes);
}
std::vector<std::byte> read_bytes(Reader& in) {
  const Bytes bytes = in.bytes(in.varint());
  return {bytes.begin(), bytes.end()};
}

// Both directions go through the same list, so that they agree.
template <typename Counters, typename Each>
void for_each_counter(Counters& counters, Each&& each) {
  for (auto* counter :
       {&counters.bytes_in, &counters.bytes_out, &counters.frames_in, &counters.events, &counters.answered,
        &counters.overloaded, &counters.malformed, &counters.failed, &counters.fragments_in,
        &counters.fragmented_too_long, &counters.withdrawn, &counters.skipped, &counters.actions_left_out}) {
    each(*counter);
  }
}

void write_session(Writer& out, const spoe::SavedSession& session) {
  out.u8(static_cast<std::uint8_t>(session.state));
  out.varint(session.frame_size);
  write_bytes(out, as_bytes(session.engine_id));
  write_bytes(out, session.input);
  out.varint(milliseconds(session.input_since));
  write_bytes(out, session.output);
  out.u8(static_cast<std::uint8_t>(session.fragments.stage));
  out.varint(session.fragments.stream_id);
  out.varint(session.fragments.frame_id);
  out.varint(milliseconds(session.fragments.since));
  write_bytes(out, session.fragments.payload);
  for_each_counter(session.counters, [&](std::uint64_t counter) { out.varint(counter); });
}

spoe::SavedSession read_session(Reader& in) {
  spoe::SavedSession session;
  session.state = static_cast<spoe::State>(in.u8());
  session.frame_size = static_cast<std::size_t>(in.varint());
  const Bytes engine = in.bytes(in.varint());
  session.engine_id = as_text(engine);
  session.input = read_bytes(in);
  session.input_since = time_of(in.varint());
  session.output = read_bytes(in);
  session.fragments.stage = static_cast<spoe::Fragments::Stage>(in.u8());
  session.fragments.stream_id = in.varint();
  session.fragments.frame_id = in.varint();
  session.fragments.since = time_of(in.varint());
  session.fragments.payload = read_bytes(in);
  for_each_counter(session.counters, [&](std::uint64_t& counter) { counter = in.varint(); });
  if (session.state > spoe::State::kRunning || session.fragments.stage > spoe::Fragments::Stage::kRefused) {
    in.fail(Reason::kValueOutOfRange);
  }
  return session;
}

Bytes bytes_of(const net::SocketAddress& address) {
  return {reinterpret_cast<const std::byte*>(address.raw()), address.size()};
}

net::SocketAddress read_address(Reader& in) {
  const std::vector<std::byte> bytes = read_bytes(in);
  sockaddr_storage storage{};
  if (bytes.empty() || bytes.size() > sizeof storage) return {};
  std::memcpy(&storage, bytes.data(), bytes.size());
  return {reinterpret_cast<const sockaddr*>(&storage), static_cast<socklen_t>(bytes.size())};
}

}  // namespace

Result<std::vector<SpoeParcel>> pack(std::span<const SpoeSocket> sockets) {
  std::vector<SpoeParcel> parcels;
  std::vector<std::byte> bytes;
  while (!sockets.empty()) {
    SpoeParcel parcel;
    bytes.clear();
    Writer out(bytes);
    const auto some = sockets.first(std::min(sockets.size(), kSocketsOfParcel));
    for (const SpoeSocket& socket : some) {
      parcel.sockets.push_back(socket.socket);
      write_bytes(out, bytes_of(socket.from));
      write_session(out, socket.session);
    }
    auto file = file_of(bytes);
    if (!file) return tl::unexpected(file.error());
    parcel.file = std::move(*file);
    parcels.push_back(std::move(parcel));
    sockets = sockets.subspan(some.size());
  }
  return parcels;
}

Result<std::vector<ReceivedSpoeSocket>> unpack(std::vector<net::UniqueFd> descriptors) {
  if (descriptors.empty()) return refuse(Reason::kSystem, "no SPOE sockets were passed on");
  const auto bytes = content_of(descriptors.front().get());
  if (!bytes) return tl::unexpected(bytes.error());
  Reader in{Bytes(*bytes)};
  std::vector<ReceivedSpoeSocket> sockets;
  for (std::size_t index = 1; index < descriptors.size(); ++index) {
    ReceivedSpoeSocket received;
    received.socket = std::move(descriptors[index]);
    received.from = read_address(in);
    received.session = read_session(in);
    sockets.push_back(std::move(received));
  }
  if (!in.ok() || in.remaining() != 0) {
    return refuse(Reason::kReloadFailed, "the SPOE sockets are not what the file with them says");
  }
  return sockets;
}

}  // namespace stickmesh::daemon
