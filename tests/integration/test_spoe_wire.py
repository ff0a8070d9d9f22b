"""SPOE by hand: what no HAProxy sends, or none on its own. A connection that breaks the framing is told why and closed; an
event that cannot be read is answered and counts for nothing; nobody else notices."""
from __future__ import annotations

import collections
import re
import resource
import select
import time
from pathlib import Path
from typing import Iterable

from integration.test_spoe import SpoeTest
from support import agent, spop, wait
from support.agent import Agent
from support.spop import FIN, Frame, number_value, string, text_value, varint

# The key of all: whatever counts without leave is seen by the next that counts.
TRACK = spop.message("track", table="clients", key="joe", gpc0=1)
COUNTED = {"ok", "found", "ready", "gpc0"}
VERSION, SIZE, CAPABILITIES = b"supported-versions", b"max-frame-size", b"capabilities"
LARGEST = 2**64 - 1


def hello(*more: tuple[bytes, bytes], without: bytes = b"", flags: int = FIN, stream: int = 0, number: int = 0,
          **changed: bytes) -> bytes:
    """A HELLO as HAProxy's, but for what the arguments say."""
    keys = [(VERSION, changed.get("version", text_value(b"2.0"))), (SIZE, changed.get("size", number_value(16380))),
            (CAPABILITIES, changed.get("capabilities", text_value(b"pipelining,async")))]
    return spop.hello_of([*(key for key in keys if key[0] != without), *more], flags, stream, number)


def goodbye(payload: bytes, flags: int = FIN, stream: int = 0) -> bytes:
    return Frame(spop.HAPROXY_DISCONNECT, flags, stream, 0, payload).encode()


def reason(code: int) -> bytes:
    return string(b"status-code") + number_value(code) + string(b"message") + text_value(b"for a test")


def argument(*values: bytes, name: bytes = b"gpc0") -> bytes:
    """A `track` whose further arguments are |values|, with their types, whatever those are."""
    return (string(b"track") + bytes([2 + len(values)]) + string(b"table") + text_value(b"clients") + string(b"key") +
            text_value(b"joe") + b"".join(string(name) + value for value in values))


def readable(clients: Iterable[spop.Client], seconds: float = 0.0) -> list[spop.Client]:
    """Those to whom something was said, or whose connection has ended."""
    return select.select(list(clients), [], [], seconds)[0]


def changed_length(frame: bytes, by: int) -> bytes:
    return (int.from_bytes(frame[:4], "big") + by).to_bytes(4, "big") + frame[4:]


class WireTest(SpoeTest):
    """One agent, and a client that uses it properly all the time."""
    needs_haproxy = False

    def setUp(self) -> None:
        super().setUp()
        # Far off: a sanitized daemon on a busy machine takes its time. Lateness has tests of its own.
        self.agent()
        self.witness = self.client()
        self.counted = 0
        self.unharmed()

    def agent(self, *args: str, **config: object) -> Agent:
        daemon = super().agent(*args, **config)
        assert daemon.process is not None
        self.process = daemon.process
        return daemon

    def dial(self, hello_bytes: bytes | None = None, receive_buffer: int = 0) -> spop.Client:  # type: ignore[override]
        client = spop.Client(self.spoe_port, hello_bytes, receive_buffer)
        self.addCleanup(client.close)
        return client

    def unharmed(self) -> None:
        """The other connection works, and nothing was counted but what was answered so."""
        self.counted += 1
        self.assertEqual(self.witness.event(TRACK)["gpc0"], self.counted)

    def wait_bytes(self, count: int) -> None:
        """Until the agent has read so many, of all connections."""
        wait.until(lambda: self.show()["Bytes_in_total"], lambda now: now == count, what="it has read", interval=0.002)

    def errors_since(self, before: dict[str, int]) -> dict[str, int]:
        now = self.daemon.errors()
        return {name: count - before.get(name, 0) for name, count in now.items() if count != before.get(name, 0)}

    def refused(self, data: bytes, status: int, error: str, hello_bytes: bytes | None = None) -> None:
        """|data|, the last that is said, has a DISCONNECT with |status| for its answer, and is counted as |error|."""
        before = self.daemon.errors()
        client = self.dial(hello_bytes)
        client.send(data)
        client.half_close()
        found = [(frame.kind, spop.status(frame)) for frame in client.frames()]
        self.assertEqual(found, [(spop.AGENT_DISCONNECT, status)])
        self.assertEqual(self.errors_since(before), {error: 1})
        client.close()

    def all_refused(self, cases: Iterable[tuple[str, bytes, int, str]], hello_bytes: bytes | None = None) -> None:
        for name, data, status, error in cases:
            with self.subTest(name):
                self.refused(data, status, error, hello_bytes)
        self.unharmed()


