"""SPOE: what the agent and conf/ rely on in each HAProxy, and what HAProxies do with an agent: 100 first connections, a chroot,
several agents, an overload."""
from __future__ import annotations

import collections
import concurrent.futures
import os
import select
import socket

from integration.test_spoe import CLIENTS, TRACK, SpoeTest, ask, row
from integration.test_spoe_haproxy import FIRST, KEY, InstanceTest, answer_of, ask_all
from integration.test_spoe_wire import readable
from support import agent, haproxy, spop, wait
from support.agent import AgentConfig
from support.ports import free_port
from support.spoe_layout import SpoeLayout

# From 3.1 on HAProxy speaks with agents through a multiplexer, which knows neither fragments nor answers elsewhere.
MULTIPLEXED = haproxy.version() >= (3, 1)
UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
OK = {"status": "200", "ok": "1"}


class ScriptedTest(SpoeTest):
    """A scripted agent in place of ours."""
    def scripted(self, habits: spop.Habits | None = None) -> spop.Agent:
        scripted = spop.Agent(habits)
        self.addCleanup(scripted.close)
        self.spoe_port = scripted.port
        return scripted

    def serve(self, name: str = "lb1", **options: object) -> SpoeLayout:
        return self.spoe_instance(name, {"track": TRACK}, ["http_req_cnt"], **{"processing": "10s", **options})


class HelloTest(ScriptedTest):
    def hellos(self, scripted: spop.Agent, check: bool = False) -> list[list[tuple[str, object]]]:
        """What was said on connections for events, or on those of health checks."""
        frames = scripted.frames(spop.HAPROXY_HELLO)
        self.assertEqual({(frame.flags, frame.stream, frame.number) for frame in frames}, {(spop.FIN, 0, 0)})
        found = [spop.pairs(frame.payload) for frame in frames]
        return [pairs for pairs in found if ("healthcheck" in dict(pairs)) == check]

    def test_what_it_says(self) -> None:
        """The same keys in the same order, whatever the version."""
        everything = "pipelining" if MULTIPLEXED else "pipelining,async"
        for number, (engine, size, capabilities) in enumerate((
                ("", 16380, "pipelining"), ("option async", 16380, everything), ("no option pipelining", 16380, ""),
                ("max-frame-size 1000", 1000, "pipelining"))):
            with self.subTest(engine):
                scripted = self.scripted(spop.Habits(size))
                layout = self.serve(f"lb{number}", engine=f"    {engine}\n")
                self.assertEqual(ask(layout.http_port), OK)
                found = self.hellos(scripted)
                expected = [("supported-versions", "2.0"), ("max-frame-size", size), ("capabilities", capabilities)]
                self.assertEqual([hello[:-1] for hello in found], [expected] * max(1, len(found)))
                for key, engine_id in (hello[-1] for hello in found):
                    self.assertEqual(key, "engine-id")
                    self.assertRegex(str(engine_id), f"^{UUID}$")
                checks = wait.until(lambda: self.hellos(scripted, check=True), what="it is checked")
                self.assertEqual(checks[0], spop.pairs(spop.split(spop.haproxy_hello(check=True))[0][0].payload),
                                 "what the raw client of other tests says")

    def test_the_size_of_a_buffer(self) -> None:
        """HAProxy offers what is left of it after the length. From 3.1 on checks offer 16380 whatever it is."""
        for bufsize in (8192, 32768):
            scripted = self.scripted(spop.Habits(4096))
            layout = self.serve(f"lb{bufsize}", general=f"    tune.bufsize {bufsize}\n")
            self.assertEqual(ask(layout.http_port), OK)
            self.assertEqual({dict(hello)["max-frame-size"] for hello in self.hellos(scripted)}, {bufsize - 4})
            checks = wait.until(lambda: self.hellos(scripted, check=True), what="it is checked")
            self.assertEqual(dict(checks[0])["max-frame-size"], 16380 if MULTIPLEXED else bufsize - 4)

    def test_an_engine_of_each_filter_and_process(self) -> None:
        scripted = self.scripted()
        layout = self.serve(frontends=2)
        for count in (2, 4):
            for port in layout.http_ports:
                self.assertEqual(ask(port), OK)
            self.assertEqual(len({dict(hello)["engine-id"] for hello in self.hellos(scripted)}), count)
            self.instances["lb1"].stop()
            self.instances["lb1"].start()


