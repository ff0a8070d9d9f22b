"""HAProxy's peers protocol, version 2.1, as bytes. A second, slow and obvious implementation beside the daemon's, so
that the tests don't share its mistakes. All tables of types and numbers are HAProxy's."""
from __future__ import annotations

import dataclasses
import socket
import struct
from typing import Any

CONTROL, ERROR, TABLE = 0, 1, 10
REQUEST, FINISHED, PARTIAL, CONFIRM, HEARTBEAT = range(5)
UPDATE, UPDATE_NEXT, DEFINE, SWITCH, ACK, TIMED, TIMED_NEXT = 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86

INTEGER, IP, IPV6, STRING, BINARY = 2, 4, 5, 6, 7

TYPE_NAMES = [
    "server_id", "gpt0", "gpc0", "gpc0_rate", "conn_cnt", "conn_rate", "conn_cur", "sess_cnt", "sess_rate",
    "http_req_cnt", "http_req_rate", "http_err_cnt", "http_err_rate", "bytes_in_cnt", "bytes_in_rate",
    "bytes_out_cnt", "bytes_out_rate", "gpc1", "gpc1_rate", "server_key", "http_fail_cnt", "http_fail_rate", "gpt",
    "gpc", "gpc_rate", "glitch_cnt", "glitch_rate",
]


class Malformed(Exception):
    """Bytes that the protocol does not allow."""


def varint(value: int) -> bytes:
    """Little end first, 4 bits in the first byte; not LEB128. Negative numbers are sign-extended to 64 bits."""
    value &= (1 << 64) - 1
    if value < 240:
        return bytes([value])
    out = bytearray([(value & 0xFF) | 0xF0])
    rest = (value - 240) >> 4
    while rest >= 128:
        out.append((rest & 0xFF) | 0x80)
        rest = (rest - 128) >> 7
    out.append(rest)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, position behind it). Raises IndexError when |data| ends within it."""
    value = data[at]
    at += 1
    if value >= 240:
        shift = 4
        while True:
            byte = data[at]
            at += 1
            value += byte << shift
            shift += 7
            if byte < 128:
                break
    if value >= 1 << 64:
        raise Malformed("varint overflow")
    return value, at


@dataclasses.dataclass(frozen=True)
class DataType:
    """A stored type: |elements| above 0 makes it an array, |period| (ms) belongs to rates."""
    name: str
    period: int = 0
    elements: int = 0

    @property
    def number(self) -> int:
        return TYPE_NAMES.index(self.name)

    @property
    def is_rate(self) -> bool:
        return self.name.endswith("_rate")

    def parameters(self) -> bytes:
        if self.is_rate and self.elements:
            return varint(self.number) + varint(self.elements) + varint(self.period)
        if self.is_rate:
            return varint(self.number) + varint(self.period)
        return varint(self.number) + varint(self.elements) if self.elements else b""


class Dictionary:
    """The cache of server_key strings of one direction of one connection: 128 slots, filled round robin."""

    def __init__(self) -> None:
        self._slots: dict[int, str] = {}
        self._next = 0

    def encode(self, text: str | None) -> bytes:
        if text is None:
            return varint(0)
        for slot, known in self._slots.items():
            if known == text:
                body = varint(slot)
                return varint(len(body)) + body
        slot = self._next % 128 + 1
        self._next += 1
        self._slots[slot] = text
        body = varint(slot) + varint(len(text)) + text.encode()
        return varint(len(body)) + body

    def decode(self, data: bytes, at: int) -> tuple[str | None, int]:
        length, at = read_varint(data, at)
        end = at + length
        if length == 0:
            return None, at
        slot, at = read_varint(data, at)
        if at < end:
            size, at = read_varint(data, at)
            self._slots[slot] = data[at:at + size].decode()
        return self._slots.get(slot), end


@dataclasses.dataclass
class Table:
    """A table as its owner defines it, and what its owner knows of it: the ids go on over all its connections."""
    name: str
    types: list[DataType]
    key_type: int = STRING
    key_len: int = 65
    expire: int = 600_000
    number: int = 1
    last_id: int = 0
    entries: dict[Any, tuple[int, dict[str, Any]]] = dataclasses.field(default_factory=dict)

    def definition(self) -> bytes:
        name = self.name.encode()
        bits = sum(1 << kind.number for kind in self.types)
        body = (varint(self.number) + varint(len(name)) + name + varint(self.key_type) + varint(self.key_len)
                + varint(bits) + varint(self.expire))
        for kind in sorted(self.types, key=lambda kind: kind.number):
            body += kind.parameters()
        return message(TABLE, DEFINE, body)

    def change(self, key: Any, **values: Any) -> int:
        """Notes a local change, as HAProxy does: the table's next update id now belongs to |key|."""
        self.last_id = (self.last_id + 1) & 0xFFFFFFFF or 1
        self.entries[key] = (self.last_id, values)
        return self.last_id

    def encode_key(self, key: Any) -> bytes:
        if self.key_type == INTEGER:
            return struct.pack(">I", key)
        if self.key_type == IP:
            return socket.inet_aton(key)
        if self.key_type == IPV6:
            return socket.inet_pton(socket.AF_INET6, key)
        if self.key_type == BINARY:
            return bytes(key).ljust(self.key_len, b"\0")
        return varint(len(key.encode())) + key.encode()

    def decode_key(self, data: bytes, at: int) -> tuple[Any, int]:
        if self.key_type == INTEGER:
            return struct.unpack_from(">I", data, at)[0], at + 4
        if self.key_type == IP:
            return socket.inet_ntoa(data[at:at + 4]), at + 4
        if self.key_type == IPV6:
            return socket.inet_ntop(socket.AF_INET6, data[at:at + 16]), at + 16
        if self.key_type == BINARY:
            return data[at:at + self.key_len], at + self.key_len
        size, at = read_varint(data, at)
        return data[at:at + size].decode(), at + size

    def update(self, key: Any, dictionary: Dictionary, remaining: int | None = None) -> bytes:
        """The update message of |key| as the table has it now."""
        update_id, values = self.entries[key]
        body = struct.pack(">I", update_id)
        if remaining is not None:
            body += struct.pack(">I", remaining)
        body += self.encode_key(key) + self.encode_values(values, dictionary)
        return message(TABLE, UPDATE if remaining is None else TIMED, body)

    def encode_values(self, values: dict[str, Any], dictionary: Dictionary) -> bytes:
        out = b""
        for kind in sorted(self.types, key=lambda kind: kind.number):
            cells = values.get(kind.name, [] if kind.elements else None)
            if not kind.elements:
                cells = [cells]
            for index in range(max(1, kind.elements)):
                out += _encode_cell(kind, cells[index] if index < len(cells) else None, dictionary)
        return out

    def decode_values(self, data: bytes, at: int, dictionary: Dictionary) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for kind in sorted(self.types, key=lambda kind: kind.number):
            cells = []
            for _ in range(max(1, kind.elements)):
                cell, at = _decode_cell(kind, data, at, dictionary)
                cells.append(cell)
            values[kind.name] = cells if kind.elements else cells[0]
        return values