class FramingTest(WireTest):
    def test_what_is_no_hello(self) -> None:
        event = spop.notify(1, 1, TRACK)
        self.all_refused((
            *((f"length {length:#x}", length.to_bytes(4, "big"), status, "bad-hello")
              for length, status in ((0, 4), (1, 4), (6, 4), (0x7fffffff, 3), (0xffffffff, 3))),
            ("NOTIFY", event, 4, "bad-hello"),
            ("DISCONNECT", goodbye(reason(0)), 4, "bad-hello"),
            *((f"type {kind}", Frame(kind, FIN, 0, 0, b"").encode(), 4, "bad-hello")
              for kind in (0, 4, 101, 102, 103, 255)),
            ("ids that do not fit", Frame(1, FIN, 0, 0, b"").encode()[:9] + b"\xff\xff", 4, "bad-hello"),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 3, "bad-hello"),
            ("HTTP", b"GET / HTTP/1.1\r\nhost: agent\r\n\r\n", 3, "bad-hello"),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 3, "bad-hello"),
            ("the peers protocol", b"HAProxyS 2.1\nagent-1\nlb1 1 0\n", 3, "bad-hello"),
        ), b"")
        self.assertIn("it begins with \"GET \"", self.daemon.ask("show errors"))

    def test_strangers_do_not_fill_the_log(self) -> None:
        began = time.monotonic()
        for _ in range(200):
            self.refused(b"HAProxyS 2.1\nagent-1\nlb1 1 0\n", 3, "bad-hello", b"")
        lines = len(re.findall("warning: .*bad-hello", self.daemon.log()))
        self.assertGreater(lines, 0)
        self.assertLess(lines, time.monotonic() - began + 2, "one a second, with the count of the others")
        self.unharmed()

    def test_a_hello_that_cannot_be_taken(self) -> None:
        keys = [(VERSION, text_value(b"2.0")), (SIZE, number_value(16380))]
        self.all_refused((
            ("no FIN", hello(flags=0), 10, "bad-hello"), ("a stream", hello(stream=1), 4, "bad-hello"),
            ("a frame id", hello(number=1), 4, "bad-hello"), ("no key", spop.hello_of([]), 5, "bad-hello"),
            ("no version", hello(without=VERSION), 5, "bad-hello"), ("no size", hello(without=SIZE), 6, "bad-hello"),
            ("no capabilities", hello(without=CAPABILITIES), 7, "bad-hello"),
            *((f"version {text!r}", hello(version=text_value(text)), 8, "bad-version")
              for text in (b"", b"1.0", b"3.0", b"2", b"12.0", b"2.x")),
            *((f"size {value!r}", hello(size=value), 9, "bad-hello")
              for value in (number_value(255), number_value(0), b"\x04" + varint(LARGEST), b"\x05" + varint(2**63))),
            *((f"type of {name}", hello(**{name: b"\x11"}), 4, "bad-hello")
              for name in ("version", "size", "capabilities")),
            ("a check that is no bool", hello((b"healthcheck", number_value(1))), 4, "bad-hello"),
            ("an engine that is no string", hello((b"engine-id", b"\x00")), 4, "bad-hello"),
            ("a key cut short", spop.hello_of([*keys, (CAPABILITIES, b"\x08\x05pip")]), 4, "bad-hello"),
            ("a key of 2^64-1 bytes", Frame(1, FIN, 0, 0, varint(LARGEST) + b"version").encode(), 4, "bad-hello"),
            ("a value of 2^64-1 bytes", hello((b"k", b"\x08" + varint(LARGEST))), 4, "bad-hello"),
            ("a number of 11 bytes", hello(size=b"\x03" + b"\xff" * 10 + b"\0"), 4, "bad-hello"),
            ("a reserved type", hello((b"k", b"\x0a")), 4, "bad-hello"),
            ("longer than any", hello((b"k", text_value(bytes(17000)))), 3, "bad-hello"),
        ), b"")

    def test_a_hello_that_is_taken(self) -> None:
        both = b"pipelining,fragmentation"
        many = [(b"key-%d" % number, text_value(bytes(240))) for number in range(60)]
        for name, data, size, capabilities in (
                *((f"version {text!r}", hello(version=text_value(text)), 16380, both)
                  for text in (b"2.0, 3.0", b" 2.0 ", b"1.0,2.1", b"3.0,,2.0")),
                ("the least size", hello(size=number_value(256)), 256, both),
                ("a size above the cap", hello(size=number_value(2**31)), 2**20, both),
                ("a size of another type", hello(size=b"\x04" + varint(1000)), 1000, both),
                ("two sizes", hello((SIZE, number_value(500))), 500, both),
                *((f"capabilities {text!r}", hello(capabilities=text_value(text)), 16380, expected)
                  for text, expected in ((b"", b"fragmentation"), (b"pipeliningx", b"fragmentation"),
                                         (b" async , pipelining,x,", both), (b"fragmentation", b"fragmentation"))),
                ("60 unknown keys", hello(*many), 16380, both), ("an empty key", hello((b"", b"\x00")), 16380, both),
                ("no check", hello((b"healthcheck", b"\x01")), 16380, both)):
            with self.subTest(name):
                client = self.dial(data)
                assert client.hello is not None
                self.assertEqual((client.hello.kind, *spop.offer(client.hello)), (spop.AGENT_HELLO, size, capabilities))
                self.assertTrue(client.event(TRACK)["ok"])
                self.counted += 1
                client.close()
        check = hello((b"healthcheck", b"\x11"))
        client = self.dial(check)
        assert client.hello is not None
        self.assertEqual(spop.offer(client.hello)[0], 4096)
        client.reset()
        self.assertEqual(self.daemon.errors(), {})
        # At once: a check has a second to end.
        client = self.dial(b"")
        client.send(check + spop.notify(1, 1, TRACK))
        client.half_close()
        first, end = client.frames()
        self.assertEqual((first.kind, end.kind, spop.status(end)), (spop.AGENT_HELLO, spop.AGENT_DISCONNECT, 4))
        self.assertEqual(self.daemon.errors(), {"bad-frame": 1})
        self.unharmed()

    def test_frames_that_break_the_protocol(self) -> None:
        event, part = spop.notify(1, 1, TRACK), spop.notify(1, 1, TRACK[:9], flags=0)
        longest = 16380 - 7  # of a payload with two ids of a byte
        self.all_refused((
            *((f"length {length:#x}", length.to_bytes(4, "big"), status, error) for length, status, error in
              ((0, 4, "bad-frame"), (1, 4, "bad-frame"), (6, 4, "bad-frame"), (16381, 3, "message-too-long"),
               (0x7fffffff, 3, "message-too-long"), (0xffffffff, 3, "message-too-long"))),
            ("one byte more than was agreed", spop.notify(1, 1, bytes(longest + 1)), 3, "message-too-long"),
            *((f"ids {ids!r}", (5 + len(ids)).to_bytes(4, "big") + event[4:9] + ids, 4, "bad-frame")
              for ids in (b"\x01\xff", b"\xff\xff", b"\xff" * 11 + b"\0\1", b"\x01" + b"\xff" * 12)),
            ("frame id 0", spop.notify(1, 0, TRACK), 4, "bad-frame"),
            ("a second HELLO without FIN", hello(flags=0), 4, "bad-frame"),
            *((f"type {kind}", Frame(kind, FIN, 0, 0, b"").encode(), 4, "bad-frame") for kind in (101, 102, 103)),
            ("DISCONNECT without FIN", goodbye(reason(0), flags=0), 10, "bad-frame"),
            ("DISCONNECT of a stream", goodbye(reason(0), stream=1), 4, "bad-frame"),
            ("DISCONNECT without status", goodbye(b""), 4, "bad-frame"),
            ("DISCONNECT that cannot be read", goodbye(string(b"status-code")), 4, "truncated"),
            ("a piece of nothing", spop.piece(1, 1, TRACK, FIN), 4, "bad-frame"),
            ("a piece of nothing, withdrawn", spop.piece(1, 1, b"", FIN | spop.ABORT), 4, "bad-frame"),
            ("an event between pieces", part + spop.notify(2, 1, TRACK), 11, "bad-frame"),
            ("the same event between pieces", part + event, 11, "bad-frame"),
            ("a piece of another stream", part + spop.piece(2, 1, TRACK[9:], FIN), 11, "bad-frame"),
            ("a piece of another event", part + spop.piece(1, 2, TRACK[9:], FIN), 11, "bad-frame"),
            ("HELLO between pieces", part + hello(), 4, "bad-frame"),
        ))
        for code, error in ((0, {}), (1, {}), (2, {}), (3, {"peer-reported-error": 1}), (456, {"peer-reported-error": 1})):
            with self.subTest(f"DISCONNECT {code}"):
                before, client = self.daemon.errors(), self.dial()
                client.send(goodbye(reason(code)) + event)
                client.half_close()
                self.assertEqual([(frame.kind, spop.status(frame)) for frame in client.frames()], [(102, 0)])
                self.assertEqual(self.errors_since(before), error)
        self.unharmed()

    def test_a_length_that_is_wrong_by_one(self) -> None:
        """The event whose length it is cannot be read; what comes after is no frame any more."""
        event = spop.notify(1, 1, TRACK, TRACK)
        self.assertGreater(len(event), 64, "shifted by a byte the next length is too long")
        for by in (-1, 1):
            with self.subTest(by):
                before, client = self.daemon.errors(), self.dial()
                client.send(changed_length(event, by) + event * 2)
                client.half_close()
                answer, end = client.frames()
                self.assertEqual(spop.variables(answer.payload), {"ok": False})
                self.assertEqual((end.kind, spop.status(end)), (spop.AGENT_DISCONNECT, 3))
                self.assertEqual(self.errors_since(before), {"truncated": 1, "message-too-long": 1})
        self.unharmed()

    def test_the_agent_closes_by_itself(self) -> None:
        """A client that goes on sending after the agent's DISCONNECT still gets to read it."""
        clients = [self.dial(first) for first in (b"", None)]
        for client in clients:
            client.send(spop.notify(1, 0, TRACK) * 2000)
        for client in clients:
            self.assertEqual([(frame.kind, spop.status(frame)) for frame in client.frames()], [(102, 4)])
        self.assertEqual(self.show()["Connections"], 1)
        self.unharmed()

    def test_what_is_skipped(self) -> None:
        client = self.dial()
        for name, data in (*((f"type {kind}", Frame(kind, kind, 1, 1, bytes(kind)).encode())
                             for kind in (4, 50, 100, 104, 255)),
                           ("withdrawn at once", spop.notify(1, 1, TRACK, flags=FIN | spop.ABORT)),
                           ("withdrawn", spop.notify(1, 1, TRACK[:9], flags=0) + spop.piece(1, 1, b"", FIN | spop.ABORT)),
                           ("withdrawn, with a payload",
                            spop.notify(1, 1, TRACK[:9], flags=0) + spop.piece(1, 1, TRACK[9:], FIN | spop.ABORT))):
            with self.subTest(name):
                client.send(data)
                self.counted += 1
                self.assertEqual(client.event(TRACK)["gpc0"], self.counted)
        client.send(spop.notify(7, 1, TRACK, flags=0xfffffffd))  # all that are reserved
        self.counted += 1
        self.assertEqual(spop.variables(client.acks(1)[0].payload)["gpc0"], self.counted)
        self.assertEqual(self.show()["Withdrawn_total"], 3)
        self.assertEqual(self.daemon.errors(), {})
        self.unharmed()


