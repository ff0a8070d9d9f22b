"""A scripted peer: speaks the peers protocol well enough to be taken for an instance, and badly on request. For bytes
that no real HAProxy sends, and to see what the daemon sends to whom."""
from __future__ import annotations

import dataclasses
import select
import socket
import struct
import threading
import time
from typing import Any, Callable

from support import wait, wire
from support.ports import free_port

_HEARTBEAT = 1.0


@dataclasses.dataclass
class Habits:
    """What a session does by itself. HAProxy does all of it; a test turns off what it wants to see missing."""
    heartbeat: bool = True
    ack: bool = True
    confirm: bool = True
    answer_lessons: bool = True
    answer: int = wire.FINISHED
    remaining: int = 500_000  # what an entry's life is said to be in a lesson


@dataclasses.dataclass
class Received:
    """The last that the other side said of one key."""
    values: dict[str, Any]
    update_id: int
    remaining: int | None  # None: not timed
    at: float


class Session:
    """One established connection. A thread reads, answers and beats; the test pushes and looks."""

    def __init__(self, connection: socket.socket, tables: list[wire.Table] | None = None,
                 habits: Habits | None = None) -> None:
        self.tables = tables or []
        self.habits = habits or Habits()
        self.messages: list[wire.Message] = []
        self.definitions: dict[int, wire.Table] = {}
        self.received: dict[str, dict[Any, Received]] = {}
        self.acked: dict[int, int] = {}
        self.acknowledged: dict[str, int] = {}  # by us, per table
        self.raw = bytearray()
        self.closed = False
        self.lesson_requests = 0
        self._selected_in: wire.Table | None = None
        self._selected_out: wire.Table | None = None
        self._dictionary_in = wire.Dictionary()
        self._dictionary_out = wire.Dictionary()
        self._learning = False
        self._last_in: dict[int, int] = {}
        self._connection = connection
        self._send_lock = threading.RLock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # Sending.

    def send(self, data: bytes) -> None:
        with self._send_lock:
            self._connection.sendall(data)

    def control(self, number: int) -> None:
        self.send(wire.message(wire.CONTROL, number))

    def request_lesson(self) -> None:
        """Asks the other side for everything; its answer is found in `messages` and `received`."""
        self._learning = True
        self.control(wire.REQUEST)

    def define(self, table: wire.Table) -> None:
        with self._send_lock:
            self._selected_out = table
            self.send(table.definition())

    def push(self, table: wire.Table, key: Any, **values: Any) -> int:
        """Changes |key| and pushes it live; returns its update id."""
        with self._send_lock:
            update_id = table.change(key, **values)
            if self._selected_out is not table:
                self.define(table)
            self.send(table.update(key, self._dictionary_out))
        return update_id

    def teach(self) -> None:
        """The lesson: every entry of every table, timed, in the order of the ids; then the end of it."""
        with self._send_lock:
            out = bytearray()
            for table in self.tables:
                out += table.definition()
                for key in sorted(table.entries, key=lambda key: table.entries[key][0]):
                    out += table.update(key, self._dictionary_out, self.habits.remaining)
                self._selected_out = table
            self.send(bytes(out) + wire.message(wire.CONTROL, self.habits.answer))

    # Looking.

    def value(self, table: str, key: Any, data_type: str) -> Any:
        entry = self.received.get(table, {}).get(key)
        return entry.values.get(data_type) if entry else None

    def count(self, kind: int, number: int) -> int:
        return sum(1 for message in list(self.messages) if (message.kind, message.number) == (kind, number))

    def table_names(self) -> set[str]:
        """The tables that the other side has defined to us."""
        return {table.name for table in list(self.definitions.values())}

    def wait_closed(self, timeout: float = 40.0, what: str = "the other side closes") -> None:
        wait.until(lambda: self.closed, what=what, timeout=timeout)

    def wait_value(self, table: str, key: Any, data_type: str, expected: Any, timeout: float = 40.0) -> None:
        wait.until(lambda: self.value(table, key, data_type), lambda value: value == expected, timeout=timeout,
                   what=f"{data_type} of {key} in {table} == {expected}")

    def close(self) -> None:
        self.closed = True
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(2.0)
        self._connection.close()

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.closed = True
        self._thread.join(2.0)
        self._connection.close()

    # The reading thread.

    def _run(self) -> None:
        rest = b""
        next_beat = time.monotonic() + _HEARTBEAT
        self._connection.settimeout(30.0)
        readable = select.poll()
        readable.register(self._connection, select.POLLIN)
        try:
            while not self.closed:
                if self.habits.heartbeat and time.monotonic() >= next_beat:
                    self.control(wire.HEARTBEAT)
                    next_beat = time.monotonic() + _HEARTBEAT
                if not readable.poll(50):
                    continue
                chunk = self._connection.recv(1 << 18)
                if not chunk:
                    break
                self.raw += chunk
                messages, rest = wire.split(rest + chunk)
                for message in messages:
                    self._take(message)
                self._send_acks()
        except OSError:
            pass
        self.closed = True

    def _take(self, message: wire.Message) -> None:
        if message.kind == wire.CONTROL:
            self._take_control(message.number)
        elif message.kind == wire.TABLE:
            self._take_table(message)
        # Noted after it was acted on, so that a test that waits for the message sees its effect as well.
        self.messages.append(message)

    def _take_control(self, number: int) -> None:
        if number == wire.REQUEST:
            self.lesson_requests += 1
            if self.habits.answer_lessons:
                self.teach()
        elif number in (wire.FINISHED, wire.PARTIAL):
            self._learning = False
            if self.habits.confirm:
                self.control(wire.CONFIRM)

    def _take_table(self, message: wire.Message) -> None:
        body = message.body
        if message.number == wire.DEFINE:
            table = wire.parse_definition(body)
            self.definitions[table.number] = table
            self._selected_in = table
        elif message.number == wire.SWITCH:
            self._selected_in = self.definitions.get(wire.read_varint(body, 0)[0])
        elif message.number == wire.ACK:
            number, at = wire.read_varint(body, 0)
            self.acked[number] = struct.unpack_from(">I", body, at)[0]
        elif self._selected_in is not None:
            self._take_update(self._selected_in, message)

    def _take_update(self, table: wire.Table, message: wire.Message) -> None:
        body, at = message.body, 0
        if message.number in (wire.UPDATE, wire.TIMED):
            update_id, at = struct.unpack_from(">I", body, at)[0], at + 4
        else:
            update_id = table.last_id + 1
        table.last_id = update_id
        remaining = None
        if message.number in (wire.TIMED, wire.TIMED_NEXT):
            remaining, at = struct.unpack_from(">I", body, at)[0], at + 4
        key, at = table.decode_key(body, at)
        values = table.decode_values(body, at, self._dictionary_in)
        self.received.setdefault(table.name, {})[key] = Received(values, update_id, remaining, time.monotonic())
        if not self._learning:
            self._last_in[table.number] = update_id

    def _send_acks(self) -> None:
        if self.habits.ack:
            for number, update_id in self._last_in.items():
                self.send(wire.ack(number, update_id))
                self.acknowledged[self.definitions[number].name] = update_id
        self._last_in.clear()


