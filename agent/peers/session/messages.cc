#include <fmt/format.h>

#include "agent/peers/session/session_impl.h"
#include "agent/peers/wire/ack.h"

namespace stickmesh::peers {

namespace {

/// The error message that tells the other side why we close.
ErrorType reply_to(Reason reason) {
  return reason == Reason::kMessageTooLong ? ErrorType::kSizeLimit : ErrorType::kProtocol;
}

Error reported_error(std::uint8_t type) {
  switch (static_cast<ErrorType>(type)) {
    case ErrorType::kProtocol:
      return {Reason::kPeerReportedError, "it found a protocol error in what we sent"};
    case ErrorType::kSizeLimit:
      return {Reason::kPeerReportedError, "a message of ours was too long for it"};
  }
  return {Reason::kPeerReportedError, fmt::format("error {}", type)};
}

Error framing_error(Reason reason, std::size_t max_message) {
  if (reason != Reason::kMessageTooLong) return {reason, "message header"};
  return {reason, fmt::format("more than {} bytes", max_message)};
}

}  // namespace

Result<void> PeerSession::Impl::take_messages(Bytes in, TimePoint now) {
  while (running()) {
    const Frame frame = assembler.next(in);
    if (frame.status == FrameStatus::kNeedMore) break;
    Result<void> taken = frame.status == FrameStatus::kMessage
                             ? dispatch(frame.message, now)
                             : tl::unexpected(framing_error(frame.reason, options.max_message));
    if (taken) continue;
    if (taken.error().reason != Reason::kPeerReportedError) {
      Writer writer = output.writer();
      encode_error(reply_to(taken.error().reason), writer);
    }
    return taken;
  }
  if (running()) learner.write_acks(output.writer());
  return {};
}

Result<void> PeerSession::Impl::dispatch(const Message& message, TimePoint now) {
  ++traffic.messages_in;
  switch (message.message_class) {
    case MessageClass::kControl:
      take_control(static_cast<ControlType>(message.type), now);
      return {};
    case MessageClass::kError:
      return tl::unexpected(reported_error(message.type));
    case MessageClass::kStickTable:
      return take_table_message(static_cast<TableType>(message.type), message.body, now);
    case MessageClass::kReserved:
      return refuse(Reason::kReservedClass);
  }
  return {};  // of a later version of the protocol
}

void PeerSession::Impl::take_control(ControlType type, TimePoint now) {
  switch (type) {
    case ControlType::kResyncRequest:
      lesson_asked = true;
      ++traffic.resyncs_in;
      handler.lesson_requested(now);
      return;
    case ControlType::kResyncFinished:
      take_lesson_end(/*complete=*/true, now);
      return;
    case ControlType::kResyncPartial:
      take_lesson_end(/*complete=*/false, now);
      return;
    case ControlType::kResyncConfirm:
      if (!confirm_awaited) return;
      confirm_awaited = false;
      handler.lesson_confirmed(now);
      return;
    case ControlType::kHeartbeat:
      ++traffic.heartbeats_in;
      return;
  }
}

void PeerSession::Impl::take_lesson_end(bool complete, TimePoint now) {
  send(ControlType::kResyncConfirm);
  switch (learner.end_lesson()) {
    case Learner::LessonEnd::kUnasked:
      return;
    case Learner::LessonEnd::kRestart:
      send(ControlType::kResyncRequest);
      return;
    case Learner::LessonEnd::kEnded:
      handler.lesson_ended(complete, now);
      return;
  }
}

Result<void> PeerSession::Impl::take_table_message(TableType type, Bytes body, TimePoint now) {
  switch (type) {
    case TableType::kUpdate:
    case TableType::kImplicitUpdate:
    case TableType::kTimedUpdate:
    case TableType::kImplicitTimedUpdate:
      return learner.update(type, body, now);
    case TableType::kDefinition:
      return learner.define(body, now);
    case TableType::kSwitch:
      return learner.select(body);
    case TableType::kAck: {
      const Result<Ack> ack = decode_ack(body);
      if (!ack) return tl::unexpected(ack.error());
      ++traffic.acks_in;
      handler.acknowledged(ack->table, ack->update_id, now);
      return {};
    }
  }
  return {};
}

}  // namespace stickmesh::peers