class EventTest(WireTest):
    def test_events_that_cannot_be_read(self) -> None:
        """Each begins with a message that could be counted."""
        long_address = string(b"table") + text_value(b"clients") + string(b"key") + b"\x07" + bytes(15)
        cases = {"reserved type": [argument(bytes([kind])) for kind in (*range(10, 16), 0x1a, 0xff)],
                 "254 arguments are missing": [string(b"track") + b"\xff" + string(b"table") + text_value(b"clients")],
                 "no arguments' number": [string(b"track")], "no name": [b"\x05"], "half a name": [b"\x05tra"],
                 "a name of 2^64-1": [varint(LARGEST) + b"track\0"],
                 "an argument's name of 2^63": [b"\x01m\x01" + varint(2**63)],
                 "an address cut short": [string(b"track") + b"\x02" + long_address, argument(b"\x06\x7f\0\0")],
                 "a string cut short": [argument(value) for value in (b"\x08\x05four", b"\x09\x05four",
                                                                      b"\x08" + varint(LARGEST))],
                 "a number that does not end": [argument(b"\x04\xff\x80"), argument(b"\x08\xf0\x80")],
                 "a number beyond 64 bits": [argument(b"\x04" + b"\xff" * count + b"\x7f") for count in (9, 10, 11, 40)],
                 "a value too many": [TRACK + b"\x04\x01", TRACK + b"\x00"]}
        reasons = {"reserved type": "bad-message", "a number beyond 64 bits": "varint-overflow"}
        client, total = self.dial(), 0
        for name, payloads in cases.items():
            for payload in payloads:
                with self.subTest(name, payload=payload):
                    before = self.daemon.errors()
                    self.assertEqual(client.event(TRACK, payload), {"ok": False})
                    self.assertEqual(self.errors_since(before), {reasons.get(name, "truncated"): 1})
                    total += 1
        self.assertEqual(self.show()["Malformed_total"], total)
        self.assertIn("argument 3 of 3 of message 2, \"track\"", self.daemon.ask("show errors"))
        self.counted += 1
        self.assertEqual(client.event(TRACK)["gpc0"], self.counted, "none was counted, in no part")
        self.unharmed()

    def test_too_many_that_cannot_be_read_end_the_connection(self) -> None:
        client = self.dial()
        client.send(b"".join(spop.notify(number, 1, TRACK, b"\x05") for number in range(1, 100)))
        *answers, end = client.frames()
        self.assertEqual([spop.variables(answer.payload) for answer in answers], [{"ok": False}] * 61)
        self.assertEqual((end.kind, spop.status(end)), (spop.AGENT_DISCONNECT, 4))
        self.assertEqual(self.daemon.errors(), {"truncated": 61, "bad-message": 1})
        self.unharmed()

    def test_odd_messages_leave_the_others_alone(self) -> None:
        """They can be read, and nothing comes of them."""
        client = self.dial()
        self.assertEqual(client.event(), {"ok": True})
        for name, payload, words, kind in (
                ("empty name", string(b"") + b"\0", "SPOE message \t", "Unknown_messages_total"),
                ("4 KiB", string(b"m" * 4096) + b"\0", f"SPOE message {'m' * 64}\t", "Unknown_messages_total"),
                ("NULs and lines", string(b"\0a\n\tb\x1b[") + b"\0", "nothing handles it", "Unknown_messages_total"),
                ("no text", string(b"\xff\xfe\xc0") + b"\0", "nothing handles it", "Unknown_messages_total"),
                ("255 arguments", string(b"login") + b"\xff" + (string(b"a") + b"\x11") * 255, "SPOE message login",
                 "Unknown_messages_total"),
                ("no arguments", string(b"track") + b"\0", "the first argument is not 'table'", "Refused_total"),
                ("an argument without a name", argument(b"\x11", name=b""), ": table 'clients' stores no such type",
                 "Refused_total"),
                ("an argument of 4 KiB", argument(b"\x11", name=b"n" * 4096), f"{'n' * 64}: table", "Refused_total"),
                ("a table of 4 KiB", spop.message("track", table="t" * 4096, key="joe", gpc0=1), "there is no table 'ttt",
                 "Refused_total"),
                ("a value below 0", argument(b"\x04" + varint(LARGEST)), "gpc0: it is below 0", "Refused_total"),
                ("twice", argument(b"\x11", b"\x11"), "gpc0: it is named twice", "Refused_total")):
            with self.subTest(name):
                numbers, errors = self.show(), self.daemon.errors()
                self.counted += 1
                answer = client.event(payload, TRACK)
                self.assertEqual((set(answer), answer["ok"], answer["gpc0"]), (COUNTED, True, self.counted))
                self.assertEqual(self.show()[kind], numbers[kind] + 1)
                self.assertEqual(sum(self.errors_since(errors).values()), 1)
                self.assertIn(words, self.daemon.ask("show errors"))
        self.unharmed()

    def test_any_ids_are_echoed(self) -> None:
        ids = [(0, 1), (239, 240), (2287, 2288), (2**31 - 1, 1), (2**63, 2**63 - 1), (LARGEST, LARGEST)] + [(1, 1)] * 3
        client = self.dial()
        client.send(b"".join(spop.notify(*pair, TRACK) for pair in ids))
        answers = client.acks(len(ids))
        self.assertEqual([(answer.stream, answer.number) for answer in answers], ids)
        counts = [spop.variables(answer.payload)["gpc0"] for answer in answers]
        self.assertEqual(counts, list(range(self.counted + 1, self.counted + len(ids) + 1)), "an id may come again")
        self.counted += len(ids)
        self.unharmed()

    def test_no_memory_is_kept_for_ids(self) -> None:
        client = self.dial()

        def resident_after(numbers: range) -> int:
            for start in numbers[::1000]:
                client.send(b"".join(spop.notify(number * 99991, number, TRACK) for number in range(start, start + 1000)))
                client.acks(1000)
            self.counted += len(numbers)
            return self.process.resident_kib()
        before, after = resident_after(range(1, 5_001)), resident_after(range(5_001, 105_001))
        if not agent.sanitized():
            self.assertLess(after - before, 512, "KiB for 100000 more")
        self.unharmed()

    def test_fragmented_events(self) -> None:
        """Any pieces do, up to 256 KiB in all; beyond, the event is given up with ABORT and the connection goes on."""
        client = self.dial()
        for size in (1, 7, 30):
            parts = [TRACK[at:at + size] for at in range(0, len(TRACK), size)]
            client.send(spop.notify(5, 2, flags=0) + b"".join(spop.piece(5, 2, part) for part in parts) +
                        spop.piece(5, 2, b"", FIN))
            answer, self.counted = client.acks(1)[0], self.counted + 1
            self.assertEqual((answer.stream, answer.number, spop.variables(answer.payload)["gpc0"]), (5, 2, self.counted))
        part = bytes(16000)
        client.send(spop.notify(6, 1, TRACK, flags=0) + b"".join(spop.piece(6, 1, part) for _ in range(40)) +
                    spop.piece(6, 1, b"", FIN))
        frame = client.frame()
        assert frame is not None
        self.assertEqual((frame.kind, frame.flags, frame.stream, frame.number), (spop.ACK, FIN | spop.ABORT, 6, 1))
        self.assertEqual(spop.variables(frame.payload), {"ok": False})
        self.counted += 1
        self.assertEqual(client.event(TRACK)["gpc0"], self.counted)
        self.assertEqual(self.show()["Fragmented_too_long_total"], 1)
        self.unharmed()


