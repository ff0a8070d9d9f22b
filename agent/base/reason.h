#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stickmesh {

/// Every way in which input or a peer can be refused. Each is counted by `ErrorLog`, under its name.
enum class Reason : std::uint8_t {
  kTruncated,           ///< a field reaches past the end of its message
  kVarintOverflow,      ///< a variable-length integer that does not fit 64 bits
  kValueOutOfRange,     ///< a number above what its field allows
  kMessageTooLong,      ///< a length above the receive limit
  kReservedClass,       ///< message class 255
  kPeerReportedError,   ///< the other side sent an error message
  kBadHello,            ///< the handshake is not the protocol's
  kBadVersion,          ///< a protocol version that is not spoken here
  kWrongPeerName,       ///< the other side calls us by another name
  kUnknownPeer,         ///< no such peer is configured
  kOwnName,             ///< a peer that uses this agent's own name
  kForbiddenAddress,    ///< an address from which that peer may not come
  kNoTls,               ///< no TLS where this agent wants it
  kUnexpectedTls,       ///< TLS where this agent has none
  kTlsFailed,           ///< a TLS handshake or record that could not be used
  kUnknownAuthority,    ///< a certificate that no authority of `ca` has signed
  kCertificateExpired,  ///< a certificate at the wrong time
  kWrongCertificate,    ///< a certificate without the peer's name
  kBadCertificate,      ///< no certificate, or one that is of no use for other reasons
  kCertificateRefused,  ///< the other side does not accept this agent's certificate
  kDuplicateSession,    ///< a second live session of the same process
  kReplacedSession,     ///< a newer session took its place
  kRefusedByPeer,       ///< the other side answered our hello with an error status
  kHandshakeTimeout,    ///< no complete hello or status in time
  kIdleTimeout,         ///< nothing received for too long
  kNotReading,          ///< nothing could be sent for too long
  kBadDefinition,       ///< a table definition that HAProxy could not have sent
  kUnknownTableId,      ///< update, switch or acknowledgement of a table that was not defined
  kBadKey,              ///< a key that does not fit its table
  kBadDictionaryId,     ///< a dictionary id outside 1 to 128, or one that was never filled
  kTooManyTables,       ///< more tables than `max-tables`
  kTooManyOrigins,      ///< more origins than `max-origins`
  kDefinitionMismatch,  ///< two origins define one table differently
  kTableFull,           ///< an instance's table of totals has no room for all keys
  kSuspectedMixing,     ///< two origins have equal counters on many keys
  kRulesMismatch,       ///< two agents treat tables by different rules
  kServerMismatch,      ///< two origins know servers by different ids or names
  kNoMemory,            ///< `max-memory` leaves no room
  kConnectFailed,       ///< the connection could not be made
  kConnectionLost,      ///< the connection was closed or reset
  kBadCommand,          ///< a runtime command that cannot be understood
  kNotFound,            ///< a table, key or peer that does not exist
  kNotItsOrigin,        ///< an agent that says what only another may say
  kBadSnapshot,         ///< a snapshot that is damaged, or not this agent's
  kReloadFailed,        ///< a soft restart after which the old process stays in charge
  kStopping,            ///< asked for of an agent that was told to stop
  kBadFrame,            ///< SPOE: a frame that HAProxy could not have sent
  kBadMessage,          ///< SPOE: messages or arguments that cannot be read
  kFrameTimeout,        ///< SPOE: a frame that was begun and not finished in time
  kOverload,            ///< SPOE: answered without a decision, because the deadline had passed
  kRedis,               ///< an answer of Redis that is an error, or none at all
  kHook,                ///< a Lua hook that cannot be loaded, or has failed
  kSystem,              ///< the operating system refused
  kCount,
};

inline constexpr std::size_t kReasonCount = static_cast<std::size_t>(Reason::kCount);

/// The reason in the words of `show errors`, such as "varint-overflow".
std::string_view reason_name(Reason reason);

}  // namespace stickmesh
