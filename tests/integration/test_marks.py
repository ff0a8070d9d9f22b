"""The status table says in HAProxy itself whether a total can be trusted: seen in responses while the agent is killed,
stopped or behind a slow link, while an instance is frozen, and through a reload."""
from __future__ import annotations

import time

from support import http_client, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest
from support.ports import free_port

# What the contract allows from the moment that the agent falls silent: the mark's two seconds, its whole second, and
# HAProxy's own expiry; the rest is this machine's.
FALLBACK = 30.0


class MarksTest(MeshTest):
    seconds = 180

    def limited_mesh(self, **agent: object) -> Agent:
        """Two instances that refuse joe by the total, though neither's own count crosses the limit."""
        daemon = self.mesh(["lb1", "lb2"], limit=20, status=True, agent=dict(agent))
        # The last of them is let through as well, however soon the total is there.
        for name, count in (("lb1", 11), ("lb2", 10)):
            self.assertEqual(http_client.send(self.layouts[name].http_port, "joe", count), [200] * count)
        self.wait_total("joe", "http_req_cnt", 21)
        for name in self.instances:
            self.wait_status(name, 429)
        return daemon

    def status(self, name: str) -> int:
        """How |name| answers joe, whom a probe must not bring over the limit by itself; 0 while it does not."""
        if int(self.instances[name].value("mesh/http", "joe", "http_req_cnt") or 0) >= 19:
            self.instances[name].set("mesh/http", "joe", http_req_cnt=11)
        try:
            return http_client.send(self.layouts[name].http_port, "joe")[0]
        except OSError:
            return 0  # the old process of a reload has closed its listener

    def wait_status(self, name: str, code: int, timeout: float = FALLBACK) -> None:
        wait.until(lambda: self.status(name), lambda got: got == code, timeout=timeout, interval=0.25,
                   what=f"{name} answers {code}")

    def mark(self, name: str, table: str = "http.total") -> dict[str, int]:
        entry = self.instances[name].entry("mesh/stickmesh", table) or {}
        return {key: int(value) for key, value in entry.items()}

    def wait_mark(self, name: str, present: int, expected: int, timeout: float = FALLBACK) -> None:
        wait.until(lambda: self.mark(name), lambda row: (row.get("gpc0"), row.get("gpc1")) == (present, expected),
                   timeout=timeout, what=f"{name} sees {present} of {expected} origins")

    def test_every_instance_is_told_until_when_and_who_is_there(self) -> None:
        self.limited_mesh()
        for name in self.instances:
            self.wait_mark(name, 2, 2)

            def current() -> int:
                before = int(time.time())
                until = self.mark(name).get("gpt0", 0)
                self.assertLessEqual(until, int(time.time()) + 2)
                return until if until >= before else 0
            first = wait.until(current, what="a current mark")
            wait.until(lambda: self.mark(name).get("gpt0", 0), lambda until: until > first, what="the mark is renewed")

    def test_the_agent_is_killed(self) -> None:
        daemon = self.limited_mesh()
        daemon.kill()
        for name in self.instances:
            self.wait_status(name, 200)
            wait.until(lambda: self.mark(name), lambda row: not row, what="the mark expires")
        self.assertEqual(int(self.instances["lb1"].value("mesh/http.total", "joe", "http_req_cnt") or 0) > 20, True,
                         "the stale total is still there, and does not decide any more")
        daemon.start()
        self.wait_sessions(*self.instances)
        for layout in self.layouts.values():
            http_client.send(layout.http_port, "joe", 5)
        for name in self.instances:
            self.wait_status(name, 429)

    def test_the_agent_is_stopped_and_goes_on(self) -> None:
        """What had arrived while it was stopped is behind no fresh mark: the total that a mark speaks of has it."""
        daemon = self.limited_mesh()
        assert daemon.process is not None
        daemon.process.freeze()
        try:
            for name in self.instances:
                self.wait_status(name, 200)
            self.instances["lb2"].set("mesh/http", "amy", http_req_cnt=1000)
            counted = int(time.time()) + 1
        finally:
            daemon.process.thaw()

        def fresh_without_data() -> bool:
            """In this order: a mark that comes between the two reads finds the newer total."""
            row = self.mark("lb1")
            total = self.instances["lb1"].value("mesh/http.total", "amy", "http_req_cnt")
            # Both may have left after a while: that of one origin lacks amy, and says so.
            fresh = row.get("gpt0", 0) - 2 >= counted and row.get("gpc0") == 2
            self.assertFalse(fresh and total != 1000, f"the mark is {row}, amy was counted before {counted}, her total is {total}")
            return fresh
        wait.until(fresh_without_data, interval=0.002, what="a fresh mark")
        for name in self.instances:
            self.wait_status(name, 429)

    def test_an_instance_is_frozen(self) -> None:
        """A sum that lacks an instance never counts too much: the total stays current, but it says who is missing."""
        self.limited_mesh()
        process = self.instances["lb2"].process
        assert process is not None
        process.freeze()
        try:
            self.wait_mark("lb1", 1, 2)
            self.wait_status("lb1", 429)
        finally:
            process.thaw()
        self.wait_mark("lb1", 2, 2)

    def test_haproxy_is_reloaded(self) -> None:
        """A new process that missed the old one's lesson says for some ten seconds that it has not all: no marks go there
        until it has."""
        self.limited_mesh()
        for _ in range(2):
            self.instances["lb1"].reload()
            self.wait_status("lb1", 429)
            self.wait_mark("lb1", 2, 2)
            self.wait_mark("lb2", 2, 2)

    def test_a_link_that_carries_nothing_stops_the_marks_of_that_instance_only(self) -> None:
        agent_port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), agent_port)
        relay = self.relay(daemon.port)
        self.add_instance("lb1", relay.port, status=True, limit=20)
        self.add_instance("lb2", agent_port, status=True, limit=20)
        self.wait_sessions("lb1", "lb2")
        for name in self.instances:
            self.wait_mark(name, 2, 2)
        relay.freeze("down")
        wait.until(lambda: (bool(self.mark("lb1")), bool(self.mark("lb2"))), lambda have: have == (False, True),
                   what="lb1's mark runs out, and lb2 has one")
        relay.thaw()
        for name in self.instances:
            self.wait_mark(name, 2, 2)

    def test_maintenance_outlives_the_agent(self) -> None:
        daemon = self.limited_mesh()
        self.assertIn("in maintenance", daemon.ask("set peer lb2 maint"))
        self.wait_mark("lb1", 1, 1)
        self.assertEqual(daemon.peers()["lb2"]["expected"], "maint (runtime)")
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.wait_sessions(*self.instances)
        self.wait_mark("lb1", 1, 1)
        daemon.ask("set peer lb2 ready")
        self.wait_mark("lb1", 2, 2)

    def test_a_stranger_is_expected_until_it_is_forgotten(self) -> None:
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")], peers_section="accept-unknown = true"), port)
        for name in ("lb1", "web"):
            self.add_instance(name, port, status=True)
        self.wait_mark("lb1", 2, 2)
        self.assertEqual(daemon.peers()["web"]["expected"], "until forgotten")
        self.assertIn("has a session", daemon.ask("forget peer web"))
        self.assertIn("is configured", daemon.ask("forget peer lb1"))
        self.instances["web"].kill()
        self.wait_mark("lb1", 1, 2)
        self.assertIn("forgotten", daemon.ask("forget peer web"))
        self.wait_mark("lb1", 1, 1)