class PiecewiseTest(WireTest):
    conversation = spop.haproxy_hello(engine=b"e") + spop.notify(1, 1, TRACK)

    def test_every_split_of_a_conversation(self) -> None:
        """Each on a connection of its own, and the agent has read the first part before it gets the second."""
        base = self.show()["Bytes_in_total"]
        clients = [self.dial(b"") for _ in range(1, len(self.conversation))]
        for at, client in enumerate(clients, 1):
            client.send(self.conversation[:at])
        self.wait_bytes(base + sum(range(1, len(self.conversation))))
        for at, client in enumerate(clients, 1):
            client.send(self.conversation[at:])
        counts = set()
        for client in clients:
            first, answer = client.frame(), client.acks(1)[0]
            assert first is not None
            self.assertEqual(first.kind, spop.AGENT_HELLO)
            counts.add(spop.variables(answer.payload)["gpc0"])
        self.assertEqual(counts, set(range(self.counted + 1, self.counted + len(clients) + 1)))
        self.counted += len(clients)
        self.assertEqual(self.daemon.errors(), {})
        self.unharmed()

    def test_byte_by_byte(self) -> None:
        client, base = self.dial(b""), self.show()["Bytes_in_total"]
        for at, byte in enumerate(self.conversation, 1):
            client.send(bytes([byte]))
            self.wait_bytes(base + at)
        self.counted += 1
        client.frame()
        self.assertEqual(spop.variables(client.acks(1)[0].payload)["gpc0"], self.counted)
        self.unharmed()

    def test_many_events_in_one_segment_are_answered_in_few(self) -> None:
        client = self.dial()
        before = client.segments_in()
        self.assertEqual(before, 1, "HAProxy 3.2 and later reset a connection on which HELLO comes in pieces")
        client.send(b"".join(spop.notify(number, 1, TRACK) for number in range(100)))
        self.assertEqual([answer.stream for answer in client.acks(100)], list(range(100)))
        self.assertLess(client.segments_in() - before, 10)
        self.counted += 100
        self.unharmed()

    def test_a_reset_after_any_byte(self) -> None:
        """It is how HAProxy closes: no error, and nothing is left of the connection. An event that came whole counts."""
        base = self.show()["Bytes_in_total"]
        conversation = self.conversation + self.conversation[-len(spop.notify(1, 1, TRACK)):]
        clients = [self.dial(b"") for _ in range(len(conversation) + 1)]
        for at, client in enumerate(clients):
            client.send(conversation[:at])
        self.wait_bytes(base + sum(range(len(conversation) + 1)))
        for client in clients:
            client.reset()
        wait.until(lambda: self.show()["Connections"], lambda count: count == 1, what="they are gone")
        # With both events, and with at least the first.
        self.counted += 1 + len(conversation) + 1 - len(self.conversation)
        self.assertEqual(self.daemon.errors(), {})
        self.unharmed()

    def test_a_half_close_after_events(self) -> None:
        bare = self.dial(b"")
        bare.half_close()
        self.assertEqual(bare.frames(), [], "nothing is said to a check of the port alone")
        client = self.dial(b"")
        client.send(self.conversation + spop.notify(2, 1, TRACK) + spop.notify(3, 1, TRACK)[:-1])
        client.half_close()
        kinds = [(frame.kind, frame.stream) for frame in client.frames()]
        self.assertEqual(kinds, [(spop.AGENT_HELLO, 0), (spop.ACK, 1), (spop.ACK, 2)])
        self.counted += 2
        self.assertEqual(self.daemon.errors(), {})
        self.unharmed()