class ErrorsTest(ScriptedTest):
    def test_why_there_was_no_answer(self) -> None:
        """In `option set-on-error`. StallTest sees a 1, SizesTest a 3. What the event would have set is not set."""
        scripted = self.scripted()
        port = self.serve().http_port

        def answered() -> None:
            # 2.8 and 3.0 go without a connection (2) for a while after an agent has closed one.
            wait.until(lambda: ask(port), lambda answer: answer == OK, what="it is answered again")
        for name, last_word, code in (
                ("DISCONNECT 13", spop.agent_disconnect(13, b"resource"), "269"),
                ("DISCONNECT 200", spop.agent_disconnect(200, b"of its own"), "456"),
                ("closed", b"", "257")):
            with self.subTest(name):
                answered()
                scripted.habits.last_word = last_word
                self.assertEqual(ask(port), {"status": "200", "error": code})
                scripted.habits.last_word = None
        layout = SpoeLayout({"track": TRACK}, [free_port()], ["http_req_cnt"])
        self.instances["lb2"] = self.start_haproxy("lb2", layout.config(self.directory, "lb2"))
        self.wait_state("lb2", "DOWN")
        self.assertEqual(ask(layout.http_port), {"status": "200", "error": "257" if MULTIPLEXED else "2"}, "no agent")

    def test_an_agent_with_smaller_frames_than_it_needs(self) -> None:
        """Why the agent takes the size that it is offered."""
        self.scripted(spop.Habits(256, b"pipelining"))
        port = self.serve().http_port
        for _ in range(2):
            self.assertEqual(ask(port), OK)
            self.assertEqual(ask(port, "k" * 400), {"status": "200", "error": "259" if MULTIPLEXED else "3"})


class VariablesTest(InstanceTest):
    def test_one_is_unset(self) -> None:
        """By the second event of a request, whose key has no server, after the first event's key had one."""
        messages = {"track": f"{KEY} gpc0=int(1)", "set-s": f"{KEY} server_key=req.hdr(x-server)", "lookup": KEY,
                    "set": "table=str(clients) key=var(txn.second) server_key=res.hdr(x-none)"}
        port = self.serve(messages, ["server_key", "gpc0"], origin=True, events={"set": "on-http-response"},
                          rules="    http-request set-var(txn.second) req.hdr(x-second)\n").http_port
        self.assertEqual(ask(port, "amy"), {**OK, "gpc0": "1"})
        answer = {**OK, "gpc0": "1", "server_key": "web1"}
        self.assertEqual(ask(port, headers={"x-server": "web1"}), answer)
        self.assertEqual(ask(port), {**answer, "gpc0": "2"})
        self.assertEqual(ask(port, headers={"x-second": "amy"}), {**OK, "gpc0": "3"}, "amy has none")
        self.assertEqual(ask(port, headers={"x-second": "eve"}), {**answer, "gpc0": "4"}, "nothing is said of an unknown key")
        self.clean()

    def test_long_names(self) -> None:
        """HAProxy takes 63 characters, with `txn.stickmesh.`. It never gets a longer one: 2.4.0 would set what its beginning
        names."""
        uses = ["u" * (size - len("txn.stickmesh.") - len(".found")) for size in (62, 63, 64)]
        port = self.serve({f"track-{use}": f"{KEY} gpc0=int(1)" for use in uses},
                          [f"{use}.{name}" for use in uses for name in ("gpc0", "found", "foun")]).http_port
        expected = {**OK, f"{uses[0]}.gpc0": "1", f"{uses[0]}.found": "0", f"{uses[1]}.gpc0": "2", f"{uses[1]}.found": "1",
                    f"{uses[2]}.gpc0": "3"}
        self.assertEqual(ask(port), expected)
        self.assertGreaterEqual(self.show()["Variables_left_out_total"], 1)
        self.clean()

    def test_names_that_no_variable_can_have(self) -> None:
        """The agent leaves them out, and answers what else the event asks."""
        use = "u" * 57
        port = self.serve({f"track-{use}": f"{KEY} gpc0=int(1)", "track": TRACK}, ["http_req_cnt", f"{use}.gpc0"]).http_port
        self.assertEqual(ask(port), FIRST)
        self.assertEqual(self.show()["Variables_left_out_total"], 3)
        self.assertEqual(self.daemon.value("clients", "joe", "gpc0"), 1)
        self.clean()


