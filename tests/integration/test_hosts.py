"""Agents and instances on hosts of their own: a cable that is cut tells nobody, and what is sent meanwhile waits in the
kernel or is lost."""
from __future__ import annotations

import time

from support import hosts, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest

_PEERS_PORT = 10000
_TABLE = "type string len 32 size 1k expire 10m store http_req_cnt"


class HostsTest(MeshTest):
    """On each of three hosts an instance and an agent; every instance has a session with every agent."""
    seconds = 240
    count = 3

    def setUp(self) -> None:
        if reason := hosts.missing():
            self.skipTest(reason)
        super().setUp()
        self.hosts = hosts.Hosts(self.count)
        self.addCleanup(self.hosts.close)
        self.agents: list[Agent] = []
        for index in range(self.count):
            self.agents.append(self.start_one_agent(index))
        for index in range(self.count):
            name = f"lb{index + 1}"
            self.instances[name] = self.start_haproxy(name, self.haproxy_config(index), self.hosts.prefix(index))
        self.all_synchronised()

    def start_one_agent(self, index: int) -> Agent:
        peers = [PeerConfig(f"lb{other + 1}", _PEERS_PORT, self.hosts.address(other)) for other in range(self.count)]
        peers += [PeerConfig(f"agent-{other + 1}", hosts.PORT, self.hosts.address(other), "agent")
                  for other in range(self.count) if other != index]
        directory = self.directory / f"agent-{index + 1}"
        directory.mkdir()
        config = AgentConfig(peers=peers, name=f"agent-{index + 1}", host=self.hosts.address(index),
                             allow_from="[]")
        return self.start_agent(config, hosts.PORT, directory, self.hosts.prefix(index))

    def haproxy_config(self, index: int) -> str:
        lines = ["peers mesh", f"    bind {self.hosts.address(index)}:{_PEERS_PORT}", '    server "$HAPROXY_LOCALPEER"']
        lines += [f"    server agent-{other + 1} {self.hosts.address(other)}:{hosts.PORT}" for other in range(self.count)]
        lines += [f"    table http {_TABLE}", f"    table http.total {_TABLE}",
                  "    table stickmesh type string len 64 size 1k expire 2s store gpt0,gpc0,gpc1"]
        return "\n".join(lines) + "\n"

    def state(self, index: int, peer: str) -> str:
        return self.agents[index].peers()[peer]["state"]

    def all_synchronised(self) -> None:
        for index in range(self.count):
            for other in range(self.count):
                self.wait_state(index, f"lb{other + 1}", "synchronised")
                if other != index:
                    self.wait_state(index, f"agent-{other + 1}", "synchronised")

    def wait_state(self, index: int, peer: str, expected: str) -> None:
        wait.until(lambda: self.state(index, peer), lambda state: state == expected, timeout=60,
                   what=f"{peer} is {expected} at agent-{index + 1}")

    def count_to(self, name: str, count: int) -> None:
        self.instances[name].set("mesh/http", "joe", http_req_cnt=count)

    def wait_everywhere(self, total: int) -> None:
        self.wait_total("joe", "http_req_cnt", total, timeout=60)
        for daemon in self.agents:
            wait.until(lambda: daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == total,
                       timeout=60, what=f"{daemon.config.name} has the total {total}")

    def mark(self, name: str) -> tuple[int, int]:
        row = self.instances[name].table("mesh/stickmesh").get("http.total", {})
        return int(row.get("gpc0", 0)), int(row.get("gpc1", 0))

    def test_a_host_that_is_cut_off_and_returns(self) -> None:
        for index, count in enumerate([3, 4, 5]):
            self.count_to(f"lb{index + 1}", count)
        self.wait_everywhere(12)
        self.hosts.cut(2)
        self.wait_state(0, "agent-3", "away")
        self.wait_state(2, "agent-1", "away")
        # All count on. Two still know of each other, but lack an instance and an agent: nobody lends its total.
        self.count_to("lb1", 13)
        self.count_to("lb2", 14)
        self.count_to("lb3", 15)
        for name in self.instances:
            wait.until(lambda: self.mark(name), lambda found: found == (0, 0), timeout=60,
                       what=f"the mark at {name} has run out")
        self.assertEqual(self.instances["lb3"].value("mesh/http.total", "joe", "http_req_cnt"), 12)
        self.hosts.restore(2)
        self.all_synchronised()
        self.wait_everywhere(42)
        for name in self.instances:
            wait.until(lambda: self.mark(name), lambda found: found == (3, 3), timeout=60,
                       what=f"the mark at {name} speaks of all")

    def test_a_cut_that_is_shorter_than_anybody_notices(self) -> None:
        """HAProxy notices after 5 s, and TCP tries again at ever longer intervals: one that took long is none."""
        self.count_to("lb3", 5)
        self.wait_everywhere(5)
        ours, theirs = 0, 5
        for _ in range(5):
            sessions = self.sessions_with_the_third()
            ours, theirs = ours + 3, theirs + 1
            began = time.monotonic()
            self.hosts.cut(2)
            self.count_to("lb1", ours)
            self.count_to("lb3", theirs)
            for index, total in ((0, ours + theirs - 1), (2, ours - 3 + theirs)):
                wait.until(lambda: self.agents[index].value("http.total", "joe", "http_req_cnt"),
                           lambda value: value == total, what=f"agent-{index + 1} has what its own has counted")
            self.hosts.restore(2)
            took = time.monotonic() - began
            self.wait_everywhere(ours + theirs)
            if took < 2.0:
                self.assertEqual(sessions, self.sessions_with_the_third(), "nothing was interrupted")
                return
            self.all_synchronised()
        self.fail("no cut was short enough")

    def sessions_with_the_third(self) -> list[str]:
        rows = self.agents[0].peers()
        return [rows["agent-3"]["sessions"], rows["lb3"]["sessions"]]

    def test_a_soft_restart_while_a_host_is_cut_off(self) -> None:
        for index, count in enumerate([3, 4, 5]):
            self.count_to(f"lb{index + 1}", count)
        self.wait_everywhere(12)
        self.hosts.cut(2)
        self.wait_state(0, "lb3", "away")
        self.assertIn("is in charge", self.agents[0].reload())
        self.wait_state(0, "lb1", "synchronised")
        self.assertEqual(self.agents[0].value("http.total", "joe", "http_req_cnt"), 12)
        self.count_to("lb3", 6)
        self.hosts.restore(2)
        self.all_synchronised()
        self.wait_everywhere(13)
