"""Links that break, stall or crawl: the totals are right afterwards, and nobody waits for somebody else's link."""
from __future__ import annotations

import time

from support import wait
from support.agent import Agent, AgentConfig, PeerConfig, sanitized
from support.case import MeshTest
from support.ports import free_port
from support.relay import DOWN, UP, Relay

COUNT = 20_000


class CutTest(MeshTest):
    def start(self) -> tuple[Agent, Relay]:
        """lb1 reaches the agent through a relay, lb2 directly."""
        port = free_port()
        relay = self.relay(port)
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), port)
        self.add_instance("lb1", relay.port)
        self.add_instance("lb2", port)
        self.wait_sessions("lb1", "lb2")
        return daemon, relay

    def check_totals(self, name: str, factor: int) -> None:
        def wrong() -> int:
            table = self.instances[name].table("mesh/http.total")
            return sum(table.get(f"u{n}", {}).get("http_req_cnt") != n * factor + 1 for n in range(COUNT))
        wait.until(wrong, lambda count: count == 0, timeout=60, interval=0.3, what=f"wrong totals at {name}")

    def test_in_the_middle_of_a_push_of_an_instance(self) -> None:
        _, relay = self.start()
        relay.cut_after(UP, 200_000)
        self.instances["lb1"].fill("mesh/http", ((f"u{n}", {"http_req_cnt": n + 1}) for n in range(COUNT)))
        wait.until(relay.is_cut, what="the link is cut")
        seen = self.instances["lb2"].used("mesh/http.total")
        self.assertLess(seen, COUNT)
        relay.restore()
        self.check_totals("lb2", 1)
        self.check_totals("lb1", 1)

    def test_in_the_middle_of_a_push_of_totals(self) -> None:
        _, relay = self.start()
        relay.cut_after(DOWN, 200_000)
        self.instances["lb2"].fill("mesh/http", ((f"u{n}", {"http_req_cnt": n + 1}) for n in range(COUNT)))
        wait.until(relay.is_cut, what="the link is cut")
        relay.restore()
        self.check_totals("lb1", 1)

    def test_again_and_again_while_both_count(self) -> None:
        """Cut in turns in both directions while the same keys grow at both: nothing twice, nothing lost."""
        daemon, relay = self.start()
        for turn in range(1, 5):
            relay.cut_after((UP, DOWN)[turn % 2], 60_000)
            for name in ("lb1", "lb2"):
                self.instances[name].fill("mesh/http", ((f"u{n}", {"http_req_cnt": turn * (n + 1)})
                                                        for n in range(3000)))
            time.sleep(0.2)  # so that some of the cuts fall within pushes and some between them
            relay.cut()
            relay.restore()
        expected = {f"u{n}": 8 * (n + 1) for n in range(3000)}
        for name in ("lb1", "lb2"):
            wait.until(lambda: mismatches(self.instances[name].table("mesh/http.total"), expected), lambda n: n == 0,
                       timeout=60, interval=0.3, what=f"wrong totals at {name}")
        self.assertEqual(mismatches(daemon.table("http.total"), expected), 0)

    def test_a_silent_link_is_noticed_and_replaced(self) -> None:
        """Frozen both ways for longer than any liveness rule, then thawed: both sides must have given it up."""
        daemon, relay = self.start()
        relay.freeze()
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=5)
        wait.until(lambda: daemon.errors().get("idle-timeout", 0) + daemon.errors().get("connection-lost", 0),
                   what="the agent gives the link up")
        self.assertEqual(self.instances["lb2"].peer_state("agent-1"), "ESTA")
        relay.drop()
        relay.thaw()
        self.wait_total("joe", "http_req_cnt", 5)

    def test_an_agent_that_stood_still_goes_on(self) -> None:
        """A stopped agent loses its sessions, since HAProxy waits 5 s for a sign of life; then all is as before."""
        daemon, _ = self.start()
        self.instances["lb2"].set("mesh/http", "joe", http_req_cnt=5)
        self.wait_total("joe", "http_req_cnt", 5)
        assert daemon.process is not None
        daemon.process.freeze()
        wait.until(lambda: [instance.peer_state("agent-1") for instance in self.instances.values()],
                   lambda states: "ESTA" not in states, what="both instances gave it up")
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=7)
        daemon.process.thaw()
        self.wait_total("joe", "http_req_cnt", 12)


def mismatches(table: dict[str, dict[str, int | str]], expected: dict[str, int]) -> int:
    return sum(table.get(key, {}).get("http_req_cnt") != value for key, value in expected.items())


class SlowTest(MeshTest):
    def rewrite(self, rounds: int, first: int = 1) -> None:
        """Every round changes all keys: an agent that queued updates, not keys, would grow with the rounds."""
        for turn in range(first, first + rounds):
            self.instances["lb1"].fill("mesh/http", ((f"u{n}", {"http_req_cnt": turn * 10_000 + n})
                                                     for n in range(5000)))

    def test_a_stopped_instance_neither_delays_others_nor_grows_memory(self) -> None:
        daemon = self.mesh(["lb1", "lb2", "slow"])
        assert daemon.process is not None
        self.rewrite(1)
        self.wait_total("u4999", "http_req_cnt", 14_999)
        slow = self.instances["slow"].process
        assert slow is not None
        slow.freeze()
        self.rewrite(4, first=2)
        self.wait_total("u4999", "http_req_cnt", 54_999, "lb1", "lb2")
        before = daemon.process.resident_kib()
        delays = []
        for turn in range(6, 30):
            self.rewrite(1, first=turn)
            start = time.monotonic()
            self.wait_total("u4999", "http_req_cnt", turn * 10_000 + 4999, "lb2")
            delays.append(time.monotonic() - start)
        grown = daemon.process.resident_kib() - before
        print(f"slowest total at lb2 after {max(delays):.3f} s; the agent grew by {grown} KiB")
        # 24 rounds of 5000 updates of some 30 bytes would be 3.5 MB and more.
        if not sanitized():
            self.assertLess(grown, 2500)
        slow.thaw()
        self.wait_total("u4999", "http_req_cnt", 294_999, "slow", timeout=60)
        self.assertEqual(mismatches(self.instances["slow"].table("mesh/http.total"),
                                    {f"u{n}": 290_000 + n for n in range(5000)}), 0)

    def test_a_crawling_link_delays_nobody_else(self) -> None:
        port = free_port()
        relay = self.relay(port)
        self.start_agent(AgentConfig(peers=[PeerConfig(name) for name in ("lb1", "lb2", "slow")]), port)
        self.add_instance("lb1", port)
        self.add_instance("lb2", port)
        self.add_instance("slow", relay.port)
        self.wait_sessions(*self.instances)
        relay.throttle(20_000)
        self.rewrite(5)
        self.wait_total("u4999", "http_req_cnt", 54_999, "lb2")
        relay.throttle(None)
        self.wait_total("u4999", "http_req_cnt", 54_999, "slow", timeout=60)
