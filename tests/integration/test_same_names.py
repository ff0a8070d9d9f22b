"""Two agents of one name, two instances of one name at different agents: nobody else is disturbed."""
from __future__ import annotations

import re

from support import wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.fleet import SeveralAgentsTest
from support.haproxy import HAProxy
from support.layout import Layout
from support.ports import free_port


class SameNamesTest(SeveralAgentsTest):
    def start(self) -> None:
        self.start_agents(2, {"aggregates": {"http": "http.total"}})
        self.start_instances(status=True)
        self.counted = {"lb1": 0, "lb2": 0}
        self.count(lb1=3, lb2=4)
        self.wait_all(7)

    def count(self, **counts: int) -> None:
        for name, number in counts.items():
            self.counted[name] += number
            self.instances[name].set("mesh/http", "joe", http_req_cnt=self.counted[name])

    def wait_all(self, total: int) -> None:
        self.wait_total("joe", "http_req_cnt", total)
        for daemon in self.agents:
            wait.until(lambda: daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == total,
                       what=f"{daemon.config.name} has the total {total}")

    def told(self, daemon: Agent, reason: str, *words: str) -> None:
        """The reason is counted, and both `show errors` and the log have a line with all of |words|."""
        wait.until(lambda: daemon.errors().get(reason, 0), what=f"{reason} is counted")

        def silent() -> list[str]:
            texts = {"show errors": daemon.ask("show errors"), "the log": daemon.log()}
            return [what for what, text in texts.items()
                    if not any(all(word in line for word in words) for line in text.splitlines())]
        wait.until(silent, lambda found: not found, what=f"all say {words}")

    def origins(self, daemon: Agent) -> dict[str, int]:
        lines = daemon.ask("show table http.total key joe origins")
        return {name: int(count) for name, count in re.findall(r"origin=(\S+).* http_req_cnt=(\d+)", lines)}


class AgentsTest(SameNamesTest):
    def start_second(self) -> Agent:
        """Another process that calls itself agent-a, from the same template as the first, and knows the same fleet."""
        directory = self.directory / "second"
        directory.mkdir()
        peers = [PeerConfig("lb1"), PeerConfig("lb2"), PeerConfig("agent-b", self.ports[1], kind="agent")]
        return self.start_agent(AgentConfig(peers=peers, name="agent-a", aggregates={"http": "http.total"}),
                                free_port(), directory)

    def test_the_others_are_told_and_go_on(self) -> None:
        self.start()
        sessions = [daemon.peers()[f"lb{number}"]["sessions"] for number, daemon in enumerate(self.agents, 1)]
        second = self.start_second()
        self.told(self.agents[1], "duplicate-session", "take turns under the name 'agent-a'", "two hosts")
        # Each instance's own agent goes on with it, and knows what it counts.
        self.count(lb1=1, lb2=1)
        for number, daemon in enumerate(self.agents, 1):
            name = f"lb{number}"
            wait.until(lambda: self.origins(daemon)[name], lambda value: value == self.counted[name],
                       what=f"{name}'s count at its home")
            self.assertEqual(daemon.peers()[name]["sessions"], sessions[number - 1])
            self.assertEqual(daemon.peers()[name]["state"], "synchronised")
        self.assertNotIn("own-name", self.agents[0].errors())
        second.stop()
        self.wait_agents()
        self.wait_all(sum(self.counted.values()))
        self.count(lb1=1, lb2=1)
        self.wait_all(sum(self.counted.values()))
        for daemon in self.agents:
            self.assertEqual(self.origins(daemon), self.counted)

    def test_one_that_dials_an_agent_which_has_dialled_is_told(self) -> None:
        """agent-a has dialled agent-b; another agent-b dials it again and again."""
        self.start_agents(2, {"aggregates": {"http": "http.total"}}, "first")
        directory = self.directory / "second"
        directory.mkdir()
        peers = [PeerConfig("lb1"), PeerConfig("lb2"), PeerConfig("agent-a", self.ports[0], kind="agent")]
        self.start_agent(AgentConfig(peers=peers, name="agent-b", aggregates={"http": "http.total"}), free_port(),
                         directory)
        self.told(self.agents[0], "duplicate-session", "two hosts")

    def test_what_its_namesake_was_told_the_agent_is_told_as_well(self) -> None:
        """The namesake comes in its place while it is cut off, and acknowledges what agent-b says."""
        self.start()
        for link in self.links.values():
            link.cut()
        self.wait_state(1, "agent-a", "away")
        second = self.start_second()
        self.wait_state(1, "agent-a", "synchronised")
        self.count(lb2=1)
        wait.until(lambda: self.origins(second), lambda found: found == self.counted,
                   what="the namesake is told")
        wait.until(lambda: self.agents[1].peer("agent-a")[1]["http@lb2", "out"],
                   accept=lambda row: row["last_pushed"] == row["last_acked"] != "0", what="and has acknowledged it")
        second.stop()
        self.wait_state(1, "agent-a", "away")
        for link in self.links.values():
            link.restore()
        self.wait_agents()
        self.wait_all(sum(self.counted.values()))

    def test_one_that_dials_its_namesake_is_refused(self) -> None:
        """agent-a is told that agent-b lives at the address that is agent-a's own."""
        self.start()
        directory = self.directory / "second"
        directory.mkdir()
        config = AgentConfig(peers=[PeerConfig("agent-b", self.ports[0], kind="agent")], name="agent-a",
                             aggregates={"http": "http.total"})
        self.start_agent(config, free_port(), directory)
        self.told(self.agents[0], "own-name", "agent-a", "this agent's own name")
        self.count(lb1=1, lb2=1)
        self.wait_all(9)
        self.assertEqual({row["sessions"] for daemon in self.agents for name, row in daemon.peers().items()
                          if name in ("lb1", "lb2") and row["home"] == "here"}, {"1"})


