"""Wrong names, the most common mistake of operators, and two connections where one belongs."""
from __future__ import annotations

import re

from support import peer, wait, wire
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest, http_table
from support.ports import free_port


class WrongNameTest(MeshTest):
    def told(self, daemon: Agent, reason: str, *words: str) -> None:
        """The reason is counted, and both the log and `show peers` hold all of |words|."""
        wait.until(lambda: daemon.errors().get(reason, 0), what=f"{reason} is counted")
        for what, text in (("the log", daemon.log()), ("show peers", daemon.ask("show peers"))):
            self.assertTrue(any(all(word in line for word in words) for line in text.splitlines()),
                            f"no line of {what} has all of {words}:\n{text[-3000:]}")

    def test_the_instance_has_another_name_than_its_peer_entry(self) -> None:
        """HAProxy dials as lb-one; the config knows lb1."""
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        self.add_instance("lb-one", port)
        self.told(daemon, "unknown-peer", "lb-one", "lb1")
        self.assertRegex(daemon.log(), r"localpeer|-L")
        self.assertRegex(daemon.log(), r"\[\[peer\]\]|peer.*name")

    def test_the_agent_dials_an_instance_of_another_name(self) -> None:
        """HAProxy answers 503 to a name that isn't its own."""
        self.add_instance("lb-one", free_port())
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1", self.layouts["lb-one"].peers_port)]))
        self.told(daemon, "refused-by-peer", "lb1", "503")
        self.assertRegex(daemon.log(), r"localpeer|-L")

    def test_the_instance_does_not_know_the_agent(self) -> None:
        """HAProxy answers 504: its peers section has no server of the agent's name."""
        self.add_instance("lb1", free_port(), agent_name="agent-x")
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1", self.layouts["lb1"].peers_port)]))
        self.told(daemon, "refused-by-peer", "agent-1", "504")
        self.assertRegex(daemon.log(), "peers section")

    def test_the_instance_calls_the_agent_by_another_name(self) -> None:
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        self.add_instance("lb1", port, agent_name="agent-x")
        self.told(daemon, "wrong-peer-name", "agent-x", "agent-1")

    def test_the_right_name_is_taken_after_a_wrong_one(self) -> None:
        """Refusals carry no status, since HAProxy never redials after one: the operator's correction works at once."""
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        for remote, local in (("agent-1", "nobody"), ("agent-x", "lb1"), ("agent-1", "agent-1")):
            connection, status = peer.greet(port, remote, local)
            connection.close()
            self.assertEqual(status, b"", f"{local} to {remote}")
        self.dial(port, "agent-1", "lb1")
        wait.until(daemon.errors, lambda counts: counts.get("unknown-peer") and counts.get("wrong-peer-name")
                   and counts.get("own-name"), what="three reasons")

    def test_a_peer_from_another_address_is_refused(self) -> None:
        port = free_port()
        config = AgentConfig(peers=[PeerConfig("lb1", free_port(), host="127.0.0.9")], allow_from="[]")
        daemon = self.start_agent(config, port)
        connection, status = peer.greet(port, "agent-1", "lb1")
        connection.close()
        self.assertEqual(status, b"")
        wait.until(lambda: daemon.errors().get("forbidden-address", 0), what="forbidden-address is counted")

    def test_unknown_instances_are_taken_when_the_config_says_so(self) -> None:
        port = free_port()
        self.start_agent(AgentConfig(peers=[PeerConfig("lb1")], peers_section="accept-unknown = true"), port)
        self.add_instance("lb1", port)
        self.add_instance("new", port)
        self.wait_sessions("lb1", "new")
        for name in ("lb1", "new"):
            self.instances[name].set("mesh/http", "joe", http_req_cnt=4)
        self.wait_total("joe", "http_req_cnt", 8)

    def test_one_that_has_a_session_with_another_agent_is_not_forgotten(self) -> None:
        agents = []
        for name, other in (("agent-a", "agent-b"), ("agent-b", "agent-a")):
            folder = self.directory / name
            folder.mkdir()
            address = agents[0].port if agents else None
            agents.append(self.start_agent(AgentConfig(name=name, peers=[PeerConfig(other, address, kind="agent")],
                                                       peers_section="accept-unknown = true"), directory=folder))
        session = self.dial(agents[1].port, "agent-b", "web", [http_table()])
        wait.until(lambda: agents[0].peers().get("web", {}).get("home"), lambda home: home == "agent-b",
                   what="agent-a hears of it")
        self.assertIn("has a session with another agent", agents[0].ask("forget peer web"))
        self.assertIn("'agent-b' is an agent", agents[0].ask("set peer agent-b maint"))
        self.assertNotIn("maint", agents[0].ask("forget peer agent-b"))
        session.close()
        answer = wait.until(lambda: agents[0].ask("forget peer web"), lambda text: "session" not in text, what="it is forgotten")
        self.assertIn("web: forgotten", answer)
        self.assertIn("say it to the other agents, too", answer)


