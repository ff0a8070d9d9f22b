"""Restarts of the agent and of instances: nothing is counted twice, nothing that anyone still has is lost."""
from __future__ import annotations

import threading

from support import http_client, peer, wait, wire
from support.agent import AgentConfig, PeerConfig
from support.case import MeshTest, http_table
from support.ports import free_port


class AgentRestartTest(MeshTest):
    def restart(self, dial: str, *, kill: bool) -> None:
        daemon = self.mesh(["lb1", "lb2"], dial=dial)
        for name, count in (("lb1", 3), ("lb2", 4)):
            self.instances[name].fill("mesh/http", ((f"user{n}", {"http_req_cnt": n * count}) for n in range(2000)))
        self.wait_total("user1999", "http_req_cnt", 1999 * 7)
        if kill:
            daemon.kill()
        else:
            self.assertEqual(daemon.stop(), 0)
        # Counted while no agent runs: it must be in the totals afterwards.
        http_client.send(self.layouts["lb1"].http_port, "late", 5)
        daemon.start()
        self.wait_sessions("lb1", "lb2")
        self.wait_total("late", "http_req_cnt", 5)
        wait.until(lambda: daemon.used("http.total"), lambda used: used == 2001, what="the agent learned all again")

        def wrong(name: str) -> list[int]:
            table = self.instances[name].table("mesh/http.total")
            return [n for n in range(2000) if table.get(f"user{n}", {}).get("http_req_cnt") != n * 7]
        for name in self.instances:
            wait.until(lambda: wrong(name), lambda found: not found, what=f"wrong totals at {name}")
        self.instances["lb2"].set("mesh/http", "user5", http_req_cnt=100)
        self.wait_total("user5", "http_req_cnt", 115)

    def test_sigterm_while_haproxy_dials(self) -> None:
        self.restart("haproxy", kill=False)

    def test_kill_9_while_haproxy_dials(self) -> None:
        self.restart("haproxy", kill=True)

    def test_kill_9_while_both_dial(self) -> None:
        self.restart("both", kill=True)

    def test_agent_starts_after_the_instances(self) -> None:
        """HAProxy finds the port closed at first; what it counted meanwhile arrives."""
        port = free_port()
        for name in ("lb1", "lb2"):
            self.add_instance(name, port)
            http_client.send(self.layouts[name].http_port, "joe", 6)
        wait.until(lambda: self.instances["lb1"].peer_state("agent-1"), lambda state: state != "NONE",
                   what="lb1 tried to dial")
        self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), port)
        self.wait_total("joe", "http_req_cnt", 12)

    def test_instances_start_after_the_agent(self) -> None:
        port = free_port()
        ports = {name: free_port() for name in ("lb1", "lb2")}
        self.start_agent(AgentConfig(peers=[PeerConfig(name, ports[name]) for name in ports]), port)
        nobody = free_port()
        for name in ports:
            self.add_instance(name, nobody, peers_port=ports[name])
            http_client.send(self.layouts[name].http_port, "joe", 6)
        self.wait_total("joe", "http_req_cnt", 12)