class InstancesTest(SameNamesTest):
    def start_second(self) -> HAProxy:
        """Another host that calls itself lb1, at agent-b."""
        directory = self.directory / "second"
        directory.mkdir()
        layout = Layout("lb1", self.ports[1], agent_name="agent-b", status=True)
        second = HAProxy(directory, layout.name, layout.config())
        self.addCleanup(second.stop)
        second.start()
        wait.until(lambda: second.peer_state("agent-b"), lambda state: state == "ESTA",
                   what="the second lb1 has a session with agent-b")
        return second

    def test_seen_at_two_agents_disturbs_nobody_else(self) -> None:
        """Of the two one is counted, wherever one asks, and never both; when it is gone, the other is."""
        self.start()
        second = self.start_second()
        wait.until(lambda: second.value("mesh/http", "joe", "http_req_cnt"), lambda value: value == self.counted["lb1"],
                   what="the second lb1 has its lesson, which would overwrite what it counts before")
        second.set("mesh/http", "joe", http_req_cnt=100)
        for _ in range(3):
            self.count(lb1=1, lb2=1)
            wait.until(lambda: [self.origins(daemon) for daemon in self.agents], self.one_of_them,
                       what="both agents count one and the same lb1, and lb2")
        self.wait_quiet("http")
        for number, daemon in enumerate(self.agents, 1):
            self.assertEqual(daemon.peers()[f"lb{number}"]["sessions"], "1", f"lb{number} was not interrupted")
        second.stop()
        self.wait_state(1, "lb1", "away")
        self.count(lb1=1, lb2=1)
        self.wait_all(sum(self.counted.values()))
        for daemon in self.agents:
            self.assertEqual(self.origins(daemon), self.counted)

    def test_seen_at_two_agents_is_told(self) -> None:
        self.start()
        self.start_second()
        self.count(lb1=1)
        wait.until(lambda: [daemon.ask("show peers lb1") + daemon.ask("show errors") for daemon in self.agents],
                   lambda texts: any("two hosts" in text for text in texts), timeout=80,
                   what="an agent says that two processes call themselves lb1")

    def one_of_them(self, found: list[dict[str, int]]) -> bool:
        first = found[0]
        return (found[1] == first and first.keys() == self.counted.keys()
                and first["lb1"] in (100, self.counted["lb1"]) and first["lb2"] == self.counted["lb2"])