def read_line(connection: socket.socket) -> bytes:
    """Up to and with the newline, byte by byte: what follows belongs to the messages. Empty when closed before."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            return line
        line += byte
    return line


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 30.0, (source, 0))


def greet(port: int, remote: str, local: str, *, pid: int = 1, version: str = "2.1",
          source: str = "127.0.0.1") -> tuple[socket.socket, bytes]:
    """Dials and says hello; returns the connection and the status line, which is empty when it was just closed."""
    connection = connect(port, source)
    connection.sendall(wire.hello(remote, local, pid, version))
    try:
        status = read_line(connection)
    except ConnectionResetError:
        status = b""
    return connection, status


def dial(port: int, remote: str, local: str, tables: list[wire.Table] | None = None, habits: Habits | None = None,
         *, pid: int = 1, version: str = "2.1") -> Session:
    """An established session with |remote|, or an AssertionError with its answer."""
    connection, status = greet(port, remote, local, pid=pid, version=version)
    if status != b"200\n":
        connection.close()
        raise AssertionError(f"hello as {local} to {remote} was answered with {status!r}")
    return Session(connection, tables, habits)


class Listener:
    """The accepting side. |status| None closes without a status; else it is what each hello is answered with."""

    def __init__(self, tables: list[wire.Table] | None = None, habits: Habits | None = None,
                 status: bytes | None = b"200\n", port: int | None = None) -> None:
        self.port = port or free_port()
        self.hellos: list[list[str]] = []
        self.sessions: list[Session] = []
        self.times: list[float] = []
        self._tables, self._habits, self.status = tables, habits, status
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.listen(16)
        self._socket.settimeout(0.05)
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def session(self, index: int = 0, timeout: float = 40.0) -> Session:
        """The |index|-th session that came in."""
        return wait.until(lambda: self.sessions[index], lambda _: True, timeout=timeout,
                          what=f"connection number {index + 1} comes in")

    def close(self) -> None:
        self._over = True
        self._thread.join(2.0)
        self._socket.close()
        for session in self.sessions:
            session.close()

    def _run(self) -> None:
        while not self._over:
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._greet(connection)

    def _greet(self, connection: socket.socket) -> None:
        connection.settimeout(30.0)
        try:
            lines = [read_line(connection).decode().rstrip("\r\n") for _ in range(3)]
            self.times.append(time.monotonic())
            self.hellos.append(lines)
            if self.status is not None:
                connection.sendall(self.status)
            if self.status == b"200\n":
                self.sessions.append(Session(connection, self._tables, self._habits))
                return
        except OSError:
            pass
        connection.close()


def raw_exchange(port: int, data: bytes, timeout: float = 12.0,
                 more: Callable[[socket.socket], None] | None = None, source: str = "127.0.0.1") -> bytes:
    """Sends |data| and returns all that came back until the other side closed; raises TimeoutError if it never does."""
    with connect(port, source) as connection:
        connection.settimeout(timeout)
        answer = b""
        try:
            connection.sendall(data)
            if more is not None:
                more(connection)
            while chunk := connection.recv(65536):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer
