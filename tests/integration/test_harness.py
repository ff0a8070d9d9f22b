"""What the other tests stand on, checked with HAProxy alone: nothing here needs the agent."""
from __future__ import annotations

from support import http_client, peer, wait, wire
from support.case import HaproxyTest, http_table
from support.layout import Layout
from support.ports import free_port


class WireTest(HaproxyTest):
    needs_haproxy = False

    def test_varints_have_the_documented_bytes(self) -> None:
        for value, text in ((0, "00"), (239, "ef"), (240, "f000"), (255, "ff00"), (511, "ff10"), (2287, "ff7f"),
                            (2288, "f08000"), (30000, "f0c40d"), (600000, "f0eda301"), (2**31 - 1, "fff0fefe3e"),
                            (2**32, "f0f1fefe7e"), (2**63, "f0f1fefefefefefefe06"),
                            (2**64 - 1, "fff0fefefefefefefe0e"), (-1, "fff0fefefefefefefe0e")):
            self.assertEqual(wire.varint(value).hex(), text)
            self.assertEqual(wire.read_varint(bytes.fromhex(text), 0), (value & (2**64 - 1), len(text) // 2))

    def test_definition_has_the_documented_bytes(self) -> None:
        table = wire.Table("st_src", [wire.DataType("gpc0"), wire.DataType("http_req_cnt"),
                                      wire.DataType("http_req_rate", 10_000)], wire.IP, 4, 60_000)
        self.assertEqual(table.definition().hex(), "0a82130106" + b"st_src".hex() + "0404f451f0971c0af0e203")
        table.change("10.0.0.1", gpc0=5, http_req_cnt=300, http_req_rate=(1011, 7, 240))
        self.assertEqual(table.update("10.0.0.1", wire.Dictionary()).hex(),
                         "0a8010000000010a00000105fc03f33007f000")


class HarnessTest(HaproxyTest):
    def setUp(self) -> None:
        super().setUp()
        self.layout = Layout("lb1", free_port())
        self.haproxy = self.start_haproxy("lb1", self.layout.config())

    def test_requests_are_counted_and_tables_read(self) -> None:
        self.assertEqual(http_client.send(self.layout.http_port, "joe", 3), [200] * 3)
        self.assertEqual(self.haproxy.value("mesh/http", "joe", "http_req_cnt"), 3)
        self.assertEqual(self.haproxy.used("mesh/http"), 1)
        self.haproxy.fill("mesh/http", ((f"user{n}", {"http_req_cnt": n}) for n in range(1000)))
        self.assertEqual(self.haproxy.table("mesh/http")["user999"]["http_req_cnt"], 999)

    def test_scripted_peer_dials_and_learns(self) -> None:
        self.haproxy.set("mesh/http", "joe", http_req_cnt=7)
        session = self.dial(self.layout.peers_port, "lb1", "agent-1")
        session.wait_value("/http", "joe", "http_req_cnt", 7)
        session.request_lesson()
        wait.until(lambda: session.count(wire.CONTROL, wire.FINISHED) + session.count(wire.CONTROL, wire.PARTIAL))
        self.assertEqual(session.table_names(), {"/http", "/http.total"})

    def test_scripted_peer_listens_and_teaches(self) -> None:
        """It listens before HAProxy starts: who finds the port closed dials again after up to 5 s, and by then has given
        up finding a teacher."""
        table = http_table("/http.total")
        table.change("joe", http_req_cnt=50, http_req_rate=(0, 0, 20))
        layout = Layout("lb2", free_port())
        listener = self.listener([table], port=layout.agent)
        haproxy = self.start_haproxy("lb2", layout.config())
        session = listener.session()
        self.assertEqual(listener.hellos[0][:2], ["HAProxyS 2.1", "agent-1"])
        wait.until(lambda: haproxy.value("mesh/http.total", "joe", "http_req_cnt"), lambda n: n == 50)
        update_id = session.push(table, "amy", http_req_cnt=9)
        wait.until(lambda: session.acked.get(table.number), lambda acked: acked == update_id)
        self.assertEqual(haproxy.value("mesh/http.total", "amy", "http_req_cnt"), 9)

    def test_wrong_names_are_answered(self) -> None:
        port = self.layout.peers_port
        for remote, local, version, status in (("lb9", "agent-1", "2.1", b"503\n"), ("lb1", "other", "2.1", b"504\n"),
                                               ("lb1", "agent-1", "2.2", b"502\n")):
            connection, answer = peer.greet(port, remote, local, version=version)
            connection.close()
            self.assertEqual(answer, status)

    def test_two_instances_through_the_relay(self) -> None:
        """Two HAProxy, the second named agent-1, show that the relay passes, cuts and restores."""
        relay = self.relay(self.layout.agent)
        self.layout.agent = relay.port
        other = Layout("agent-1", self.layout.peers_port, agent_name="lb1", peers_port=relay.target)
        second = self.start_haproxy("agent-1", other.config())
        self.haproxy.set("mesh/http", "joe", http_req_cnt=7)
        wait.until(lambda: second.value("mesh/http", "joe", "http_req_cnt"), lambda n: n == 7)
        self.haproxy.reload(self.layout.config())
        wait.until(lambda: self.haproxy.value("mesh/http", "joe", "http_req_cnt"), lambda n: n == 7)

    def test_relay_cuts_after_an_exact_number_of_bytes(self) -> None:
        listener = self.listener()
        relay = self.relay(listener.port)
        self.layout.agent = relay.port
        self.haproxy.reload(self.layout.config())
        last = relay.cut_after("up", 1000)
        listener.session()
        self.haproxy.fill("mesh/http", ((f"user{n}", {"http_req_cnt": n}) for n in range(1000)))
        wait.until(relay.is_cut)
        self.assertEqual(relay.bytes["up"], last)
        relay.restore()
        wait.until(lambda: len(listener.sessions) >= 2, what="haproxy redials")
