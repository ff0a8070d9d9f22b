"""Bad bytes at every point of a session end that one session, with a named and counted reason, and nothing else."""
from __future__ import annotations

import random
import socket
import struct
import time

from support import peer, wait, wire
from support.case import http_table
from support.witness import WitnessTest

V = wire.varint
OVERFLOW = bytes.fromhex("fff0fefefefefefefe10")
HUGE = V(2**64 - 1)
NAME = V(5) + b"/http"
KEY = V(3) + b"joe"
RATE_PARAM = V(10) + V(10_000)
GOOD = http_table().definition()


def define(body: bytes) -> bytes:
    return wire.message(wire.TABLE, wire.DEFINE, body)


def update(body: bytes, number: int = wire.UPDATE) -> bytes:
    return GOOD + wire.message(wire.TABLE, number, body)


BITS = V(1 << 9 | 1 << 10)
ONE = struct.pack(">I", 1)

# What follows a good hello, and the reasons that describe it; where two are listed either is a fair description.
AFTER_HELLO: dict[str, tuple[bytes, set[str]]] = {
    "class 255": (bytes([255, 0]), {"reserved-class"}),
    "an error message: protocol": (bytes([1, 0]), {"peer-reported-error"}),
    "an error message: size": (bytes([1, 1]), {"peer-reported-error"}),
    "a message length that overflows": (bytes([10, 0x80]) + OVERFLOW, {"varint-overflow", "message-too-long"}),
    "a message length of 2^64-1": (bytes([10, 0x80]) + HUGE, {"message-too-long", "varint-overflow"}),
    "a message length of 2^32": (bytes([10, 0x80]) + V(2**32), {"message-too-long", "value-out-of-range"}),
    "a message length of 1 GiB": (bytes([10, 0x80]) + V(2**30), {"message-too-long"}),
    "a length that never ends": (bytes([10, 0x80]) + b"\xff" * 64, {"varint-overflow", "message-too-long"}),
    "an unknown class with a huge length": (bytes([77, 0x80]) + HUGE, {"message-too-long", "varint-overflow"}),
    "a definition of length 0": (define(b""), {"truncated", "bad-definition"}),
    "a definition with a name of length 0": (define(V(1) + V(0) + V(6) + V(65) + BITS + V(1000) + RATE_PARAM),
                                             {"bad-definition"}),
    "a definition with a name of length 2^64-1": (define(V(1) + HUGE + b"/http"), {"truncated", "bad-definition",
                                                                                  "value-out-of-range"}),
    "a definition that ends within its name": (define(V(1) + V(50) + b"/http"), {"truncated", "bad-definition"}),
    "a definition with table id 2^32": (define(V(2**32) + NAME + V(6) + V(65) + V(4) + V(0)), {"value-out-of-range"}),
    "a definition with key type 8": (define(V(1) + NAME + V(8) + V(65) + V(4) + V(0)), {"bad-definition"}),
    "a definition with key type 0": (define(V(1) + NAME + V(0) + V(65) + V(4) + V(0)), {"bad-definition"}),
    "an integer key of 8 bytes": (define(V(1) + NAME + V(2) + V(8) + V(4) + V(0)), {"bad-definition"}),
    "a key length of 0": (define(V(1) + NAME + V(6) + V(0) + V(4) + V(0)), {"bad-definition"}),
    "a key length of 2^64-1": (define(V(1) + NAME + V(6) + HUGE + V(4) + V(0)), {"bad-definition",
                                                                               "value-out-of-range"}),
    "a definition that ends before its data types": (define(V(1) + NAME + V(6) + V(65)), {"truncated"}),
    "data types that overflow": (define(V(1) + NAME + V(6) + V(65) + OVERFLOW), {"varint-overflow"}),
    "a rate without its period": (define(V(1) + NAME + V(6) + V(65) + BITS + V(1000)), {"truncated",
                                                                                     "bad-definition"}),
    "a period of 0": (define(V(1) + NAME + V(6) + V(65) + BITS + V(1000) + V(10) + V(0)), {"bad-definition"}),
    "a period for another type": (define(V(1) + NAME + V(6) + V(65) + BITS + V(1000) + V(9) + V(10_000)),
                                  {"bad-definition"}),
    "an array of 0 elements": (define(V(1) + NAME + V(6) + V(65) + V(1 << 23) + V(0) + V(23) + V(0)),
                               {"bad-definition"}),
    "an array of 101 elements": (define(V(1) + NAME + V(6) + V(65) + V(1 << 23) + V(0) + V(23) + V(101)),
                                 {"bad-definition", "value-out-of-range"}),
    "an array of 2^64-1 elements": (define(V(1) + NAME + V(6) + V(65) + V(1 << 23) + V(0) + V(23) + HUGE),
                                    {"bad-definition", "value-out-of-range"}),
    "a switch to a table never defined": (wire.message(wire.TABLE, wire.SWITCH, V(9)), {"unknown-table-id"}),
    "an update before any definition": (wire.message(wire.TABLE, wire.UPDATE, ONE + KEY + V(1)), {"unknown-table-id"}),
    "an acknowledgement that is cut short": (wire.message(wire.TABLE, wire.ACK, V(1) + b"\0\0"), {"truncated"}),
    "an update of length 0": (update(b""), {"truncated"}),
    "an update that ends within its id": (update(b"\0\0"), {"truncated"}),
    "an update without a key": (update(ONE), {"truncated", "bad-key"}),
    "a key longer than its table's": (update(ONE + V(65) + b"x" * 65 + V(1) + V(0) * 3), {"bad-key"}),
    "a key of length 2^64-1": (update(ONE + HUGE + b"joe"), {"truncated", "bad-key", "value-out-of-range"}),
    "a key with a NUL": (update(ONE + V(3) + b"j\0e" + V(1) + V(0) * 3), {"bad-key"}),
    "an update that ends within its values": (update(ONE + KEY + V(1) + V(0)), {"truncated"}),
    "a 32-bit counter of 2^32": (update(ONE + KEY + V(2**32) + V(0) * 3), {"value-out-of-range"}),
    "a counter that overflows": (update(ONE + KEY + OVERFLOW), {"varint-overflow"}),
    "a varint cut by the message's end": (update(ONE + KEY + b"\xff\x80"), {"truncated"}),
    "a timed update without its time": (update(ONE + b"\0", wire.TIMED), {"truncated"}),
}

_DICTIONARY = wire.Table("/stick", [wire.DataType("server_key")])


def with_key(body: bytes) -> bytes:
    return _DICTIONARY.definition() + wire.message(wire.TABLE, wire.UPDATE, ONE + KEY + body)


AFTER_HELLO |= {
    "dictionary id 0": (with_key(V(3) + V(0) + V(1) + b"s"), {"bad-dictionary-id"}),
    "dictionary id 129": (with_key(V(3) + V(129) + V(1) + b"s"), {"bad-dictionary-id"}),
    "dictionary id 2^64-1": (with_key(V(10) + HUGE), {"bad-dictionary-id", "value-out-of-range"}),
    "a dictionary entry longer than the message": (with_key(V(200) + V(1) + V(198) + b"s"), {"truncated"}),
    "a dictionary string longer than its entry": (with_key(V(3) + V(1) + V(90) + b"s"), {"truncated",
                                                                                       "value-out-of-range"}),
}

BAD_HELLOS: dict[str, tuple[bytes, set[str]]] = {
    "another protocol": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", {"bad-hello"}),
    "version 3.0": (wire.hello("agent-1", "evil", version="3.0"), {"bad-version"}),
    "version 2.2": (wire.hello("agent-1", "evil", version="2.2"), {"bad-version"}),
    "no version": (b"HAProxyS\nagent-1\nevil 1 1\n", {"bad-hello", "bad-version"}),
    "a version that is no number": (b"HAProxyS two\nagent-1\nevil 1 1\n", {"bad-version", "bad-hello"}),
    "no pid": (b"HAProxyS 2.1\nagent-1\nevil\n", {"bad-hello"}),
    "an empty name": (b"HAProxyS 2.1\nagent-1\n 1 1\n", {"bad-hello", "unknown-peer"}),
    "a line that never ends": (b"A" * 100_000, {"bad-hello"}),
    "binary": (bytes(range(256)) * 8, {"bad-hello"}),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + b"\0" * 200, {"unexpected-tls"}),
    "unknown peer": (wire.hello("agent-1", "stranger"), {"unknown-peer"}),
    "another name for the agent": (wire.hello("agent-2", "evil"), {"wrong-peer-name"}),
    "the agent's own name": (wire.hello("agent-1", "agent-1"), {"own-name"}),
}


class BadInputTest(WitnessTest):
    seconds = 150

    def try_all(self, cases: dict[str, tuple[bytes, set[str]]], hello: bytes, status: bytes) -> None:
        wrong = []
        for what, (data, reasons) in cases.items():
            before = self.daemon.errors()
            start = time.monotonic()
            try:
                answer = peer.raw_exchange(self.port, hello + data, timeout=15.0)
            except TimeoutError:
                wrong.append(f"{what}: the session was not ended within 15 s")
                continue
            if not answer.startswith(status) or (not status and answer):
                wrong.append(f"{what}: answered with {answer[:20]!r}")
            found = self.new_reasons(before, reasons)
            if not found & reasons:
                wrong.append(f"{what}: counted as {sorted(found) or 'nothing'}, expected one of {sorted(reasons)} "
                             f"({time.monotonic() - start:.1f} s)")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def new_reasons(self, before: dict[str, int], wanted: set[str]) -> set[str]:
        def grown() -> set[str]:
            return {reason for reason, count in self.daemon.errors().items() if count > before.get(reason, 0)}
        try:
            return wait.until(grown, lambda reasons: reasons & wanted, timeout=5)
        except wait.NotReached:
            return grown()

    def test_after_the_hello(self) -> None:
        self.try_all(AFTER_HELLO, wire.hello("agent-1", "evil"), b"200\n")
        self.unharmed()

    def test_bad_hellos_get_no_status(self) -> None:
        self.try_all(BAD_HELLOS, b"", b"")
        self.unharmed()

    def test_cut_at_every_byte(self) -> None:
        """A connection that ends anywhere in hello, definition or update leaves nothing behind."""
        table = http_table()
        table.change("evilkey", http_req_cnt=1000, http_req_rate=(0, 5, 5))
        data = wire.hello("agent-1", "evil") + table.definition() + table.update("evilkey", wire.Dictionary())
        for size in range(len(data)):
            with peer.connect(self.port) as connection:
                connection.sendall(data[:size])
                if size % 2:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.unharmed()
        self.assertNotIn("evilkey", self.daemon.table("http.total"))

    def test_random_bytes(self) -> None:
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        chance = random.Random(seed)
        for _ in range(60):
            junk = chance.randbytes(chance.randrange(1, 3000))
            hello = wire.hello("agent-1", "evil") if chance.random() < 0.8 else b""
            with peer.connect(self.port) as connection:
                connection.sendall(hello + junk)
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(3.0)
                try:
                    while connection.recv(65536):
                        pass
                except (ConnectionResetError, TimeoutError):
                    pass
        self.unharmed()

    def test_flipped_bits_in_good_traffic(self) -> None:
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        chance = random.Random(seed)
        table = http_table("/other")
        good = bytearray(table.definition())
        for n in range(20):
            table.change(f"k{n}", http_req_cnt=n, http_req_rate=(n, n, n))
            good += table.update(f"k{n}", wire.Dictionary())
        for _ in range(100):
            bad = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
            with peer.connect(self.port) as connection:
                connection.sendall(wire.hello("agent-1", "evil") + bad)
                connection.shutdown(socket.SHUT_WR)
        self.unharmed()

    def test_what_is_allowed_is_not_refused(self) -> None:
        """Messages that the protocol lets a receiver skip: unknown classes and types, longer messages, unknown data
        types at the end, a definition without expire, ids with bit 31, wrapped and repeated ids."""
        table = http_table()
        session = self.dial(self.port, "agent-1", "evil", [table])
        session.send(bytes([5, 3]) + bytes([7, 0x90]) + V(4) + b"1234" + bytes([0, 9]) + bytes([10, 5])
                     + bytes([10, 0x99]) + V(2) + b"xy")
        future = (V(1) + NAME + V(6) + V(65) + V(1 << 9 | 1 << 10 | 1 << 40 | 1 << 63) + V(600_000) + RATE_PARAM)
        session.send(define(future))
        for number in (1, 5, 5, 0xFFFFFFFE, 1, 0x80000001):
            session.send(wire.message(wire.TABLE, wire.UPDATE, struct.pack(">I", number) + V(4) + b"evil" + V(3)
                                      + V(0) * 3 + V(77) + V(78)))
        session.send(wire.message(wire.TABLE, wire.UPDATE_NEXT, V(4) + b"evil" + V(4) + V(0) * 3))
        # Without the time to live, no parameters follow.
        session.send(define(V(2) + V(6) + b"/plain" + V(6) + V(65) + V(4)))
        session.send(wire.message(wire.TABLE, wire.SWITCH, V(1)))
        session.send(wire.message(wire.TABLE, wire.UPDATE, struct.pack(">I", 9) + V(4) + b"evil" + V(6) + V(0) * 3))
        wait.until(lambda: self.daemon.value("http.total", "evil", "http_req_cnt"), lambda value: value == 6,
                   what="the last update is taken")
        self.assertFalse(session.closed)
        self.unharmed()

    def test_more_tables_than_allowed(self) -> None:
        """max-tables bounds what one session may define."""
        answer = b"".join(http_table(f"/t{n}", number=n + 1).definition() for n in range(120))
        self.try_all({"120 tables": (answer, {"too-many-tables"})}, wire.hello("agent-1", "evil"), b"200\n")
        self.unharmed()
