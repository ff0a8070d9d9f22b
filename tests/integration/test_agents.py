"""Several agents: what is counted at any instance adds up at all of them, whichever agent lags, dies or returns."""
from __future__ import annotations

from support import http_client, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest
from support.haproxy import HAProxy
from support.ports import free_port

NAMES = ["agent-a", "agent-b"]


class AgentsTest(MeshTest):
    def start_agents(self, *instances: str) -> list[Agent]:
        """Two agents that dial each other, with a relay in the way of the one that a test wants to cut."""
        ports = [free_port(), free_port()]
        self.links = [self.relay(port) for port in ports]
        self.agents = []
        for index, name in enumerate(NAMES):
            peers = [PeerConfig(instance) for instance in instances]
            other = 1 - index
            peers.append(PeerConfig(NAMES[other], self.links[other].port, kind="agent"))
            directory = self.directory / name
            directory.mkdir()
            self.agents.append(self.start_agent(AgentConfig(peers=peers, name=name), ports[index], directory))
        for index, daemon in enumerate(self.agents):
            self.wait_peer(daemon, NAMES[1 - index])
        return self.agents

    def one_each(self) -> list[Agent]:
        """lb1 is at home at agent-a, lb2 at agent-b."""
        agents = self.start_agents("lb1", "lb2")
        for name, daemon in zip(["lb1", "lb2"], agents):
            self.add_instance(name, daemon.port, agent_name=daemon.config.name, status=True)
        for name, daemon in zip(["lb1", "lb2"], agents):
            self.wait_synchronised(daemon, name)
        return agents

    def both_at_both(self) -> list[Agent]:
        agents = self.start_agents("lb1", "lb2")
        for name in ["lb1", "lb2"]:
            self.add_instance(name, agents[0].port, agent_name=NAMES[0], status=True,
                              extra_peers=f"    server {NAMES[1]} 127.0.0.1:{agents[1].port}")
        self.wait_sessions("lb1", "lb2")
        for daemon in agents:
            for name in ["lb1", "lb2"]:
                self.wait_synchronised(daemon, name)
        return agents

    def send(self, name: str, key: str, times: int) -> None:
        self.assertEqual(http_client.send(self.layouts[name].http_port, key, times), [200] * times)

    def mark(self, instance: HAProxy) -> tuple[int, int]:
        """Origins present and expected, (0, 0) without a mark."""
        row = instance.table("mesh/stickmesh").get("http.total", {})
        return int(row.get("gpc0", 0)), int(row.get("gpc1", 0))

    def wait_mark(self, name: str, present: int, expected: int = 2) -> None:
        wait.until(lambda: self.mark(self.instances[name]), lambda found: found == (present, expected),
                   what=f"the mark at {name} speaks of {present} of {expected}")

    def test_what_instances_of_two_agents_count_adds_up(self) -> None:
        agents = self.one_each()
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        for daemon in agents:
            self.assertEqual(daemon.value("http.total", "joe", "http_req_cnt"), 7)
        self.wait_mark("lb1", 2)
        self.wait_mark("lb2", 2)

    def test_show_peers_says_who_is_home_and_how_far_each_table_is(self) -> None:
        agents = self.one_each()
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        for daemon, here, there, other in ((agents[0], "lb1", "lb2", NAMES[1]), (agents[1], "lb2", "lb1", NAMES[0])):
            rows = daemon.peers()
            self.assertEqual((rows[here]["home"], rows[there]["home"], rows[other]["home"]), ("here", other, there))
            fields, tables = daemon.peer(other)
            self.assertEqual((fields["Kind"], fields["Home"], fields["Home_here"]), ("agent", there, here))
            self.assertGreater(int(fields["Resyncs_out"]), 0)
            self.assertEqual(tables["http", "out"]["backlog"], "0")
            for table in ((f"http@{here}", "out"), (f"http@{there}", "in")):
                wait.until(lambda: daemon.peer(other)[1][table], what=f"{table} is acknowledged at {daemon.config.name}",
                           accept=lambda row: row["last_pushed"] == row["last_acked"] != "0")

    def test_an_instance_of_both_agents_is_counted_once(self) -> None:
        agents = self.both_at_both()
        self.send("lb1", "joe", 5)
        self.send("lb2", "joe", 6)
        self.wait_total("joe", "http_req_cnt", 11)
        for daemon in agents:
            wait.until(lambda: daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == 11,
                       what=f"{daemon.config.name} has the sum")

    def test_the_other_agent_takes_over_when_one_is_killed(self) -> None:
        agents = self.both_at_both()
        self.send("lb1", "joe", 5)
        self.wait_total("joe", "http_req_cnt", 5)
        self.wait_mark("lb2", 2)
        agents[0].kill()
        self.send("lb2", "joe", 6)
        self.wait_total("joe", "http_req_cnt", 11)
        self.wait_mark("lb1", 2)
        agents[0].start()
        self.wait_peer(agents[0], NAMES[1])
        self.send("lb1", "joe", 1)
        self.wait_total("joe", "http_req_cnt", 12)
        wait.until(lambda: agents[0].value("http.total", "joe", "http_req_cnt"), lambda value: value == 12,
                   what="the agent that returned has the total")

    def test_a_frozen_agent_returns_with_nothing_old(self) -> None:
        agents = self.both_at_both()
        self.send("lb1", "joe", 5)
        self.wait_total("joe", "http_req_cnt", 5)
        assert agents[0].process is not None
        agents[0].process.freeze()
        self.addCleanup(agents[0].process.thaw)
        self.wait_peer(agents[1], NAMES[0], "behind")
        self.send("lb1", "joe", 2)
        self.send("lb2", "joe", 2)
        self.wait_total("joe", "http_req_cnt", 9)
        agents[0].process.thaw()
        self.wait_peer(agents[1], NAMES[0])
        self.send("lb2", "joe", 1)
        self.wait_total("joe", "http_req_cnt", 10)

    def test_a_cut_link_is_made_good(self) -> None:
        agents = self.one_each()
        for number in range(40):
            self.send("lb1", f"user-{number}", 1)
        self.send("lb1", "joe", 3)
        self.wait_total("joe", "http_req_cnt", 3)
        for link in self.links:
            link.cut()
        for daemon, other in zip(agents, reversed(NAMES)):
            self.wait_peer(daemon, other, "away")
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        # Neither can know the sum: it publishes nothing, and no mark says otherwise.
        for name in ["lb1", "lb2"]:
            wait.until(lambda: self.mark(self.instances[name]), lambda found: found == (0, 0),
                       what=f"the mark at {name} has run out")
            self.assertEqual(self.instances[name].value("mesh/http.total", "joe", "http_req_cnt"), 3)
        for link in self.links:
            link.restore()
        self.wait_total("joe", "http_req_cnt", 10)
        self.wait_mark("lb1", 2)
        self.wait_went_on(agents)

    def test_a_crawling_link_between_agents(self) -> None:
        agents = self.one_each()
        for link in self.links:
            link.throttle(4000)
        for number in range(30):
            self.send("lb1", f"user-{number}", 2)
            self.send("lb2", f"user-{number}", 3)
        for number in range(30):
            self.wait_total(f"user-{number}", "http_req_cnt", 5)
        for daemon, other in zip(agents, reversed(NAMES)):
            self.wait_peer(daemon, other)

    def test_a_soft_restart_interrupts_nothing_between_agents(self) -> None:
        agents = self.one_each()
        self.send("lb1", "joe", 3)
        self.wait_total("joe", "http_req_cnt", 3)
        agents[0].reload()
        self.wait_went_on(agents)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)

    def wait_went_on(self, agents: list[Agent]) -> None:
        """What either had acknowledged in an earlier session is not told again in this one."""
        rest = "what was not acknowledged before"
        for daemon, other in zip(agents, reversed(NAMES)):
            wait.until(lambda: daemon.peer(other)[0],
                       lambda said: (said.get("Learns"), said.get("Teaches")) == (rest, rest),
                       what=f"{daemon.config.name} goes on with {other}")

    def test_agents_with_other_rules_are_told(self) -> None:
        agents = self.start_agents("lb1")
        for daemon in agents:
            self.assertEqual(daemon.errors().get("rules-mismatch", 0), 0)
        agents[1].config.extra = '\n[[replicate]]\ntables = "sessions"\n'
        agents[1].write_config()
        agents[1].reload()
        for daemon, other in zip(agents, reversed(NAMES)):
            wait.until(lambda: daemon.peers()[other]["note"], lambda note: "[[replicate]] rules" in note,
                       what=f"{daemon.config.name} says that the rules differ")
            self.assertGreater(daemon.errors()["rules-mismatch"], 0)

    def test_a_reload_at_two_homes_is_one_process(self) -> None:
        agents = self.both_at_both()
        self.send("lb1", "joe", 5)
        self.wait_total("joe", "http_req_cnt", 5)
        self.instances["lb1"].reload()
        for daemon in agents:
            self.wait_synchronised(daemon, "lb1")
        self.send("lb1", "joe", 2)
        self.wait_total("joe", "http_req_cnt", 7)
        for daemon in agents:
            wait.until(lambda: daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == 7,
                       what=f"{daemon.config.name} has the total")

    def test_an_instance_that_lost_its_tables_goes_on(self) -> None:
        self.both_at_both()
        self.send("lb1", "joe", 5)
        self.send("lb2", "joe", 1)
        self.wait_total("joe", "http_req_cnt", 6)
        self.instances["lb1"].kill()
        self.instances["lb1"].start()
        wait.until(lambda: self.instances["lb1"].value("mesh/http", "joe", "http_req_cnt"), lambda value: value == 5,
                   what="lb1 is taught its own back")
        self.send("lb1", "joe", 2)
        self.wait_total("joe", "http_req_cnt", 8)

    def test_a_key_is_cleared_at_the_instances_of_all_agents(self) -> None:
        agents = self.one_each()
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        self.wait_peer(agents[0], NAMES[1])
        # What has not been heard of for two seconds counts as away.
        answer = wait.until(lambda: agents[0].ask("clear table http key joe"), lambda said: "lb2: cleared" in said,
                            what="lb2 is cleared by its home")
        self.assertIn("lb1: cleared", answer)
        for name in ["lb1", "lb2"]:
            wait.until(lambda: self.instances[name].value("mesh/http", "joe", "http_req_cnt"),
                       lambda value: value == 0, what=f"{name}'s own count is 0")
        self.wait_total("joe", "http_req_cnt", 0)
        self.send("lb2", "joe", 2)
        self.wait_total("joe", "http_req_cnt", 2)

    def test_an_agent_in_an_instances_place_is_told(self) -> None:
        ports = [free_port(), free_port()]
        first = self.start_agent(AgentConfig(name=NAMES[0], peers=[PeerConfig(NAMES[1], ports[1])]), ports[0],
                                 self._directory(NAMES[0]))
        self.start_agent(AgentConfig(name=NAMES[1], peers=[PeerConfig(NAMES[0], kind="agent"), PeerConfig("lb1")]),
                         ports[1], self._directory(NAMES[1]))
        wait.until(lambda: first.peers()[NAMES[1]]["note"], lambda note: 'kind = "agent"' in note,
                   what="the note says what to change")
        self.assertGreater(first.errors().get("not-its-origin", 0), 0)

    def _directory(self, name: str):
        directory = self.directory / name
        directory.mkdir()
        return directory