class SlowTest(WireTest):
    def test_who_never_reads_is_not_read_and_is_dropped(self) -> None:
        deaf = self.dial(receive_buffer=4096)
        events = b"".join(spop.notify(number, 1, TRACK) for number in range(1000))
        resident = self.process.resident_kib()
        sent = deaf.send_until_full(events, 1 << 26)
        self.assertLess(sent, 1 << 26, "everything was read")
        unsent = [int(line.split("\t")[-1]) for line in self.daemon.ask("show spoe").splitlines() if "\trunning\t" in line]
        self.assertEqual(len(unsent), 2)
        self.assertLess(max(unsent), 262144 + 16384)
        if not agent.sanitized():
            self.assertLess(self.process.resident_kib() - resident, 2048, "KiB for one that does not read")
        self.counted = int(self.daemon.value("clients", "joe", "gpc0") or 0)
        wait.until(lambda: (self.unharmed(), self.daemon.errors())[1], lambda errors: errors == {"not-reading": 1},
                   what="it is dropped")
        self.assertEqual(self.show()["Connections"], 1)
        self.unharmed()

    def test_what_does_not_end_in_time_is_ended(self) -> None:
        """Some stop, some send a byte now and then: the time counts from the beginning."""
        first, event = spop.haproxy_hello(), spop.notify(1, 1, TRACK)
        silent, bare = self.dial(b""), self.dial()
        stopped = [(self.dial(b""), first[:size], "handshake-timeout") for size in (1, 4, 20, len(first) - 1)]
        stopped += [(self.dial(), data, "frame-timeout")
                    for data in (event[:1], event[:4], event[:8], event[:-1], event + event[:-1],
                                 spop.notify(1, 1, TRACK, flags=0), spop.notify(1, 1, TRACK, flags=0) + event[:6])]
        dripping = [(self.dial(b""), first, "handshake-timeout"), (self.dial(), event, "frame-timeout")]
        for client, data, _ in stopped:
            client.send(data)
        self.counted += 1
        wait.until(lambda: self.daemon.value("clients", "joe", "gpc0"), lambda count: count == self.counted,
                   what="the event that came whole is counted")
        open_still = list(dripping)
        for at in range(min(len(first), len(event)) - 1):
            for client, data, _ in open_still:
                client.send(data[at:at + 1])
            open_still = [row for row in open_still if not readable([row[0]], 0.1)]
            if not open_still:
                break
            self.unharmed()
        self.assertEqual(open_still, [], "a byte now and then keeps a connection")
        dripped = [client for client, _, _ in dripping]
        for client, data, _ in stopped + dripping:
            with self.subTest(data):
                *answers, end = client.frames()
                self.assertEqual((end.kind, spop.status(end)), (spop.AGENT_DISCONNECT, 2))
                self.assertEqual(len(answers), data.count(event) if client not in dripped else 0)
        self.assertEqual(silent.frames(), [], "nothing is said to who said nothing")
        expected = collections.Counter(error for _, _, error in stopped + dripping)
        self.assertEqual(self.daemon.errors(), dict(expected + collections.Counter({"handshake-timeout": 1})))
        self.counted += 1
        self.assertEqual(bare.event(TRACK)["gpc0"], self.counted, "who is between events has time")
        self.unharmed()


