"""An instance that lies about its update ids, or about ours: its contribution is what it last said, and nobody else's
total is touched by it."""
from __future__ import annotations

from support import peer, wait, wire
from support.case import http_table
from support.witness import WitnessTest

# Of tables: ours (1), one that we never defined to it, the one that means none, and the largest.
TABLES = (1, 2, 0, 99, 2**32 - 1)
# Of updates: far ahead, with bit 31 set, the largest, none, and 1 and 2 byte-swapped, as HAProxy 3.3 to 3.5 send them.
IDS = (1_000_000, 2**31, 2**31 + 5, 2**31 - 1, 2**32 - 1, 0, 0x01000000, 0x02000000)


class FalseAcksTest(WitnessTest):
    COUNT = 200

    def rows(self, factor: int) -> dict[str, int]:
        return {f"u{n}": factor * (n + 1) for n in range(self.COUNT)}

    def fill(self, factor: int) -> None:
        self.instances["lb1"].fill("mesh/http", ((key, {"http_req_cnt": n}) for key, n in self.rows(factor).items()))

    def wait_all(self, session: peer.Session, factor: int) -> None:
        def wrong() -> list[str]:
            return [key for key, n in self.rows(factor).items() if session.value("/http.total", key,
                                                                                 "http_req_cnt") != n]
        wait.until(wrong, lambda keys: not keys, what="wrong totals at the one that lies")

    def start(self, **habits: bool) -> peer.Session:
        """Its pid stays the same: the agent goes on where this process says that it was."""
        return self.dial(self.port, "agent-1", "evil", [http_table("/http.total")], peer.Habits(**habits))

    def lie(self, session: peer.Session) -> None:
        for table in TABLES:
            for update_id in IDS:
                session.send(wire.ack(table, update_id))

    def wait_heard(self, session: peer.Session) -> None:
        """Until the agent has dealt with all that was sent so far, since it confirms the end of a lesson in its turn."""
        confirms = session.count(wire.CONTROL, wire.CONFIRM)
        session.control(wire.FINISHED)
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM), lambda n: n > confirms, what="it is confirmed")

    def test_what_was_never_sent_is_not_taken_as_received(self) -> None:
        """Acknowledged before anything was sent, and after: a new connection still brings every total."""
        session = self.start(ack=False)
        self.lie(session)
        self.fill(1)
        self.wait_all(session, 1)
        self.lie(session)
        self.fill(2)
        self.wait_all(session, 2)
        session.close()
        self.wait_peer(self.daemon, "evil", "away")
        again = self.start(ack=False)
        self.wait_all(again, 2)
        again.wait_value("/http.total", "joe", "http_req_cnt", self.counted)
        self.assertEqual(set(self.daemon.errors()), {"connection-lost"})
        self.unharmed()

    def test_what_was_not_sent_to_it_yet_is_not_taken_as_received(self) -> None:
        """The numbers exist, since lb1 had them, and are acknowledged in the segment that announces the table."""
        self.fill(1)
        self.wait_total("u199", "http_req_cnt", 200)
        acks = b"".join(wire.ack(1, update_id) for update_id in range(1, 1000))
        with peer.connect(self.port) as connection:
            connection.sendall(wire.hello("agent-1", "evil") + http_table("/http.total").definition() + acks)
            self.assertEqual(peer.read_line(connection), b"200\n")
        self.wait_peer(self.daemon, "evil", "away")
        self.wait_all(self.start(), 1)
        self.unharmed()

    def test_a_true_ack_among_false_ones_is_believed(self) -> None:
        """What was acknowledged is not sent again, so the test above does not pass just because all acks are lost."""
        session = self.start()
        self.fill(1)
        self.wait_all(session, 1)
        newest = max(entry.update_id for entry in session.received["/http.total"].values())
        wait.until(lambda: session.acknowledged.get("/http.total", 0), lambda acked: acked >= newest,
                   what="the last total is acknowledged")
        self.lie(session)
        self.wait_heard(session)
        session.close()
        self.wait_peer(self.daemon, "evil", "away")
        again = self.start()
        self.instances["lb1"].set("mesh/http", "u7", http_req_cnt=77)
        again.wait_value("/http.total", "u7", "http_req_cnt", 77)
        entries = again.received["/http.total"]
        self.assertTrue(all(entry.update_id > newest for entry in entries.values()), "what it had is sent again")
        self.unharmed()

    def test_ends_and_confirms_of_lessons_that_nobody_asked_for(self) -> None:
        """Each end is confirmed, as HAProxy does; nothing is sent twice for it, and no lesson is asked for."""
        session = self.start()
        self.fill(1)
        self.wait_all(session, 1)
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM), lambda n: n == session.lesson_requests)
        asked, updates = session.lesson_requests, session.count(wire.TABLE, wire.TIMED)
        for _ in range(50):
            session.control(wire.CONFIRM)
            session.control(wire.FINISHED)
            session.control(wire.PARTIAL)
        # It asks once of itself, 10 s after the first lesson, whether the totals are there.
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM) - session.lesson_requests, lambda n: n == 100,
                   what="100 confirms")
        self.assertLessEqual(session.lesson_requests, asked + 1)
        self.assertEqual(session.count(wire.TABLE, wire.TIMED), updates)
        self.fill(3)
        self.wait_all(session, 3)
        self.unharmed()