class InstanceRestartTest(MeshTest):
    def test_a_cold_start_gets_its_own_counts_and_the_totals_back(self) -> None:
        self.mesh(["lb1", "lb2"], dial="both")
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=30)
        self.instances["lb2"].set("mesh/http", "joe", http_req_cnt=20)
        self.wait_total("joe", "http_req_cnt", 50)
        self.instances["lb1"].kill()
        self.instances["lb1"].start()
        self.wait_total("joe", "http_req_cnt", 50)
        wait.until(lambda: self.instances["lb1"].value("mesh/http", "joe", "http_req_cnt"), lambda value: value == 30,
                   what="lb1 has its own count again")
        http_client.send(self.layouts["lb1"].http_port, "joe", 1)
        self.wait_total("joe", "http_req_cnt", 51)

    def test_its_resync_ends(self) -> None:
        """HAProxy's request for a lesson is answered: it answers FINISHED to others only when it has been taught itself
        or has given up, which it never does while the one it asked stays silent."""
        probe = free_port()
        daemon = self.mesh(["lb1"], extra_peers=f"    server probe 127.0.0.1:{probe}")
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=30)
        self.wait_total("joe", "http_req_cnt", 30)
        self.wait_peer(daemon, "lb1")
        session = self.dial(self.layouts["lb1"].peers_port, "lb1", "probe")
        session.request_lesson()
        wait.until(lambda: session.count(wire.CONTROL, wire.FINISHED) + session.count(wire.CONTROL, wire.PARTIAL),
                   what="an end of the lesson")
        self.assertEqual(session.count(wire.CONTROL, wire.PARTIAL), 0, "lb1 says that it is not up to date")
        self.assertEqual(session.count(wire.CONTROL, wire.FINISHED), 1)

    def test_reload_keeps_the_tables_and_counts_nothing_twice(self) -> None:
        self.mesh(["lb1", "lb2"], dial="both")
        self.instances["lb1"].fill("mesh/http", ((f"user{n}", {"http_req_cnt": n}) for n in range(1000)))
        self.instances["lb2"].set("mesh/http", "user7", http_req_cnt=100)
        self.wait_total("user7", "http_req_cnt", 107)
        for _ in range(2):
            self.instances["lb1"].reload()
            wait.until(lambda: self.instances["lb1"].used("mesh/http"), lambda used: used == 1000,
                       what="the new process has the old one's table")
            wait.until(lambda: self.instances["lb1"].peer_state("agent-1"), lambda state: state == "ESTA",
                       what="the new process has a session")
        self.wait_total("user7", "http_req_cnt", 107)
        self.wait_total("user999", "http_req_cnt", 999)
        http_client.send(self.layouts["lb1"].http_port, "user7", 3)
        self.wait_total("user7", "http_req_cnt", 110)

    def test_reload_under_traffic(self) -> None:
        """The totals neither double nor fall back to nothing, and end as the sum of what the instances hold."""
        self.mesh(["lb1", "lb2"], dial="both")
        self.instances["lb1"].set("mesh/http", "still", http_req_cnt=1)
        over = threading.Event()
        begun: list[int] = []
        threads = [threading.Thread(target=keep_sending, args=(layout.http_port, over, begun))
                   for layout in self.layouts.values()]
        for thread in threads:
            thread.start()
        try:
            seen: list[int] = []
            # Up to 20 may be lost by each reload: less than the tenth that the total may not fall by.
            wait.until(lambda: self.sample(seen, begun), lambda value: value >= 500, what="a total of 500")
            for _ in range(3):
                wait.until(lambda: self.sample(seen, begun), lambda value: value > (seen[0] if seen else 0),
                           what="the total grows")
                self.instances["lb1"].reload()
                wait.until(lambda: self.instances["lb1"].peer_state("agent-1"), lambda state: state == "ESTA",
                           what="the new process has a session")
                wait.until(lambda: self.instances["lb1"].value("mesh/http", "still", "http_req_cnt"), lambda value: value == 1,
                           what="the old process has taught the new one")
        finally:
            over.set()
            for thread in threads:
                thread.join()

        def difference() -> int:
            own = [self.instances[name].value("mesh/http", "joe", "http_req_cnt") or 0 for name in ("lb1", "lb2")]
            totals = [self.instances[name].value("mesh/http.total", "joe", "http_req_cnt") or 0
                      for name in ("lb1", "lb2")]
            return max(abs(int(total) - sum(int(count) for count in own)) for total in totals)
        wait.until(difference, lambda value: value == 0, what="totals equal the sum of the instances' counts")
        # What the old process counted after its lesson is lost by the protocol; more than a few per reload is not.
        self.assertGreaterEqual(max(seen), 100)

    def sample(self, seen: list[int], begun: list[int]) -> int:
        value = int(self.instances["lb2"].value("mesh/http.total", "joe", "http_req_cnt") or 0)
        if seen and value < max(seen) * 0.9:
            raise AssertionError(f"the total fell from {max(seen)} to {value}")
        if value > sum(begun):
            raise AssertionError(f"the total is {value}, of {sum(begun)} requests")
        seen.append(value)
        return value


