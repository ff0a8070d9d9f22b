"""Connections that take what they can and give nothing: whoever uses the agent properly must not notice them."""
from __future__ import annotations

import socket

from support import agent, peer, wait, wire
from support.agent import AgentConfig, PeerConfig
from support.case import MeshTest, http_table
from support.ports import free_port
from support.witness import WitnessTest


class DeafTest(WitnessTest):
    """A peer that completes the handshake, asks for totals, speaks every second, and never reads a byte."""

    def test_others_totals_flow_until_it_is_dropped_and_after(self) -> None:
        total = http_table("/http.total")
        connection = socket.socket()
        self.addCleanup(connection.close)
        # Before it connects, or the kernel would take in megabytes for it.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(wire.hello("agent-1", "evil"))
        self.assertEqual(peer.read_line(connection), b"200\n")
        connection.sendall(total.definition() + wire.message(wire.CONTROL, wire.FINISHED))
        turns, last = 0, f"{'u' * 50}3999"

        def dropped() -> int:
            nonlocal turns
            turns += 1
            self.instances["lb1"].fill("mesh/http", ((f"{'u' * 50}{n}", {"http_req_cnt": turns})
                                                        for n in range(4000)))
            self.wait_total(last, "http_req_cnt", turns)
            self.count_one_more()
            try:
                connection.sendall(wire.message(wire.CONTROL, wire.HEARTBEAT))
            except OSError:
                pass  # it is being dropped
            return self.daemon.errors().get("not-reading", 0)
        wait.until(dropped, what="not-reading is counted", timeout=60)
        self.assertGreater(turns, 5, "dropped before it had been deaf for a while")
        self.assertEqual(self.daemon.errors(), {"not-reading": 1}, "only the deaf one had an error")
        row = self.daemon.peers()["evil"]
        self.assertEqual(row["state"], "away")
        self.assertIn("not-reading", row["note"])
        self.unharmed()
        session = self.dial(self.port, "agent-1", "evil", [total], pid=2)
        session.wait_value("/http.total", last, "http_req_cnt", turns)
        session.wait_value("/http.total", "joe", "http_req_cnt", self.counted)


class SingleBytes(socket.socket):
    """A connection that writes one byte at a time."""

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        for index in range(len(data)):
            super().sendall(data[index:index + 1], flags)


def single_bytes(connection: socket.socket) -> SingleBytes:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the kernel would join the bytes
    timeout = connection.gettimeout()
    single = SingleBytes(fileno=connection.detach())
    single.settimeout(timeout)
    return single


def drip(connection: socket.socket, data: bytes, seconds: float) -> tuple[int, bytes]:
    """Sends a byte every so many |seconds| until all are sent or the other side closes. Returns how many were sent, and
    what came back."""
    connection.settimeout(seconds)
    answer = b""
    for index in range(len(data)):
        try:
            connection.sendall(data[index:index + 1])
            if not (chunk := connection.recv(4096)):
                return index + 1, answer
            answer += chunk
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return index + 1, answer
    return len(data), answer


class DrippingTest(WitnessTest):
    def test_a_byte_now_and_then_does_not_stretch_the_handshake(self) -> None:
        """Its time counts from the connection's beginning, not from the last byte."""
        hello = wire.hello("agent-1", "evil")
        with peer.connect(self.port) as connection:
            sent, answer = drip(connection, hello, 0.5)
        self.assertEqual(answer, b"")
        self.assertGreater(sent, 2, "closed at once")
        self.assertLess(sent, len(hello), "it was waited for")
        self.assertEqual(self.daemon.errors(), {"handshake-timeout": 1})
        self.unharmed()

    def test_a_whole_session_in_single_bytes(self) -> None:
        """Hello, lesson, live updates, a dictionary, heartbeats and acks, each byte in a segment of its own."""
        connection = single_bytes(peer.connect(self.port))
        connection.sendall(wire.hello("agent-1", "evil"))
        self.assertEqual(peer.read_line(connection), b"200\n")
        source, total = http_table(), http_table("/http.total", number=2)
        servers = wire.Table("/stick", [wire.DataType("server_id"), wire.DataType("server_key")], number=3)
        for n in range(50):
            source.change(f"u{n}", http_req_cnt=n)
        session = peer.Session(connection, [source, total, servers])
        self.addCleanup(session.close)
        self.wait_total("u49", "http_req_cnt", 49)
        session.push(source, "joe", http_req_cnt=100, http_req_rate=(0, 100, 0))
        self.counted += 100
        session.wait_value("/http.total", "joe", "http_req_cnt", self.counted)
        self.wait_total("joe", "http_req_cnt", self.counted)
        session.push(servers, "joe", server_id=7, server_key="a-name-of-a-server")
        session.push(servers, "amy", server_id=8, server_key="a-name-of-a-server")
        for key in ("joe", "amy"):
            wait.until(lambda: self.daemon.value("stick", key, "server_key"),
                       lambda value: value == "a-name-of-a-server", what=f"the server of {key}")
        self.instances["lb1"].set("mesh/http", "u7", http_req_cnt=1000)
        session.wait_value("/http.total", "u7", "http_req_cnt", 1007)
        self.assertFalse(session.closed)
        errors = self.daemon.errors()
        errors.pop("table-full", None)  # 10 s later it is asked whether it holds the totals, which it does not
        self.assertEqual(errors, {})
        self.unharmed()


