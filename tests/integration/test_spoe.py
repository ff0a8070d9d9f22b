"""SPOE: events of real HAProxy are counted by the agent and answered within the request, beside what instances count in
their stick tables."""
from __future__ import annotations

import http.client
import os
import socket
import sys
import threading
import time
import unittest.mock
from pathlib import Path

from support import haproxy, http_client, spop, wait
from support.agent import Agent, AgentConfig, PeerConfig, daemon_path
from support.case import MeshTest
from support.layout import Layout
from support.ports import free_port
from support.spoe_layout import SpoeLayout

CLIENTS = ('\n[[table]]\nname = "clients"\n'
           'define = "type string len 64 size 100k expire 10m store gpt0,gpc0,http_req_cnt,http_req_rate(10s),server_key"\n')
TRACK = "table=str(clients) key=req.hdr(x-client) http_req_cnt=int(1) http_req_rate=int(1)"


def ask(port: int, client: str | None = "joe", headers: dict[str, str] | None = None) -> dict[str, str]:
    """One request: its status, and the variables of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/", headers={**({} if client is None else {"x-client": client}), **(headers or {})})
        answer = connection.getresponse()
        answer.read()
        shown = {name[2:]: value for name, value in answer.getheaders() if name.startswith("x-") and value != ""}
        return {"status": str(answer.status), **shown}
    finally:
        connection.close()


def row(text: str) -> dict[str, int]:
    """The numbers of `show spoe`."""
    pairs = [line.split(": ") for line in text.splitlines() if ": " in line and not line.startswith("#")]
    return {name: int(value) for name, value in pairs}


class SpoeTest(MeshTest):
    def agent(self, extra: str = CLIENTS, **config: object) -> Agent:
        self.spoe_port = free_port()
        self.daemon = self.start_agent(AgentConfig(spoe=[f"127.0.0.1:{self.spoe_port}"], extra=extra,
                                                   **config))  # type: ignore[arg-type]
        return self.daemon

    def spoe_instance(self, name: str, messages: dict[str, str], shown: list[str], **options: object) -> SpoeLayout:
        layout = SpoeLayout(messages, options.pop("agents", [self.spoe_port]), shown,  # type: ignore[arg-type]
                            **options)  # type: ignore[arg-type]
        self.instances[name] = self.start_haproxy(name, layout.config(self.directory, name))
        self.wait_state(name, "UP")
        return layout

    def server_state(self, name: str, number: int = 1) -> str:
        for line in self.instances[name].cli("show stat").splitlines():
            fields = line.split(",")
            if fields[:2] == ["stickmesh-agents", f"agent-{number}"]:
                return fields[17]
        return "none"

    def wait_state(self, name: str, state: str, number: int = 1) -> None:
        wait.until(lambda: self.server_state(name, number), lambda found: found == state,
                   what=f"agent-{number} is {state} at {name}")

    def client(self, hello: bytes | None = None) -> spop.Client:
        client = spop.Client(self.spoe_port, hello)
        self.addCleanup(client.close)
        return client

    def show(self) -> dict[str, int]:
        return row(self.daemon.ask("show spoe"))


class TrackTest(SpoeTest):
    def test_two_instances_share_a_count_within_the_request(self) -> None:
        self.agent()
        rules = "    http-request deny deny_status 429 if { var(txn.stickmesh.http_req_cnt) -m int gt 5 }\n"
        shown = ["found", "ready", "http_req_cnt", "http_req_rate"]
        ports = [self.spoe_instance(name, {"track": TRACK}, shown, rules=rules).http_port for name in ("lb1", "lb2")]
        first = ask(ports[0])
        self.assertEqual({**first, "ready": "1"}, {"status": "200", "ok": "1", "found": "0", "ready": "1",
                                                   "http_req_cnt": "1", "http_req_rate": "1"})
        for number in range(2, 6):
            answer = ask(ports[number % 2])
            self.assertEqual((answer["status"], answer["found"], answer["http_req_cnt"], answer["http_req_rate"]),
                             ("200", "1", str(number), str(number)))
        for port in ports:
            self.assertEqual(ask(port)["status"], "429")
            self.assertEqual(ask(port, "amy")["status"], "200")
        self.assertEqual(self.daemon.value("clients", "joe", "http_req_cnt"), 7)
        numbers = self.show()
        self.assertEqual((numbers["Tracked_total"], numbers["Answered_total"], numbers["Refused_total"]), (9, 9, 0))
        self.assertGreaterEqual(numbers["Engines"], 2)

    def test_a_missing_key_is_answered_and_not_counted(self) -> None:
        self.agent()
        port = self.spoe_instance("lb1", {"track": TRACK}, ["found", "http_req_cnt"]).http_port
        self.assertEqual(ask(port, None), {"status": "200", "ok": "1", "found": "0"})
        self.assertEqual(self.daemon.table("clients"), {})
        self.assertEqual(self.show()["Without_key_total"], 1)
        self.assertNotIn("bad-message", self.daemon.errors())

    def test_three_uses_in_one_engine(self) -> None:
        self.agent()
        uses = {"track-api": TRACK, "track-host": "table=str(clients) key=req.hdr(host) gpc0=int(2)",
                "track-all": "table=str(clients) key=str(all) http_req_cnt=int(1)"}
        port = self.spoe_instance("lb1", uses, ["api.http_req_cnt", "host.gpc0", "all.http_req_cnt", "all.found"]).http_port
        ask(port, "amy")
        self.assertEqual(ask(port), {"status": "200", "ok": "1", "api.http_req_cnt": "1", "host.gpc0": "4",
                                     "all.http_req_cnt": "2", "all.found": "1"})

    def test_set_and_lookup(self) -> None:
        self.agent()
        port = self.spoe_instance(
            "lb1", {"set-s": "table=str(clients) key=req.hdr(x-client) server_key=req.hdr(x-server) gpt0=req.hdr_cnt(x-ban)",
                    "lookup": "table=str(clients) key=req.hdr(x-client)"},
            ["found", "server_key", "gpt0", "gpc0", "s.found", "s.server_key", "s.gpt0"]).http_port
        self.assertEqual(ask(port, headers={"x-server": "web1", "x-ban": "1"}),
                         {"status": "200", "ok": "1", "s.found": "0", "s.server_key": "web1", "s.gpt0": "1",
                          "found": "1", "server_key": "web1", "gpt0": "1", "gpc0": "0"})
        self.assertEqual(self.daemon.value("clients", "joe", "server_key"), "web1")
        self.assertEqual(ask(port)["server_key"], "web1", "no sample: it stays")

    def test_counts_enter_the_totals_of_stick_tables(self) -> None:
        agent_port, peers_port = free_port(), free_port()
        self.spoe_port = free_port()
        self.daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")], spoe=[f"127.0.0.1:{self.spoe_port}"]),
                                       agent_port)
        layout = Layout("lb1", agent_port, peers_port=peers_port)
        spoe = SpoeLayout({"track": "table=str(http) key=req.hdr(x-client) http_req_cnt=int(1)"}, [self.spoe_port],
                          ["http_req_cnt", "ready"])
        text = layout.config() + spoe.config(self.directory, "lb1").replace("frontend http", "frontend events")
        self.layouts["lb1"] = layout
        self.instances["lb1"] = self.start_haproxy("lb1", text)
        self.wait_sessions("lb1")
        self.wait_state("lb1", "UP")
        self.assertEqual(http_client.send(layout.http_port, "joe", 7), [200] * 7)
        self.wait_total("joe", "http_req_cnt", 7)
        wait.until(lambda: ask(spoe.http_port, "amy").get("ready"), lambda ready: ready == "1", what="it has learned")
        self.assertEqual(ask(spoe.http_port)["http_req_cnt"], "8")
        self.wait_total("joe", "http_req_cnt", 8)
        self.assertEqual(self.instances["lb1"].value("mesh/http", "joe", "http_req_cnt"), 7, "its own count is its own")

    def test_other_agents_know_it(self) -> None:
        ports = {"agent-1": free_port(), "agent-2": free_port()}
        clients = {}
        for name, other in (("agent-1", "agent-2"), ("agent-2", "agent-1")):
            self.spoe_port = free_port()
            folder = self.directory / name
            folder.mkdir()
            self.start_agent(AgentConfig(name=name, peers=[PeerConfig(other, ports[other], kind="agent")], extra=CLIENTS,
                                         spoe=[f"127.0.0.1:{self.spoe_port}"]), ports[name], folder)
            clients[name] = self.client()
        track = spop.message("track", table="clients", key="joe", gpc0=1)
        self.assertEqual(clients["agent-1"].event(track)["gpc0"], 1)
        lookup = spop.message("lookup", table="clients", key="joe")
        wait.until(lambda: clients["agent-2"].event(lookup).get("gpc0"), lambda value: value == 1, what="the other knows it")
        self.assertEqual(clients["agent-2"].event(track)["gpc0"], 2)


class BadInputTest(SpoeTest):
    needs_haproxy = False

    def test_a_wrong_message_is_shown_and_harms_no_other(self) -> None:
        self.agent()
        client = self.client()
        good = spop.message("track-good", table="clients", key="joe", gpc0=1)
        for bad, words in ((spop.message("track-bad", table="clients", key="joe", gpc0=1, nothing=1),
                            "nothing: table 'clients' stores no such type"),
                           (spop.message("track-bad", table="clients", key="joe", gpc0="one"), "gpc0: it is no number"),
                           (spop.message("track-bad", table="none", key="joe", gpc0=1), "there is no table 'none'"),
                           (spop.message("track-bad", key="joe"), "the first argument is not 'table'"),
                           (spop.message("login", key="joe"), "nothing handles it")):
            answer = client.event(bad, good)
            self.assertEqual(answer.pop("good.ready"), answer["ok"])
            self.assertEqual(set(answer), {"ok", "good.found", "good.gpc0"})
            self.assertIn(words, self.daemon.ask("show errors"))
        self.assertEqual(client.event(good)["good.gpc0"], 6, "none of the wrong ones was counted")
        self.assertEqual(self.daemon.errors()["bad-message"], 4)
        self.assertEqual(self.show()["Refused_total"], 4)
        self.assertEqual(self.show()["Unknown_messages_total"], 1)

    def test_an_event_that_cannot_be_read_is_answered(self) -> None:
        self.agent()
        client = self.client()
        self.assertEqual(client.event(b"\x05track\x02\x05tab"), {"ok": False})
        self.assertEqual(client.event(spop.message("track", table="clients", key="joe", gpc0=1))["gpc0"], 1)

    def test_bad_frames_end_that_connection_alone(self) -> None:
        self.agent()
        other = self.client()
        for data, status in ((b"\x7f\xff\xff\xff", 3), (b"\0\0\0\0", 4), (spop.haproxy_hello(), 4),
                             (b"GET / HTTP/1.1\r\n\r\n", 3)):
            client = self.client()
            client.send(data)
            frame = client.frame()
            assert frame is not None
            self.assertEqual((frame.kind, spop.read_varint(frame.payload, 13)[0]), (spop.AGENT_DISCONNECT, status), data)
            client.close()
        wait.until(lambda: self.daemon.errors(), lambda errors: errors.get("bad-frame", 0) + errors.get("message-too-long", 0) == 4,
                   what="all are counted")
        self.assertTrue(other.event(spop.message("track", table="clients", key="joe", gpc0=1))["ok"])

    def test_unix_and_abstract_sockets(self) -> None:
        path = self.directory / "spoe.sock"
        self.daemon = self.start_agent(AgentConfig(extra=CLIENTS, spoe=[str(path), f"abns@{self.directory.name}"]))
        for address in (str(path), f"\0{self.directory.name}".ljust(108, "\0")):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(address)
                connection.sendall(spop.haproxy_hello(check=True))
                frames, _ = spop.split(connection.recv(4096))
                self.assertEqual([frame.kind for frame in frames], [spop.AGENT_HELLO])
        self.assertEqual(path.stat().st_mode & 0o777, 0o660)
        wait.until(lambda: self.show()["Health_checks_total"], lambda count: count == 2, what="both are counted")
        self.assertEqual(self.daemon.errors(), {})


class Load(threading.Thread):
    """Requests one after the other, until it is stopped."""
    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._end = threading.Event()
        self.answers: list[dict[str, str]] = []
        self.start()

    def run(self) -> None:
        while not self._end.is_set():
            try:
                self.answers.append(ask(self._port, "load"))
            except (OSError, http.client.HTTPException):
                self.answers.append({"status": "0"})

    def flow(self, more: int = 50) -> None:
        """Until so many more were sent."""
        seen = len(self.answers)
        wait.until(lambda: len(self.answers), lambda count: count > seen + more, what="requests flow")

    def stop(self) -> list[dict[str, str]]:
        self._end.set()
        self.join(timeout=30)
        return self.answers


class ComingAndGoingTest(SpoeTest):
    def test_health_checks_and_an_agent_killed_under_load(self) -> None:
        self.agent()
        layout = self.spoe_instance("lb1", {"track": TRACK}, ["http_req_cnt"])
        load = Load(layout.http_port)
        self.addCleanup(load.stop)
        load.flow()
        self.daemon.kill()
        self.wait_state("lb1", "DOWN")
        load.flow()
        self.assertNotIn("ok", load.answers[-1])
        self.assertIn("error", load.answers[-1])
        self.daemon.start()
        self.wait_state("lb1", "UP")
        wait.until(lambda: load.answers[-1].get("ok"), lambda ok: ok == "1", what="the agent answers again")
        answers = load.stop()
        self.assertEqual({answer["status"] for answer in answers}, {"200"}, "every request was served")
        self.assertEqual(self.daemon.errors(), {}, "how HAProxy ends its connections is no error")

    def test_a_soft_stop_under_load(self) -> None:
        """HAProxy goes on with a connection that is in use whatever its checks say: its end costs what is on its way."""
        self.agent(agent_section='drain-timeout = "6s"')
        second = free_port()
        folder = self.directory / "second"
        folder.mkdir()
        self.start_agent(AgentConfig(name="agent-2", extra=CLIENTS, spoe=[f"127.0.0.1:{second}"]), None, folder)
        layout = self.spoe_instance("lb1", {"track": TRACK}, ["http_req_cnt"], agents=[self.spoe_port, second])
        self.wait_state("lb1", "UP", 2)
        load = Load(layout.http_port)
        self.addCleanup(load.stop)
        load.flow()
        self.assertEqual(self.daemon.stop(), 0)
        self.wait_state("lb1", "DOWN")
        load.flow()
        answers = load.stop()
        self.assertEqual({answer["status"] for answer in answers}, {"200"}, "every request was served")
        lost = [answer for answer in answers if answer.get("ok") != "1"]
        self.assertLessEqual(len(lost), 1, "one connection: at most the request that met its end")

    def test_a_reload_of_haproxy_under_load(self) -> None:
        self.agent()
        layout = self.spoe_instance("lb1", {"track": TRACK}, ["http_req_cnt"])
        load = Load(layout.http_port)
        self.addCleanup(load.stop)
        for _ in range(3):
            load.flow()
            self.instances["lb1"].reload()
        load.flow()
        answers = [answer for answer in load.stop() if answer["status"] != "0"]
        lost = [answer for answer in answers if answer.get("ok") != "1"]
        # The old processes of 2.8 and 3.0 end the connections (256) while a request is under way, or make none for it (2).
        self.assertLessEqual(len(lost), 3 if (2, 8) <= haproxy.version() <= (3, 0) else 0,
                             "each request that HAProxy took had its answer")
        wait.until(lambda: self.show()["Connections"], lambda count: count < 10, what="old connections are released")

    def test_a_soft_restart_under_load_loses_nothing(self) -> None:
        self.agent()
        layout = self.spoe_instance("lb1", {"track": TRACK}, ["http_req_cnt"])
        loads = [Load(layout.http_port) for _ in range(3)]
        for load in loads:
            self.addCleanup(load.stop)
        for _ in range(3):
            loads[0].flow()
            self.assertTrue(self.daemon.reload().startswith("done:"))
        loads[0].flow()
        answers = [answer for load in loads for answer in load.stop()]
        self.assertEqual([answer for answer in answers if answer.get("ok") != "1"], [], "each request had its answer")
        counts = sorted(int(answer["http_req_cnt"]) for answer in answers)
        self.assertEqual(counts, list(range(1, len(answers) + 1)), "each was counted once")
        self.assertEqual(self.daemon.errors(), {})

    def test_a_connection_outlives_a_soft_restart(self) -> None:
        """With an event of which only a part has come."""
        self.agent()
        track = spop.message("track", table="clients", key="joe", gpc0=1)
        event = spop.Frame(spop.NOTIFY, spop.FIN, 9, 1, track).encode()
        for _ in range(5):
            client, began = self.client(), time.monotonic()
            counted = client.event(track)["gpc0"]
            assert isinstance(counted, int)
            client.send(event[:20])
            self.assertTrue(self.daemon.reload().startswith("done:"))
            # A frame that has begun must end within 5 s.
            if time.monotonic() - began < 4:
                break
            client.close()
        client.send(event[20:])
        frame = client.frame()
        assert frame is not None
        self.assertEqual((frame.stream, spop.variables(frame.payload)["gpc0"]), (9, counted + 1))
        wait.until(lambda: self.show()["Connections"], lambda count: count == 1, what="it is the only one")

    def test_a_soft_restart_without_a_listener_ends_connections(self) -> None:
        self.agent()
        client = self.client()
        client.event(spop.message("track", table="clients", key="joe", gpc0=1))
        self.daemon.config.spoe = []
        self.assertTrue(self.daemon.reload().startswith("done:"))
        frame = client.frame()
        assert frame is not None
        self.assertEqual(frame.kind, spop.AGENT_DISCONNECT)


class FailedRestartTest(SpoeTest):
    needs_haproxy = False

    def test_connections_go_on_when_the_switch_is_abandoned(self) -> None:
        """The new process has been given them by then, and says nothing more than that it has learned."""
        program = self.directory / "stickmeshd"
        program.write_bytes(Path(daemon_path()).read_bytes())
        program.chmod(0o755)
        with unittest.mock.patch.dict(os.environ, {"STICKMESHD": str(program)}):
            self.agent(switch_timeout="100ms")
        client = self.client()
        track = spop.message("track", table="clients", key="joe", gpc0=1)
        self.assertEqual(client.event(track)["gpc0"], 1)
        program.unlink()
        program.write_text(f"#!{sys.executable}\nimport socket, time\n"
                           "channel = socket.socket(fileno=3)\nchannel.send(b'learned')\ntime.sleep(60)\n")
        program.chmod(0o755)
        reloading = threading.Thread(target=self.daemon.ask, args=("reload", 60.0))
        reloading.start()
        counts = []
        while reloading.is_alive():
            counts.append(client.event(track)["gpc0"])
            time.sleep(0.02)
        reloading.join()
        self.assertEqual(counts, list(range(2, len(counts) + 2)))
        self.assertGreaterEqual(self.daemon.log().count("it is tried again in"), 3)
        self.assertEqual(self.daemon.errors(), {"reload-failed": 1})


class DrainTest(SpoeTest):
    needs_haproxy = False

    def test_checks_fail_and_events_are_answered_until_patience_ends(self) -> None:
        self.agent(agent_section='drain-timeout = "6s"')
        client = self.client()
        event = spop.notify(1, 1, spop.message("track", table="clients", key="joe", gpc0=1))
        # The next one has begun, and is read with the first: the connection is never idle.
        client.send(event + event[:4])
        client.acks(1)
        assert self.daemon.process is not None
        stopping = threading.Thread(target=self.daemon.stop)
        stopping.start()
        wait.until(lambda: self.show()["Draining"], lambda draining: draining == 1, what="it drains")
        check = self.client(spop.haproxy_hello(check=True))
        assert check.hello is not None
        self.assertEqual(check.hello.kind, spop.AGENT_DISCONNECT)
        answered = 0
        while True:
            client.send(event[4:] + event[:4])
            frame = client.frame()
            assert frame is not None
            if frame.kind != spop.ACK:
                break
            answered += 1
            time.sleep(0.02)
        self.assertGreater(answered, 5)
        self.assertEqual((frame.kind, spop.read_varint(frame.payload, 13)[0]), (spop.AGENT_DISCONNECT, 13))
        client.close()
        stopping.join(timeout=40)
        self.assertFalse(stopping.is_alive(), "it stops")

    def test_idle_connections_are_closed_and_it_stops(self) -> None:
        self.agent(agent_section='drain-timeout = "10m"')
        client = self.client()
        client.event(spop.message("track", table="clients", key="joe", gpc0=1))
        self.assertEqual(self.daemon.stop(), 0)
        frame = client.frame()
        assert frame is not None
        self.assertEqual((frame.kind, spop.read_varint(frame.payload, 13)[0]), (spop.AGENT_DISCONNECT, 0))
