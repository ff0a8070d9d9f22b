"""Three agents, each the home of one instance: what is replicated through them, and what two of one name do."""
from __future__ import annotations

from support import wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest
from support.ports import free_port

AGENTS = ["agent-a", "agent-b", "agent-c"]
INSTANCES = ["lb1", "lb2", "lb3"]
SESSIONS = "type string len 32 size 1k expire 10m store gpc0,gpt0"


class FleetTest(MeshTest):
    seconds = 120

    def setUp(self) -> None:
        super().setUp()
        self.ports = {name: free_port() for name in AGENTS}
        self.agents = {name: self.start_agent(self.config(name), self.ports[name], self.directory / name)
                       for name in AGENTS}
        for name, daemon in self.agents.items():
            self.wait_mesh(daemon, name)
        for instance, name in zip(INSTANCES, AGENTS):
            self.add_instance(instance, self.ports[name], agent_name=name, totals=False,
                              tables={"sessions": SESSIONS, "clicks": SESSIONS},
                              extra_peers=f"    table clicks.total {SESSIONS}")
        self.wait_sessions(*INSTANCES)
        for instance, name in zip(INSTANCES, AGENTS):
            self.wait_synchronised(self.agents[name], instance)

    def config(self, name: str) -> AgentConfig:
        peers = [PeerConfig(instance) for instance in INSTANCES]
        peers += [PeerConfig(other, self.ports[other], kind="agent") for other in AGENTS if other != name]
        return AgentConfig(peers=peers, name=name, aggregates={"clicks": "clicks.total"},
                           extra='\n[[replicate]]\ntables = "sessions"\n')

    def wait_mesh(self, daemon: Agent, name: str) -> None:
        for other in AGENTS:
            if other != name:
                wait.until(lambda: daemon.peers()[other]["state"], lambda state: state == "synchronised", timeout=30,
                           what=f"{other} is synchronised at {name}")

    def write(self, instance: str, key: str, value: int) -> None:
        self.instances[instance].set("mesh/sessions", key, gpc0=value, gpt0=value)

    def seen(self, key: str) -> list[object]:
        return [self.instances[name].value("mesh/sessions", key, data_type) for name in INSTANCES
                for data_type in ["gpc0", "gpt0"]]

    def wait_everywhere(self, key: str, value: int) -> None:
        wait.until(lambda: self.seen(key), lambda seen: seen == [value] * 6, timeout=30,
                   what=f"every instance has {value} for {key}")

    def pushed(self) -> list[str]:
        """The last updates of tables that any agent has sent anybody."""
        return [table["last_pushed"] for daemon in self.agents.values() for peer in daemon.peers()
                for (name, _), table in daemon.peer(peer)[1].items() if name.partition("@")[0] in ["sessions", "clicks"]]

    def wait_quiet(self) -> None:
        """Until two looks, with marks between them, show that no update goes round."""
        last: list[list[str]] = []

        def same() -> bool:
            last.append(self.pushed())
            return len(last) > 3 and last[-1] == last[-2] == last[-3]
        wait.until(same, interval=0.7, timeout=30, what="no update goes round")

    def test_a_write_arrives_everywhere_and_nothing_goes_round(self) -> None:
        for number, instance in enumerate(INSTANCES, 1):
            self.write(instance, f"of-{instance}", number)
        for number, instance in enumerate(INSTANCES, 1):
            self.wait_everywhere(f"of-{instance}", number)
        self.write("lb3", "of-lb1", 9)
        self.wait_everywhere("of-lb1", 9)
        self.wait_quiet()

    def test_writes_that_cross_end_equal(self) -> None:
        for number in range(30):
            for place, instance in enumerate(INSTANCES):
                self.write(instance, "joe", 100 * number + place + 1)
        wait.until(lambda: self.seen("joe"), lambda seen: len(set(seen)) == 1 and seen[0] is not None, timeout=30,
                   what="all instances have the same")
        self.wait_quiet()
        self.assertEqual(len(set(self.seen("joe"))), 1)
        self.write("lb2", "joe", 5)
        self.wait_everywhere("joe", 5)

    def test_an_agent_that_is_killed_and_returns(self) -> None:
        self.write("lb1", "joe", 1)
        self.write("lb2", "amy", 1)
        self.wait_everywhere("joe", 1)
        self.wait_everywhere("amy", 1)
        self.agents["agent-b"].kill()
        self.write("lb1", "joe", 2)
        self.write("lb2", "amy", 3)
        wait.until(lambda: self.instances["lb3"].value("mesh/sessions", "joe", "gpc0"), lambda value: value == 2,
                   what="lb3 has what lb1 wrote meanwhile")
        self.agents["agent-b"].start()
        self.wait_mesh(self.agents["agent-b"], "agent-b")
        self.wait_everywhere("joe", 2)
        self.wait_everywhere("amy", 3)
        self.wait_quiet()

    def test_a_second_agent_of_one_name_is_named(self) -> None:
        self.instances["lb1"].set("mesh/clicks", "joe", gpc0=3)
        self.wait_clicks(3)
        twin = self.start_agent(self.config("agent-c"), free_port(), self.directory / "twin")
        wait.until(lambda: [self.agents[name].peers()["agent-c"]["note"] for name in ["agent-a", "agent-b"]],
                   lambda notes: all("agent-c" in note for note in notes), timeout=60,
                   what="the two others say what is wrong with agent-c")
        self.instances["lb2"].set("mesh/clicks", "joe", gpc0=4)
        wait.until(lambda: self.instances["lb1"].value("mesh/clicks.total", "joe", "gpc0"), lambda value: value == 7,
                   what="the others go on")
        self.assertEqual(twin.stop(), 0)
        self.wait_mesh(self.agents["agent-c"], "agent-c")
        self.wait_clicks(7)

    def test_two_instances_of_one_name_at_two_agents(self) -> None:
        self.instances["lb2"].set("mesh/clicks", "joe", gpc0=3)
        self.wait_clicks(3)
        twin = self.add_instance("lb1", self.ports["agent-b"], agent_name="agent-b", totals=False,
                                 tables={"sessions": SESSIONS, "clicks": SESSIONS})
        self.wait_synchronised(self.agents["agent-b"], "lb1")
        twin.set("mesh/clicks", "amy", gpc0=5)
        # Two processes of one name are one origin, of which the newer generation counts.
        wait.until(lambda: self.instances["lb3"].value("mesh/clicks.total", "amy", "gpc0"), lambda value: value == 5,
                   what="what the second has counted is in the total")
        self.assertEqual(self.instances["lb3"].value("mesh/clicks.total", "joe", "gpc0"), 3)

    def wait_clicks(self, expected: int) -> None:
        for name in INSTANCES:
            wait.until(lambda: self.instances[name].value("mesh/clicks.total", "joe", "gpc0"),
                       lambda value: value == expected, timeout=30, what=f"{name} is told {expected} of joe")