class DrippingStatusTest(MeshTest):
    needs_haproxy = False

    def test_a_status_that_drips_is_given_up_and_dialled_again(self) -> None:
        with socket.create_server(("127.0.0.1", free_port())) as server:
            server.settimeout(30.0)
            daemon = self.start_agent(AgentConfig(peers=[PeerConfig("slow", server.getsockname()[1])]))
            with server.accept()[0] as connection:
                hello = [peer.read_line(connection) for _ in range(3)]
                sent, _ = drip(connection, b"200\n", 4.0)
            self.assertEqual(hello[1], b"slow\n")
            self.assertLess(sent, 4, "the status was waited for")
            wait.until(lambda: daemon.errors().get("handshake-timeout", 0), lambda count: count == 1)
            again, _ = server.accept()
        hello = [peer.read_line(again) for _ in range(3)]
        again.sendall(b"200\n")
        self.addCleanup(peer.Session(again).close)
        self.wait_peer(daemon, "slow")


# Connections of one host that may be without an answer.
WAITING = 64


class CrowdTest(WitnessTest):
    """A thousand connections that say nothing."""
    count = 1000

    def setUp(self) -> None:
        self.need_open_files(self.count + 200)
        super().setUp()
        assert self.daemon.process is not None
        self.process = self.daemon.process

    def crowd(self) -> int:
        """Comes, is there while others count, and is sent away. Returns the agent's memory while it is there. However
        many there are, only some of one host may wait for an answer."""
        files, timeouts = self.process.open_files(), self.daemon.errors().get("handshake-timeout", 0)
        silent = [peer.connect(self.port) for _ in range(self.count)]
        wait.until(lambda: self.daemon.errors().get("handshake-timeout", 0),
                   lambda now: now >= timeouts + self.count - WAITING, what="the oldest gave way")
        wait.until(self.process.open_files, lambda now: now <= files + WAITING, what="their descriptors are free")
        resident = self.process.resident_kib()
        self.count_one_more()
        self.instances["lb1"].fill("mesh/http", ((f"u{n}", {"http_req_cnt": self.counted}) for n in range(500)))
        self.wait_total("u499", "http_req_cnt", self.counted)
        wait.until(lambda: self.daemon.errors().get("handshake-timeout", 0), lambda now: now == timeouts + self.count,
                   what="all are counted as handshake-timeout")
        for connection in silent:
            connection.settimeout(5.0)
            self.assertEqual(connection.recv(100), b"", "no status, nothing else")
            connection.close()
        wait.until(self.process.open_files, lambda now: now <= files, what="their descriptors are free again")
        return resident

    def test_totals_flow_and_memory_is_bounded(self) -> None:
        before = self.process.resident_kib()
        first, second, third = (self.crowd() for _ in range(3))
        print(f"agent: {before} KiB, with a crowd {first}, {second}, {third} KiB")
        if not agent.sanitized():
            self.assertLess(first - before, 16 * self.count, "KiB for each silent connection")
            self.assertLess(third - second, 1024, "the crowds leave something behind")
        self.assertIn("gave way to another", self.daemon.log())
        self.assertLess(self.daemon.log().count("handshake-timeout"), 100, "a remote can fill the log")
        self.unharmed()


class StrangerTest(MeshTest):
    """Someone at another address uses a name that is configured."""

    def test_a_name_is_taken_from_its_own_address_only(self) -> None:
        instance_port, agent_port = free_port(), free_port()
        self.add_instance("lb1", free_port(), peers_port=instance_port)
        config = AgentConfig(peers=[PeerConfig("lb1", instance_port), PeerConfig("lb2", free_port())], allow_from="[]")
        daemon = self.start_agent(config, agent_port)
        self.wait_sessions("lb1")
        instance = self.instances["lb1"]
        instance.set("mesh/http", "joe", http_req_cnt=7)
        self.wait_total("joe", "http_req_cnt", 7)
        connections = instance.peers()["agent-1"]["new_conn"]

        claimed = http_table()
        claimed.change("joe", http_req_cnt=1_000_000)
        claimed.change("ghost", http_req_cnt=1)
        lies = claimed.definition() + claimed.update("joe", wire.Dictionary()) + claimed.update("ghost",
                                                                                                wire.Dictionary())
        for name in ("lb1", "lb2"):
            before = daemon.errors().get("forbidden-address", 0)
            answer = peer.raw_exchange(agent_port, wire.hello("agent-1", name, pid=99) + lies, source="127.0.0.9")
            self.assertEqual(answer, b"", f"as {name}")
            wait.until(lambda: daemon.errors().get("forbidden-address", 0), lambda count: count == before + 1,
                       what="forbidden-address is counted")
        self.assertRegex(daemon.log(), r"127\.0\.0\.9")
        # Only the address made the difference.
        known = self.dial(agent_port, "agent-1", "lb2", [http_table()])
        known.push(known.tables[0], "joe", http_req_cnt=3)
        self.wait_total("joe", "http_req_cnt", 10)
        state = instance.peers()["agent-1"]
        self.assertEqual((state["last_status"], state["new_conn"]), ("ESTA", connections), "the session of lb1")
        self.assertNotIn("ghost", daemon.table("http.total"))