class CollisionTest(MeshTest):
    def test_both_dial_and_one_session_stays(self) -> None:
        daemon = self.mesh(["lb1", "lb2"], dial="both")
        instance = self.instances["lb1"]
        instance.set("mesh/http", "joe", http_req_cnt=4)
        self.wait_total("joe", "http_req_cnt", 4)

        def facts() -> tuple[str, ...]:
            state = instance.peers()["agent-1"]
            return tuple(state[name] for name in ("last_status", "proto_err", "new_conn", "coll", "no_hbt"))
        # The connections that lost may still be counted right after the start.
        before = settled(facts)
        wait.holds(facts, lambda now: now == before, seconds=11, what="the session of lb1 stays")
        self.assertEqual(before[:2], ("ESTA", "0"))
        row = daemon.peers()["lb1"]
        self.assertNotIn(row["state"].lower(), ("", "down", "connecting", "closed"), row)
        self.assertEqual(len(re.findall(r"^lb1\t", daemon.ask("show peers"), re.M)), 1, "one row a peer")

    def test_a_second_process_replaces_the_first_session(self) -> None:
        """Same name, another pid: a reload. The old connection is closed, the new one lives."""
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        first = self.dial(port, "agent-1", "lb1", [http_table()], pid=100)
        second = self.dial(port, "agent-1", "lb1", [http_table()], pid=200)
        first.wait_closed()
        wait.holds(lambda: second.closed, lambda closed: not closed, seconds=2, what="the new session lives")
        wait.until(lambda: daemon.errors().get("replaced-session", 0), what="replaced-session is counted")

    def test_a_second_live_session_of_one_process_is_refused(self) -> None:
        """Two peers sections on one listener: the first is kept, and the likely cause is named."""
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        first = self.dial(port, "agent-1", "lb1", [http_table()], pid=100)
        first.push(first.tables[0], "joe", http_req_cnt=3)
        wait.until(lambda: daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == 3)
        first.control(wire.HEARTBEAT)  # its last sign of life may be old on a busy machine
        connection, status = peer.greet(port, "agent-1", "lb1", pid=100)
        connection.close()
        self.assertEqual(status, b"", "closed without a status")
        wait.until(lambda: daemon.errors().get("duplicate-session", 0), what="duplicate-session is counted")
        self.assertFalse(first.closed)
        self.assertRegex(daemon.ask("show peers"), r"section|host")

    def test_two_processes_that_alternate_under_one_name(self) -> None:
        """Two hosts of one name: three replacements in 30 s, then the present one is kept and the cause is named."""
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        refused = 0
        for turn in range(8):
            connection, status = peer.greet(port, "agent-1", "lb1", pid=100 + turn % 2)
            if status == b"":
                refused += 1
                connection.close()
            else:
                self.addCleanup(connection.close)
        self.assertGreater(refused, 0, "alternating processes go on replacing each other")
        self.assertRegex(daemon.ask("show peers"), r"name|host")


def settled(probe: object, seconds: float = 3.0) -> tuple[str, ...]:
    """The value of |probe| once it has not changed for |seconds|."""
    assert callable(probe)
    for _ in range(10):
        value = probe()
        try:
            return wait.holds(probe, lambda now: now == value, seconds=seconds)  # noqa: B023 - used at once
        except AssertionError:
            continue
    raise AssertionError(f"never settles: {probe()}")


class HandshakeTest(MeshTest):
    """What the dialling and the accepting agent say, byte by byte."""
    needs_haproxy = False

    def test_the_agents_hello(self) -> None:
        listener = self.listener()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1", listener.port)]))
        listener.session()
        assert daemon.process is not None
        lines = listener.hellos[0]
        self.assertEqual(lines[:2], ["HAProxyS 2.1", "lb1"])
        self.assertRegex(lines[2], rf"^agent-1 {daemon.process.pid}( \d+)?$")

    def test_a_carriage_return_is_accepted(self) -> None:
        port = free_port()
        self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        connection = peer.connect(port)
        connection.sendall(b"HAProxyS 2.1\r\nagent-1\r\nlb1 5 1\r\n")
        self.assertEqual(peer.read_line(connection), b"200\n")
        connection.close()

    def test_a_session_in_single_bytes(self) -> None:
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        table = http_table()
        table.change("joe", http_req_cnt=3, http_req_rate=(0, 0, 0))
        connection = peer.connect(port)
        connection.setsockopt(6, 1, 1)  # TCP_NODELAY, or the kernel would join the bytes
        data = wire.hello("agent-1", "lb1") + table.definition() + table.update("joe", wire.Dictionary())
        for index in range(len(data)):
            connection.sendall(data[index:index + 1])
        wait.until(lambda: daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == 3)
        connection.close()

    def test_every_status_is_understood_and_dialling_goes_on(self) -> None:
        for status in (b"300\n", b"501\n", b"502\n", b"503\n", b"504\n", b"nonsense\n", b"999\n", b"0\n", None):
            with self.subTest(status=status):
                self.dials_again_after(status)

    def dials_again_after(self, status: bytes | None) -> None:
        listener = self.listener(status=status)
        daemon = Agent(self.directory, AgentConfig(peers=[PeerConfig("lb1", listener.port)]))
        daemon.start()
        try:
            wait.until(lambda: listener.hellos, what="a hello")
            listener.status = b"200\n"
            listener.session()
            self.assertLess(len(listener.hellos), 20, "it does not dial in a tight loop")
        finally:
            self._end_agent(daemon)

    def test_heartbeats_keep_an_idle_session(self) -> None:
        port = free_port()
        self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        session = self.dial(port, "agent-1", "lb1")
        wait.until(lambda: session.count(wire.CONTROL, wire.HEARTBEAT), lambda n: n >= 3, what="heartbeats")
        self.assertFalse(session.closed)

    def test_a_silent_peer_is_given_up(self) -> None:
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        session = self.dial(port, "agent-1", "lb1", None, peer.Habits(heartbeat=False, answer_lessons=False))
        session.wait_closed()
        self.assertEqual(daemon.errors().get("idle-timeout", 0), 1)

    def test_an_incomplete_hello_is_given_up(self) -> None:
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        self.assertEqual(peer.raw_exchange(port, b"HAProxyS 2.1\nagent-1\n"), b"")
        self.assertEqual(daemon.errors().get("handshake-timeout", 0), 1)