def keep_sending(port: int, over: threading.Event, begun: list[int]) -> None:
    while not over.is_set():
        begun.append(20)
        try:
            http_client.send(port, "joe", 20)
        except OSError:
            pass  # the old process closes its listener while the new one opens its own
        over.wait(0.05)


class LessonsTest(MeshTest):
    """Lessons in both directions with a scripted instance."""
    needs_haproxy = False

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), self.port)

    def test_what_a_lesson_says_is_taken_and_confirmed_once(self) -> None:
        table = http_table()
        for n in range(100):
            table.change(f"user{n}", http_req_cnt=n, http_req_rate=(0, 0, 0))
        session = self.dial(self.port, "agent-1", "lb1", [table])
        wait.until(lambda: self.daemon.value("http.total", "user99", "http_req_cnt"), lambda value: value == 99)
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM), lambda n: n >= 1, what="a confirm")
        wait.holds(lambda: session.count(wire.CONTROL, wire.CONFIRM) - session.lesson_requests, lambda n: n == 0,
                   seconds=1.5, what="one confirm for each lesson")

    def test_partial_is_asked_again(self) -> None:
        table = http_table()
        table.change("joe", http_req_cnt=5)
        session = self.dial(self.port, "agent-1", "lb1", [table], peer.Habits(answer=wire.PARTIAL))
        wait.until(lambda: session.lesson_requests, lambda n: n >= 2, what="a second request")
        session.habits.answer = wire.FINISHED
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM), lambda n: n >= 2, what="confirms")

    def test_a_request_is_answered_with_the_larger_counters(self) -> None:
        """An instance that starts anew, has counted a little already and asks: the agent takes its lesson first, then
        teaches it what it had counted before, never what others counted, and never less than what it has now."""
        before = http_table()
        before.change("joe", http_req_cnt=30)
        before.change("amy", http_req_cnt=4)
        first = self.dial(self.port, "agent-1", "lb1", [before], pid=100)
        other = http_table()
        other.change("joe", http_req_cnt=1000)
        other.change("eve", http_req_cnt=5)
        self.dial(self.port, "agent-1", "lb2", [other])
        wait.until(lambda: self.daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == 1030)
        first.close()
        after = http_table()
        after.change("joe", http_req_cnt=2)
        after.change("amy", http_req_cnt=9)
        # As HAProxy, it says that it has not all while it is looking for a teacher.
        session = self.dial(self.port, "agent-1", "lb1", [after], peer.Habits(answer=wire.PARTIAL), pid=200)
        # Its answer is on its way, which the agent does not wait for longer than two seconds.
        wait.until(lambda: session.count(wire.CONTROL, wire.REQUEST), what="it says what it has")
        session.request_lesson()
        wait.until(lambda: session.count(wire.CONTROL, wire.FINISHED), what="FINISHED")
        session.habits.answer = wire.FINISHED
        session.wait_value("/http", "joe", "http_req_cnt", 30)
        self.assertIn(session.value("/http", "amy", "http_req_cnt"), (None, 9))
        self.assertNotIn("eve", session.received["/http"])
        self.assertEqual(session.count(wire.CONTROL, wire.FINISHED), 1)
        self.assertGreaterEqual(session.lesson_requests, 1)

    def test_a_request_without_anything_to_teach_is_answered(self) -> None:
        session = self.dial(self.port, "agent-1", "lb1")
        session.request_lesson()
        wait.until(lambda: session.count(wire.CONTROL, wire.FINISHED), lambda n: n == 1, what="FINISHED")

    def test_ids_of_a_lesson_are_not_acknowledged_and_live_ones_are(self) -> None:
        table = http_table()
        table.change("joe", http_req_cnt=5)
        table.last_id = 7 | 1 << 31
        table.change("amy", http_req_cnt=5)
        session = self.dial(self.port, "agent-1", "lb1", [table])
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM), what="the lesson is confirmed")
        table.last_id = 9
        update_id = session.push(table, "joe", http_req_cnt=6)
        wait.until(lambda: session.acked.get(table.number), lambda acked: acked == update_id, what="the ack of a push")
        acked = [message.body for message in session.messages
                 if (message.kind, message.number) == (wire.TABLE, wire.ACK)]
        self.assertTrue(all(body[-4] & 0x80 == 0 for body in acked), acked)

    def test_version_2_0_is_spoken(self) -> None:
        """A peer that announces 2.0 is taken, and gets updates."""
        session = self.dial(self.port, "agent-1", "lb1", [http_table(), http_table("/http.total", 2)], version="2.0")
        session.push(session.tables[0], "joe", http_req_cnt=5)
        session.wait_value("/http.total", "joe", "http_req_cnt", 5)