class CrowdTest(WireTest):
    """As many connections at once as there were requests when an instance was reloaded."""
    count = 2000

    def setUp(self) -> None:
        self.need_open_files(self.count + 200)
        super().setUp()

    def crowd(self) -> int:
        """All are there before any says a word, and all are answered. The agent's memory while they are."""
        clients = [self.dial(b"") for _ in range(self.count)]
        for client in clients:
            client.send(spop.haproxy_hello() + spop.notify(1, 1, TRACK))
        counts = []
        for client in clients:
            client.frame()
            counts.append(spop.variables(client.acks(1)[0].payload)["gpc0"])
        self.assertEqual(sorted(map(int, map(str, counts))), list(range(self.counted + 1, self.counted + self.count + 1)))
        self.counted += self.count
        self.unharmed()
        self.assertEqual(self.show()["Connections"], self.count + 1)
        resident = self.process.resident_kib()
        for client in clients:
            client.reset()
        wait.until(lambda: self.show()["Connections"], lambda left: left == 1, what="they are gone")
        return resident

    def test_all_are_answered_and_memory_is_bounded(self) -> None:
        before = self.process.resident_kib()
        first, second, third = (self.crowd() for _ in range(3))
        print(f"agent: {before} KiB, with a crowd {first}, {second}, {third} KiB")
        if not agent.sanitized():
            self.assertLess(first - before, 16 * self.count, "KiB for each connection")
            self.assertLess(third - second, 1024, "the crowds leave something behind")
        self.assertEqual(self.daemon.errors(), {})
        self.unharmed()