class NothingToSayTest(InstanceTest):
    def test_events_without_a_variable_of_their_own(self) -> None:
        """Each is answered with `ok` at least: HAProxy 3.1.0 waits for ever for more than an answer without any."""
        messages = {"login": "src", "track-none": "table=str(none) key=src gpc0=int(1)", "track-bad": "key=src",
                    "lookup": KEY}
        port = self.serve(messages, ["found"], events={
            name: f"on-frontend-http-request if {{ req.hdr(x-is) {name} }}" for name in messages}).http_port
        for name in messages:
            self.assertEqual(ask(port, headers={"x-is": name}), {**OK, **({"found": "0"} if name == "lookup" else {})})
        numbers = self.show()
        self.assertEqual((numbers["Events_total"], numbers["Unknown_messages_total"], numbers["Refused_total"]), (4, 1, 2))


class AnswersTest(SpoeTest):
    """No answer is without an action, whatever the event is and the agent does. By hand, since HAProxy does not tell."""
    needs_haproxy = False
    track = spop.message("track", table="clients", key="joe", gpc0=1)

    def test_any_event(self) -> None:
        self.agent()
        client, small = self.client(), self.client(spop.haproxy_hello(size=256))
        for name, asked, event, ok in (
                ("no message", client, b"", True), ("unknown", client, spop.message("login", key="joe"), True),
                ("refused", client, spop.message("track", table="none", key="joe", gpc0=1), True),
                ("without a key", client, spop.message("track", table="clients", key=None, gpc0=1), True),
                ("unknown key", client, spop.message("lookup", table="clients", key="eve"), True),
                ("unreadable", client, self.track[:-1], False), ("names too long", client,
                 spop.message("track-" + "u" * 62, table="clients", key="joe", gpc0=1), True),
                ("no room", small, b"".join(spop.message(f"lookup-{use * 40}", table="clients", key="joe")
                                            for use in "ab"), True)):
            with self.subTest(name):
                self.assertEqual(asked.event(event)["ok"], ok)
        client.send(spop.notify(90, 1, self.track, flags=0) + spop.piece(90, 1, bytes(16000)) * 20)
        frame = client.frame()
        assert frame is not None
        self.assertEqual((frame.kind, frame.flags, spop.variables(frame.payload)),
                         (spop.ACK, spop.FIN | spop.ABORT, {"ok": False}), "a fragmented one that is too long")

    def test_late_events(self) -> None:
        self.agent(spoe_section='deadline = "50ms"')
        client = self.client()
        assert self.daemon.process is not None
        self.daemon.process.freeze()
        client.send(b"".join(spop.notify(number, 1, self.track) for number in range(1, 21)))
        wait.holds(lambda: readable([client]), lambda ready: not ready, seconds=0.2, what="they grow old")
        self.daemon.process.thaw()
        answers = client.acks(20)
        self.assertEqual([(answer.stream, spop.variables(answer.payload)) for answer in answers],
                         [(number, {"ok": False}) for number in range(1, 21)])

    def test_while_it_is_replaced_and_while_it_drains(self) -> None:
        self.agent(agent_section='drain-timeout = "6s"')
        client = self.client()
        # Each comes with the length of the next, which is the same: the connection is never idle.
        events = [spop.notify(number, 1, self.track) for number in range(100)]
        client.send(events[0] + events[0][:4])
        client.acks(1)
        for act, result in ((self.daemon.reload, "done:"), (self.daemon.stop, "0")):
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                acting = pool.submit(act)
                answers: list[set[str]] = []
                while not acting.done() or len(answers) <= 10:
                    stream = len(answers) % 100
                    client.send(events[stream][4:] + events[0][:4])
                    frame = client.frame()
                    if frame is None or frame.kind == spop.AGENT_DISCONNECT:
                        break
                    self.assertEqual((frame.kind, frame.stream), (spop.ACK, stream))
                    answers.append(set(spop.variables(frame.payload)))
                self.assertTrue(str(acting.result()).startswith(result))
            self.assertGreater(len(answers), 10)
            self.assertEqual([answer for answer in answers if "ok" not in answer], [])


class OnePieceTest(SpoeTest):
    needs_haproxy = False

    def test_hello_comes_in_one_piece(self) -> None:
        """On each of 100 connections: HAProxy 3.2 and later reset one that reads a part of it."""
        self.agent()
        clients = [self.client() for _ in range(100)]
        self.assertEqual([client.segments_in() for client in clients], [1] * 100)