class LargeLessonTest(MeshTest):
    seconds = 400  # a busy machine takes minutes for 400 k commands
    alone = True

    def test_200k_entries(self) -> None:
        count = 200_000
        port = free_port()
        definition = "type string len 32 size 300k expire 30m store http_req_cnt,http_req_rate(10s)"
        for name in ("lb1", "lb2"):
            self.add_instance(name, port, tables={"http": definition})
        for name, factor in (("lb1", 1), ("lb2", 2)):
            self.instances[name].fill("mesh/http", ((f"u{n}", {"http_req_cnt": n * factor + 1}) for n in range(count)))
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig(name, self.layouts[name].peers_port)
                                                     for name in self.instances]), port)
        wait.until(lambda: daemon.used("http.total"), lambda used: used == count,
                   what="all entries at the agent")
        assert daemon.process is not None
        print(f"agent: {daemon.process.resident_kib()} KiB, {daemon.process.cpu_seconds():.2f} s of CPU")
        for name in self.instances:
            wait.until(lambda: self.instances[name].used("mesh/http.total"), lambda used: used == count,
                       what=f"all totals at {name}")
            wait.until(lambda: wrong_totals(self.instances[name].table("mesh/http.total"), count), lambda n: n == 0,
                       interval=1.0, what=f"wrong totals at {name}")


def wrong_totals(table: dict[str, dict[str, int | str]], count: int) -> int:
    return sum(table.get(f"u{n}", {}).get("http_req_cnt") != 3 * n + 2 for n in range(count))


class ReplicatedRestartTest(MeshTest):
    def changes_of_a_cold_instance_are_taken(self, dial: str) -> None:
        daemon = self.mesh(["lb1", "lb2"], dial=dial, totals=False,
                           tables={"sessions": "type string len 32 size 1k expire 10m store gpc0"},
                           agent={"aggregates": {}, "extra": '\n[[replicate]]\ntables = "sessions"\n'})
        lb1 = self.instances["lb1"]
        for number in range(1, 40):
            lb1.set("mesh/sessions", "joe", gpc0=number)
        self.wait_value("lb2", 39)
        lb1.kill()
        lb1.start()
        self.wait_sessions("lb1")
        self.wait_value("lb1", 39)
        # Taught while it is new, it is told all once more when it has said that it has all.
        self.wait_peer(daemon, "lb1")
        wait.until(lambda: daemon.peer("lb1")[1]["/sessions", "out"], what="lb1 has acknowledged what it was taught",
                   accept=lambda row: row["last_pushed"] == row["last_acked"] != "0")
        lb1.set("mesh/sessions", "joe", gpc0=50)
        self.wait_value("lb2", 50)

    def wait_value(self, name: str, expected: int) -> None:
        wait.until(lambda: self.instances[name].value("mesh/sessions", "joe", "gpc0"), lambda value: value == expected,
                   what=f"joe is {expected} at {name}")

    def test_changes_of_a_cold_instance_that_dials(self) -> None:
        self.changes_of_a_cold_instance_are_taken("haproxy")

    def test_changes_of_a_cold_instance_that_is_dialled(self) -> None:
        self.changes_of_a_cold_instance_are_taken("agent")
