"""Several agents in a full mesh, each with instances of its own, and a relay in the way of every connection between two
of them."""
from __future__ import annotations

import time
from typing import Any

from support import haproxy, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest
from support.ports import free_port
from support.relay import Relay


class SeveralAgentsTest(MeshTest):
    """Agents agent-a, agent-b, ... and, at home at one of them each, lb1, lb2, ..."""
    seconds = 180

    def start_agents(self, count: int, config: dict[str, Any] | None = None, dialling: str = "both",
                     others: tuple[str, ...] = ()) -> None:
        """|dialling| is who of two agents dials: the `first` by name, the `second`, or `both`; |others| are instances
        that a test plays itself."""
        self.names = [f"agent-{letter}" for letter in "abcdef"[:count]]
        self.ports = [free_port() for _ in self.names]
        self.links: dict[tuple[int, int], Relay] = {}  # by who dials, and whom
        self.agents: list[Agent] = []
        for index, name in enumerate(self.names):
            peers = [PeerConfig(instance) for instance in (*(f"lb{number + 1}" for number in range(count)), *others)]
            for other in range(count):
                if other != index:
                    peers.append(PeerConfig(self.names[other], self.link(index, other, dialling), kind="agent"))
            directory = self.directory / name
            directory.mkdir()
            self.agents.append(self.start_agent(AgentConfig(peers=peers, name=name, **(config or {})),
                                                self.ports[index], directory))
        self.wait_agents()

    def link(self, index: int, other: int, dialling: str) -> int | None:
        """The port at which agent number |index| finds another, or None where it only accepts."""
        if dialling != "both" and (dialling == "first") != (index < other):
            return None
        self.links[index, other] = self.relay(self.ports[other])
        return self.links[index, other].port

    def start_instances(self, **options: Any) -> None:
        """lb1 at agent-a, lb2 at agent-b, and so on."""
        for index, daemon in enumerate(self.agents):
            self.add_instance(f"lb{index + 1}", daemon.port, agent_name=daemon.config.name, **options)
        self.wait_sessions(*self.instances)
        for index, daemon in enumerate(self.agents):
            self.wait_synchronised(daemon, f"lb{index + 1}")

    def wait_agents(self) -> None:
        """Until all agents have each other."""
        for index in range(len(self.agents)):
            for other in self.names:
                if other != self.names[index]:
                    self.wait_state(index, other, "synchronised")

    def wait_state(self, index: int, peer: str, expected: str) -> None:
        self.wait_peer(self.agents[index], peer, expected)

    def holders(self, table: str) -> dict[str, haproxy.Table]:
        """What everybody holds of a replicated table: the data types alone."""
        found = {name: instance.table(f"mesh/{table}") for name, instance in self.instances.items()}
        found |= {daemon.config.name: daemon.table(table) for daemon in self.agents}
        for entries in found.values():
            for entry in entries.values():
                for other in ("exp", "shard"):
                    entry.pop(other, None)
        return found

    def sent(self, table: str) -> dict[tuple[str, str, str], str]:
        """The last update of |table| and its relatives that every agent has sent to each of its peers."""
        ids = {}
        for daemon in self.agents:
            for peer in daemon.peers():
                for (name, direction), row in daemon.peer(peer)[1].items():
                    if direction == "out" and name.split("@")[0] == table:
                        ids[daemon.config.name, peer, name] = row["last_pushed"]
        return ids

    def wait_quiet(self, table: str, seconds: float = 3.0) -> None:
        """Until no agent has said anything of |table| for so long. One that never ends fails here."""
        last, since = self.sent(table), time.monotonic()

        def quiet() -> float:
            nonlocal last, since
            if (now := self.sent(table)) != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since
        wait.until(quiet, lambda passed: passed >= seconds, interval=0.1, what=f"updates of {table} come to an end")
        self.assertTrue(last, f"nobody has sent {table} to anybody")