class FirstConnectionsTest(InstanceTest):
    def test_a_hundred(self) -> None:
        """Each engine, which is each frontend's, makes a connection of its own: HAProxy 3.2 and later would make a second
        one, a second later, if they had read a part of HELLO."""
        self.agent()
        # Without checks, whose connections would be counted as well.
        layout = SpoeLayout({"track": TRACK}, [self.spoe_port], ["http_req_cnt"], check="", backend="",
                            frontends=100)
        self.instances["lb1"] = self.start_haproxy("lb1", layout.config(self.directory, "lb1"))
        for number, port in enumerate(layout.http_ports):
            self.assertEqual(ask(port, f"client-{number}"), FIRST)
        numbers = self.show()
        self.assertEqual((numbers["Events_total"], numbers["Connections_total"]), (100, 100))
        self.clean()


class ChrootTest(InstanceTest):
    def test_a_socket_inside_the_chroot(self) -> None:
        """HAProxy connects when it is confined and has dropped all its groups but one: as the README says, the socket lies
        inside, belongs to that group, and is named as it is seen from there; an abstract one needs nothing of that."""
        if os.geteuid() != 0:
            self.skipTest("a chroot needs root")
        root = self.directory / "root"
        root.mkdir(mode=0o755)
        self.spoe_port = free_port()
        name = f"abns@{self.directory.name}"
        self.daemon = self.start_agent(AgentConfig(
            extra=CLIENTS, spoe=[{"path": f"{root}/spoe.sock", "group": "nogroup"}, f"{root}/closed.sock", name]))
        layout = self.serve({"track": TRACK}, ["http_req_cnt"],
                            general=f"    chroot {root}\n    user nobody\n    group nogroup\n",
                            frontends=2, agents=["unix@/spoe.sock", f"unix@{root}/spoe.sock", "unix@/closed.sock", name])
        for number, what in ((2, "there is no such path inside"), (3, "it belongs to another group")):
            wait.until(lambda: self.server_state("lb1", number), lambda state: state == "DOWN", what=what)
        self.wait_state("lb1", "UP", 4)
        for count in range(1, 9):
            port = layout.http_ports[count % 2]
            self.assertEqual(ask(port), {**FIRST, "http_req_cnt": str(count)})
        self.assertEqual(self.server_state("lb1"), "UP")
        self.clean()


