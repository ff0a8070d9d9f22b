#include "spoe/wire/ack.h"

#include <algorithm>
#include <array>

namespace stickmesh::spoe {

namespace {

constexpr std::uint8_t kSetVar = 1;
constexpr std::uint8_t kSetVarArguments = 3;
constexpr std::uint8_t kUnsetVar = 2;
constexpr std::uint8_t kUnsetVarArguments = 2;
constexpr std::size_t kActionHead = 3;

constexpr std::array<bool, 256> name_characters() {
  std::array<bool, 256> allowed{};
  for (const char character :
       std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")) {
    allowed[static_cast<unsigned char>(character)] = true;
  }
  return allowed;
}

constexpr std::array<bool, 256> kNameCharacters = name_characters();

std::byte* encode_action_head(std::uint8_t type, std::uint8_t arguments, Scope scope, std::byte* out) {
  *out++ = static_cast<std::byte>(type);
  *out++ = static_cast<std::byte>(arguments);
  *out++ = static_cast<std::byte>(scope);
  return out;
}

}  // namespace

bool is_variable_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxVariableName &&
         std::all_of(name.begin(), name.end(),
                     [](char character) { return kNameCharacters[static_cast<unsigned char>(character)]; });
}

AckWriter::AckWriter(Buffer& out, std::uint64_t stream_id, std::uint64_t frame_id, std::size_t limit,
                     std::uint32_t flags)
    : out_(out), start_(out.size()), limit_(limit) {
  out_.commit_to(
      encode_frame_head({FrameType::kAck, flags, stream_id, frame_id}, 0, out_.room(kMaxFrameHead)));
  first_action_ = out_.size();
}

std::byte* AckWriter::begin_action(std::string_view name, std::size_t size) {
  if (!is_variable_name(name)) {
    ++left_out_;
    return nullptr;
  }
  // A value that is longer than any frame must not make the buffer grow.
  if (full_ || size > limit_ + kMaxFrameHead) {
    full_ = true;
    ++left_out_;
    return nullptr;
  }
  return out_.room(size);
}

bool AckWriter::end_action(const std::byte* end) {
  const std::size_t before = out_.size();
  out_.commit_to(end);
  if (out_.size() - start_ - kLengthSize > limit_) {
    out_.truncate(before);
    full_ = true;
    ++left_out_;
    return false;
  }
  ++actions_;
  return true;
}

bool AckWriter::set(Scope scope, std::string_view name, const Value& value) {
  std::byte* at = begin_action(name, kActionHead + kMaxVarintSize + name.size() + max_value_size(value));
  if (at == nullptr) return false;
  at = encode_action_head(kSetVar, kSetVarArguments, scope, at);
  return end_action(encode_value(value, encode_name(name, at)));
}

bool AckWriter::unset(Scope scope, std::string_view name) {
  std::byte* at = begin_action(name, kActionHead + kMaxVarintSize + name.size());
  if (at == nullptr) return false;
  at = encode_action_head(kUnsetVar, kUnsetVarArguments, scope, at);
  return end_action(encode_name(name, at));
}

void AckWriter::clear() {
  out_.truncate(first_action_);
  actions_ = 0;
  full_ = false;
}

void AckWriter::finish() {
  encode_frame_length(out_.size() - start_ - kLengthSize, out_.at(start_));
}

std::optional<Action> ActionReader::next() {
  if (!reader_.ok() || reader_.remaining() == 0) return std::nullopt;
  Action action;
  const std::uint8_t type = reader_.u8();
  const std::uint8_t arguments = reader_.u8();
  const std::uint8_t scope = reader_.u8();
  action.set = type == kSetVar;
  action.scope = static_cast<Scope>(scope);
  const bool known =
      action.set ? arguments == kSetVarArguments : type == kUnsetVar && arguments == kUnsetVarArguments;
  if (!known || scope > static_cast<std::uint8_t>(Scope::kResponse)) reader_.fail(Reason::kBadMessage);
  action.name = read_name(reader_);
  if (action.set) action.value = read_value(reader_);
  if (!reader_.ok()) return std::nullopt;
  return action;
}

}  // namespace stickmesh::spoe