class FalseIdsTest(WitnessTest):
    """Its own update ids repeat, go back, wrap, and have bit 31 set."""

    def start(self) -> peer.Session:
        self.table = http_table()
        session = self.dial(self.port, "agent-1", "evil", [self.table])
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM), what="the lesson is over")
        session.define(self.table)
        return session

    def say(self, session: peer.Session, update_id: int, key: str, count: int) -> None:
        self.table.entries[key] = (update_id, {"http_req_cnt": count})
        session.send(self.table.update(key, wire.Dictionary()))

    def test_the_last_word_counts_whatever_its_number(self) -> None:
        session = self.start()
        ids = (100, 50, 50, 0, 1, 1, 2**32 - 1, 2**31, 2**31 + 1, 3, 2**31 - 1, 2, 2)
        for turn, update_id in enumerate(ids, start=1):
            # Up and down, so that neither the largest nor the first can pass for the last.
            count = 1000 * (turn if turn % 2 else 40 - turn)
            self.say(session, update_id, "joe", count)
            self.wait_total("joe", "http_req_cnt", self.counted + count)
            self.assertEqual(self.daemon.value("http.total", "joe", "http_req_cnt"), self.counted + count)
        self.say(session, 2, "joe", 0)
        self.unharmed()
        self.assertFalse(session.closed)
        # HAProxy never acknowledges 0, and neither a number that it was not sent.
        acked = {int.from_bytes(message.body[-4:], "big") for message in session.messages
                 if (message.kind, message.number) == (wire.TABLE, wire.ACK)}
        self.assertLessEqual(acked, set(ids) - {0})

    def test_one_number_for_many_keys(self) -> None:
        """In one segment, so that nothing but the order tells old from new."""
        session = self.start()
        self.good.push(self.source, "u1", http_req_cnt=10_000)
        said = bytearray()
        for turn in (9, 3, 5):
            for n in range(100):
                self.table.entries[f"u{n}"] = (7, {"http_req_cnt": turn + n})
                said += self.table.update(f"u{n}", wire.Dictionary())
        session.send(bytes(said))

        def wrong() -> list[str]:
            table = self.instances["lb1"].table("mesh/http.total")
            return [f"u{n}: {table.get(f'u{n}')}" for n in range(100)
                    if table.get(f"u{n}", {}).get("http_req_cnt") != 5 + n + (10_000 if n == 1 else 0)]
        wait.until(wrong, lambda found: not found, what="wrong totals")
        self.unharmed()

    def test_a_lesson_that_contradicts_what_was_just_said(self) -> None:
        """Asked again, it teaches other values under the ids of its live updates: the newest word counts still."""
        session = self.start()
        self.say(session, 900, "joe", 500)
        self.wait_total("joe", "http_req_cnt", self.counted + 500)
        session.close()
        self.wait_peer(self.daemon, "evil", "away")
        self.table.entries["joe"] = (900, {"http_req_cnt": 20})
        again = self.dial(self.port, "agent-1", "evil", [self.table])
        wait.until(lambda: again.count(wire.CONTROL, wire.CONFIRM), what="the lesson is over")
        self.counted += 20
        self.wait_total("joe", "http_req_cnt", self.counted)
        self.unharmed()
