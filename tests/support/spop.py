"""SPOP 2.0 as bytes, and a scripted agent: what real HAProxy says to it is kept."""
from __future__ import annotations

import collections
import socket
import struct
import sys
import threading
from dataclasses import dataclass, field
from typing import Iterable

UNSET, HAPROXY_HELLO, HAPROXY_DISCONNECT, NOTIFY = 0, 1, 2, 3
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103
FIN, ABORT = 1, 2
SET_OK = b"\x01\x03\x02\x02ok\x11"  # set-var txn ok = true
SET_NOT_OK = b"\x01\x03\x02\x02ok\x01"


def varint(value: int) -> bytes:
    if value < 240:
        return bytes([value])
    out = bytearray([value & 0xff | 0xf0])
    value = (value - 240) >> 4
    while value >= 128:
        out.append(value & 0x7f | 0x80)
        value = (value - 128) >> 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at |at|, and where it ends."""
    value = data[at]
    at += 1
    if value < 240:
        return value, at
    shift = 4
    while True:
        byte = data[at]
        value += byte << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def string(text: bytes) -> bytes:
    return varint(len(text)) + text


def text_value(text: bytes) -> bytes:
    return b"\x08" + string(text)


def number_value(value: int) -> bytes:
    return b"\x03" + varint(value)


@dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    number: int
    payload: bytes

    def encode(self) -> bytes:
        body = (bytes([self.kind]) + self.flags.to_bytes(4, "big") + varint(self.stream) + varint(self.number) +
                self.payload)
        return len(body).to_bytes(4, "big") + body


def split(data: bytes) -> tuple[list[Frame], bytes]:
    """The whole frames at the start of |data|, and the rest."""
    frames = []
    while len(data) >= 4 and len(data) >= 4 + (length := int.from_bytes(data[:4], "big")):
        body, data = data[4:4 + length], data[4 + length:]
        stream, at = read_varint(body, 5)
        number, at = read_varint(body, at)
        frames.append(Frame(body[0], int.from_bytes(body[1:5], "big"), stream, number, body[at:]))
    return frames, data


def agent_hello(size: int, capabilities: bytes) -> bytes:
    payload = (string(b"version") + text_value(b"2.0") + string(b"max-frame-size") + number_value(size) +
               string(b"capabilities") + text_value(capabilities))
    return Frame(AGENT_HELLO, FIN, 0, 0, payload).encode()


def agent_disconnect(status: int, message: bytes) -> bytes:
    payload = string(b"status-code") + number_value(status) + string(b"message") + text_value(message)
    return Frame(AGENT_DISCONNECT, FIN, 0, 0, payload).encode()


@dataclass
class Habits:
    size: int = 16380
    capabilities: bytes = b"pipelining,fragmentation"
    abort_fragments: bool = False  # the first piece of an event is answered, with ABORT and ok=false
    hold: int = 1  # so many events are waited for before any is answered
    last_word: bytes | None = None  # is said in place of an answer, and ends the connection


@dataclass
class Connection:
    """What passed on one, in its order: ("up" from HAProxy or "down", bytes)."""
    passed: list[tuple[str, bytes]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    ended: bool = False

    def stream(self, direction: str) -> bytes:
        return b"".join(data for way, data in self.passed if way == direction)


class Agent:
    """Listens on the loopback and answers every event with ok=true."""

    def __init__(self, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self.connections: list[Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Wakes the thread that accepts, which closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def frames(self, kind: int) -> list[Frame]:
        return [frame for connection in self.connections for frame in connection.frames if frame.kind == kind]

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection()
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(accepted, connection), daemon=True).start()

    def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        rest, held = b"", []
        with accepted:
            while True:
                try:
                    data = accepted.recv(65536)
                except OSError:
                    data = b""
                if not data:
                    break
                connection.passed.append(("up", data))
                frames, rest = split(rest + data)
                connection.frames += frames
                for frame in frames:
                    if frame.kind == NOTIFY and self.habits.last_word is not None:
                        self._send(accepted, connection, self.habits.last_word)
                        connection.ended = True
                        return
                    held.append(self._answer(frame))
                    if frame.kind == NOTIFY and sum(bool(answer) for answer in held) < self.habits.hold:
                        continue
                    self._send(accepted, connection, b"".join(held))
                    held.clear()
        connection.ended = True

    def _send(self, accepted: socket.socket, connection: Connection, data: bytes) -> None:
        if data:
            connection.passed.append(("down", data))
            try:
                accepted.sendall(data)
            except OSError:
                pass

    def _answer(self, frame: Frame) -> bytes:
        if frame.kind == HAPROXY_HELLO:
            return agent_hello(self.habits.size, self.habits.capabilities)
        if frame.kind == HAPROXY_DISCONNECT:
            return agent_disconnect(0, b"normal")
        if frame.kind not in (NOTIFY, UNSET) or frame.flags & ABORT:
            return b""
        if self.habits.abort_fragments and (frame.kind == UNSET or not frame.flags & FIN):
            first = frame.kind == NOTIFY
            return Frame(ACK, FIN | ABORT, frame.stream, frame.number, SET_NOT_OK).encode() if first else b""
        return Frame(ACK, FIN, frame.stream, frame.number, SET_OK).encode() if frame.flags & FIN else b""


def hello_of(keys: Iterable[tuple[bytes, bytes]], flags: int = FIN, stream: int = 0, number: int = 0) -> bytes:
    """A HELLO of any |keys| and their typed values."""
    payload = b"".join(string(key) + of for key, of in keys)
    return Frame(HAPROXY_HELLO, flags, stream, number, payload).encode()


def haproxy_hello(size: int = 16380, engine: bytes = b"raw-client", check: bool = False) -> bytes:
    payload = (string(b"supported-versions") + text_value(b"2.0") + string(b"max-frame-size") + number_value(size) +
               string(b"capabilities") + text_value(b"" if check else b"pipelining,async"))
    payload += string(b"healthcheck") + b"\x11" if check else string(b"engine-id") + text_value(engine)
    return Frame(HAPROXY_HELLO, FIN, 0, 0, payload).encode()


def value(of: object) -> bytes:
    """A typed value as HAProxy sends it."""
    if of is None:
        return b"\x00"
    if isinstance(of, bool):
        return b"\x11" if of else b"\x01"
    if isinstance(of, int):
        return b"\x04" + varint(of % 2**64)
    assert isinstance(of, str)
    return text_value(of.encode())


def message(name: str, **arguments: object) -> bytes:
    return (string(name.encode()) + bytes([len(arguments)]) +
            b"".join(string(key.encode()) + value(of) for key, of in arguments.items()))


def notify(stream: int, number: int, *messages: bytes, flags: int = FIN) -> bytes:
    return Frame(NOTIFY, flags, stream, number, b"".join(messages)).encode()


def piece(stream: int, number: int, payload: bytes, flags: int = 0) -> bytes:
    """The next one of a fragmented event."""
    return Frame(UNSET, flags, stream, number, payload).encode()


def status(frame: Frame) -> int:
    """What a DISCONNECT of the agent says, which begins with it."""
    return read_varint(frame.payload, 13)[0]


def offer(hello: Frame) -> tuple[int, bytes]:
    """The frame size and the capabilities of an AGENT-HELLO, whose keys have one order."""
    size, at = read_varint(hello.payload, 29)
    return size, hello.payload[at + 15:]


def read_value(data: bytes, at: int) -> tuple[object, int]:
    """The typed value at |at|, and where it ends. Addresses, which no agent of ours sends, are not told: None."""
    first, at = data[at], at + 1
    kind = first & 15
    if kind == 1:
        return bool(first >> 4), at
    if 2 <= kind <= 5:
        number, at = read_varint(data, at)
        return (number - 2**64 if number >= 2**63 else number), at
    if kind in (8, 9):
        size, at = read_varint(data, at)
        return data[at:at + size].decode(), at + size
    return None, at + {6: 4, 7: 16}.get(kind, 0)


def pairs(payload: bytes) -> list[tuple[str, object]]:
    """What a HELLO or a DISCONNECT says, in its order."""
    found = []
    at = 0
    while at < len(payload):
        size, at = read_varint(payload, at)
        name, at = payload[at:at + size].decode(), at + size
        of, at = read_value(payload, at)
        found.append((name, of))
    return found


def variables(payload: bytes) -> dict[str, object]:
    """What an ACK sets; a variable that it unsets is None."""
    found: dict[str, object] = {}
    at = 0
    while at < len(payload):
        kind, at = payload[at], at + 3
        size, at = read_varint(payload, at)
        name, at = payload[at:at + size].decode(), at + size
        found[name] = None
        if kind != 2:
            found[name], at = read_value(payload, at)
    return found


class Client:
    """HAProxy's side by hand. |port| may be the path of a UNIX socket. With a |receive_buffer| the kernel takes in no more
    than about that for a client that does not read."""

    def __init__(self, port: int | str, hello: bytes | None = None, receive_buffer: int = 0) -> None:
        self._socket = socket.socket(socket.AF_UNIX if isinstance(port, str) else socket.AF_INET)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(30)
        self._socket.connect(port if isinstance(port, str) else ("127.0.0.1", port))
        self._ready: collections.deque[Frame] = collections.deque()
        self._rest = b""
        self._next = 0
        self.hello: Frame | None = None
        self.send(haproxy_hello() if hello is None else hello)
        if hello != b"":
            self.hello = self.frame()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def half_close(self) -> None:
        """Nothing more is sent; answers are still read."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes as HAProxy 3.1 and later do, and every health check."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_until_full(self, data: bytes, most: int) -> int:
        """Sends |data| over and over, up to |most| bytes, until no more is taken for a while. How much was."""
        sent = 0
        self._socket.settimeout(4)
        try:
            while sent < most:
                sent += self._socket.send(data[sent % len(data):])
        except TimeoutError:
            pass
        self._socket.settimeout(30)
        return sent

    def segments_in(self) -> int:
        """The TCP segments with data that have come."""
        return int.from_bytes(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)[152:156], sys.byteorder)

    def frame(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        while not self._ready:
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                return None
            frames, self._rest = split(self._rest + data)
            self._ready.extend(frames)
        return self._ready.popleft()

    def frames(self) -> list[Frame]:
        """All until the end of the connection, which the other side makes."""
        return list(iter(self.frame, None))

    def acks(self, count: int) -> list[Frame]:
        """The next |count| frames, which must be answers."""
        found = [self.frame() for _ in range(count)]
        acks = [frame for frame in found if frame is not None and (frame.kind, frame.flags) == (ACK, FIN)]
        assert len(acks) == count, [frame for frame in found if frame not in acks][:3]
        return acks

    def event(self, *messages: bytes) -> dict[str, object]:
        """One event, and the variables of its answer."""
        self._next += 1
        self.send(notify(self._next, 1, *messages))
        answer = self.frame()
        assert answer is not None and (answer.kind, answer.stream, answer.number) == (ACK, self._next, 1), answer
        return variables(answer.payload)