class DescriptorsTest(WireTest):
    def test_no_descriptors_left(self) -> None:
        """Who is connected works on, the others wait until there are some again."""
        limits = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
        highest = max(int(name.name) for name in Path(f"/proc/{self.process.pid}/fd").iterdir())
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (highest + 9, limits[1]))
        event = spop.haproxy_hello() + spop.notify(1, 1, TRACK)
        clients = [self.dial(b"") for _ in range(30)]
        for client in clients:
            client.send(event)
        self.counted += len(clients)
        wait.until(lambda: readable(clients), lambda found: len(found) == 8, what="there are no more descriptors")
        taken = wait.holds(lambda: readable(clients), lambda found: len(found) == 8, seconds=0.5, what="the others wait")
        cpu = self.process.cpu_seconds()
        for _ in range(20):
            self.assertTrue(self.witness.event(TRACK)["ok"])
        for client in taken[:5]:
            client.close()
        others = [client for client in clients if client not in taken[:5]]
        wait.until(lambda: readable(others), lambda found: len(found) == 8, what="five more are taken")
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, limits)
        for client in others:
            self.assertEqual([getattr(client.frame(), "kind"), client.acks(1)[0].stream], [spop.AGENT_HELLO, 1])
        self.assertLess(self.process.cpu_seconds() - cpu, 1, "it does not spin")
        self.assertEqual(self.daemon.log().count("raise LimitNOFILE="), 1)
        self.assertEqual(self.daemon.errors(), {})
        self.counted += 20
        self.unharmed()