def _encode_cell(kind: DataType, cell: Any, dictionary: Dictionary) -> bytes:
    if kind.name == "server_key":
        return dictionary.encode(cell)
    if kind.is_rate:
        return b"".join(varint(part) for part in (cell or (0, 0, 0)))
    return varint(cell or 0)


def _decode_cell(kind: DataType, data: bytes, at: int, dictionary: Dictionary) -> tuple[Any, int]:
    if kind.name == "server_key":
        return dictionary.decode(data, at)
    if kind.is_rate:
        age, at = read_varint(data, at)
        current, at = read_varint(data, at)
        previous, at = read_varint(data, at)
        return (age, current, previous), at
    value, at = read_varint(data, at)
    if kind.name == "server_id" and value >= 1 << 63:
        value -= 1 << 64
    return value, at


def parse_definition(body: bytes) -> Table:
    number, at = read_varint(body, 0)
    size, at = read_varint(body, at)
    name = body[at:at + size].decode()
    key_type, at = read_varint(body, at + size)
    key_len, at = read_varint(body, at)
    bits, at = read_varint(body, at)
    expire, at = read_varint(body, at)
    parameters: dict[int, tuple[int, int]] = {}
    while at < len(body):
        kind, at = read_varint(body, at)
        first, at = read_varint(body, at)
        if kind == TYPE_NAMES.index("gpc_rate"):
            period, at = read_varint(body, at)
            parameters[kind] = (first, period)
        else:
            parameters[kind] = (first, 0) if TYPE_NAMES[kind] in ("gpt", "gpc") else (0, first)
    types = []
    for index, type_name in enumerate(TYPE_NAMES):
        if bits >> index & 1:
            elements, period = parameters.get(index, (0, 0))
            types.append(DataType(type_name, period, elements))
    return Table(name, types, key_type, key_len, expire, number)


def message(kind: int, number: int, body: bytes | None = None) -> bytes:
    """Header, and for types above 127 the length and the body."""
    head = bytes([kind, number])
    return head if body is None else head + varint(len(body)) + body


def ack(table: int, update_id: int) -> bytes:
    return message(TABLE, ACK, varint(table) + struct.pack(">I", update_id))


def hello(remote: str, local: str, pid: int = 1, version: str = "2.1") -> bytes:
    return f"HAProxyS {version}\n{remote}\n{local} {pid} 1\n".encode()


@dataclasses.dataclass(frozen=True)
class Message:
    kind: int
    number: int
    body: bytes = b""

    def is_control(self, number: int) -> bool:
        return self.kind == CONTROL and self.number == number


def split(data: bytes) -> tuple[list[Message], bytes]:
    """Whole messages at the front of |data|, and the rest."""
    messages = []
    at = 0
    while at + 2 <= len(data):
        kind, number = data[at], data[at + 1]
        start, size = at + 2, 0
        if number & 0x80:
            try:
                size, start = read_varint(data, start)
            except IndexError:
                break
        if start + size > len(data):
            break
        messages.append(Message(kind, number, data[start:start + size]))
        at = start + size
    return messages, data[at:]