def request(port: int, client: str) -> socket.socket:
    """One whose answer is not waited for."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=15)
    connection.sendall(f"GET / HTTP/1.1\r\nhost: a\r\nx-client: {client}\r\nconnection: close\r\n\r\n".encode())
    return connection


class OverloadTest(InstanceTest):
    messages = {"track": TRACK, "set-s": f"{KEY} server_key=req.hdr(x-client)"}

    def connections(self) -> set[str]:
        """Those for events."""
        table = self.daemon.ask("show spoe").partition("# address")
        return {line["address"] for line in agent.columns("# address" + table[2]) if line["engine"] != "-"}

    def burst(self, port: int, clients: list[str]) -> list[socket.socket]:
        """A request of each, all of which HAProxy has taken."""
        taken = self.stat("http", "FRONTEND", 48)
        waiting = [request(port, client) for client in clients]
        for connection in waiting:
            self.addCleanup(connection.close)
        wait.until(lambda: self.stat("http", "FRONTEND", 48), lambda now: now == taken + len(clients), what="it has all")
        return waiting

    def test_many_more_than_it_can_answer_in_time(self) -> None:
        """It answers none for longer than its deadline. HAProxy waits on, so each request has its answer: its own value,
        or that there is none."""
        self.agent(spoe_section='deadline = "300ms"')
        port = self.serve(self.messages, ["http_req_cnt", "s.server_key"], check="check inter 200ms fall 1000 rise 1",
                          engine="    timeout hello 20s\n", server_options="pool-purge-delay 1m").http_port
        process = self.daemon.process
        assert process is not None
        counted: collections.Counter[str] = collections.Counter()
        late = 0

        def judge(client: str, answer: dict[str, str]) -> bool:
            nonlocal late
            if answer.get("ok") == "1":
                counted[client] += 1
                self.assertEqual(answer, {**OK, "http_req_cnt": str(counted[client]), "s.server_key": client})
                return True
            late += 1
            self.assertEqual(answer, {"status": "200", "ok": "0"})
            return False

        clients = [f"client-{number}" for number in range(60)]
        for client, answer in ask_all([port], clients).items():
            judge(client, answer)
        for _ in range(2):
            before, seen = self.connections(), late
            process.freeze()
            waiting = self.burst(port, clients)
            # What has come to the agent grows old.
            wait.holds(lambda: select.select(waiting, [], [], 0)[0], lambda ready: not ready, seconds=0.5, what="all wait")
            process.thaw()
            for client, connection in zip(clients, waiting):
                judge(client, answer_of(connection))
            self.assertGreater(late, seen, "there were such that came in time to be late")
            self.assertEqual(before - self.connections(), set(), "all connections stay")
            wait.until(lambda: judge("amy", ask(port, "amy")), what="the next ones are answered")
        self.assertEqual(self.daemon.errors(), {"overload": late})
        self.assertEqual({client: entry["http_req_cnt"] for client, entry in self.daemon.table("clients").items()}, counted)


class SeveralAgentsTest(InstanceTest):
    def test_one_is_dead_and_one_dies(self) -> None:
        """What the check has found costs nothing any more."""
        self.agent()
        second, folder = free_port(), self.directory / "second"
        folder.mkdir()
        dying = self.start_agent(AgentConfig(name="agent-2", extra=CLIENTS, spoe=[f"127.0.0.1:{second}"]), None, folder)
        # Each frontend's engine has a connection of its own, so that all agents that are up are used.
        ports = self.serve({"track": TRACK}, [], agents=[self.spoe_port, free_port(), second], frontends=4).http_ports
        self.wait_state("lb1", "UP", 3)
        self.wait_state("lb1", "DOWN", 2)
        self.check(ports)
        events = [daemon.ask("show spoe") for daemon in (self.daemon, dying)]
        self.assertGreater(min(row(text)["Events_total"] for text in events), 0, "both are used")
        dying.kill()
        self.wait_state("lb1", "DOWN", 3)
        if (2, 8) <= haproxy.version() <= (3, 0):
            # They make no connection (2) as long as there were many events within the last second.
            wait.until(lambda: [ask(port) for port in ports], lambda answers: answers == [OK] * len(ports), what="answers")
        self.check(ports)

    def check(self, ports: list[int]) -> None:
        answers = [ask(port) for _ in range(25) for port in ports]
        self.assertEqual([answer for answer in answers if answer != OK], [], "requests without an answer")


class LogTest(InstanceTest):
    @staticmethod
    def line(kind: str, status: str) -> str:
        """What HAProxy says of each event or group, in the form of its version."""
        times = r"-?\d+" if MULTIPLEXED else r"-?\d+(/-?\d+){4} \d+/\d+ \d+/\d+"
        return rf"SPOE: \[stickmesh-agent\] <{kind}> sid=\d+ st={status} {times} \d+/\d+$"

    def log(self) -> tuple[socket.socket, str]:
        """Where HAProxy's log arrives, and the line for it."""
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(15)
        return receiver, f"    log 127.0.0.1:{receiver.getsockname()[1]} local0\n"

    @staticmethod
    def next_line(receiver: socket.socket) -> str:
        """But for those of starting proxies and of checks."""
        while "SPOE: " not in (line := receiver.recv(4096).decode().rstrip("\n\0")):
            pass
        return line

    def test_events_and_groups(self) -> None:
        receiver, log = self.log()
        port = self.serve({"track": TRACK, "lookup-status": "table=str(clients) key=status"},
                          ["http_req_cnt"], engine=log, groups={"reading": "lookup-status"},
                          events={"lookup-status": ""}, origin=True,
                          rules="    http-response send-spoe-group stickmesh reading\n").http_port
        for _ in range(2):
            self.assertEqual(ask(port)["ok"], "1")
            for kind in ("EVENT:on-frontend-http-request", "GROUP:reading"):
                self.assertRegex(self.next_line(receiver), self.line(kind, "0"))

    def test_failures_alone(self) -> None:
        """As with the shipped engine: `option dontlog-normal`."""
        receiver, log = self.log()
        port = self.serve({"track": TRACK}, ["http_req_cnt"],
                          engine=f"{log}    option dontlog-normal\n    max-frame-size 1000\n").http_port
        for _ in range(2):
            self.assertEqual(ask(port)["ok"], "1")
            self.assertEqual(ask(port, "k" * 2000)["error"], "3")
            self.assertRegex(self.next_line(receiver), self.line("EVENT:on-frontend-http-request", "3"))
