"""Instances count, the agent adds up, every instance gets the sum: the purpose of it all."""
from __future__ import annotations

import random
import re

from support import haproxy, http_client, peer, wait, wire
from support.agent import AgentConfig, PeerConfig
from support.case import MeshTest, http_table
from support.layout import HTTP
from support.ports import free_port


class TwoInstancesTest(MeshTest):
    def count_at_both(self, dial: str) -> None:
        daemon = self.mesh(["lb1", "lb2"], dial=dial)
        ports = {name: layout.http_port for name, layout in self.layouts.items()}
        http_client.send(ports["lb1"], "joe", 30)
        http_client.send(ports["lb2"], "joe", 20)
        http_client.send(ports["lb1"], "amy", 7)
        self.wait_total("joe", "http_req_cnt", 50)
        self.wait_total("amy", "http_req_cnt", 7)
        self.assertEqual(daemon.value("http.total", "joe", "http_req_cnt"), 50)
        http_client.send(ports["lb2"], "amy", 1)
        self.wait_total("amy", "http_req_cnt", 8)
        for name, own in (("lb1", 30), ("lb2", 20)):
            self.assertEqual(self.instances[name].value("mesh/http", "joe", "http_req_cnt"), own)

    def test_haproxy_dials(self) -> None:
        self.count_at_both("haproxy")

    def test_agent_dials(self) -> None:
        self.count_at_both("agent")

    def test_both_dial(self) -> None:
        self.count_at_both("both")

    def test_rates_are_summed(self) -> None:
        self.mesh(["lb1", "lb2"])
        for name, count in (("lb1", 40), ("lb2", 25)):
            http_client.send(self.layouts[name].http_port, "joe", count)
        for instance in self.instances.values():
            wait.until(lambda: instance.value("mesh/http.total", "joe", "http_req_rate"),
                       lambda value: isinstance(value, int) and 60 <= value <= 66, what="rate near 65")

    def test_clients_known_by_their_address(self) -> None:
        definition = HTTP.replace("string len 64", "ip")
        self.mesh(["lb1", "lb2"], tables={"http": definition}, key="src")
        for name, count in (("lb1", 3), ("lb2", 4)):
            http_client.send(self.layouts[name].http_port, count=count, source="127.0.0.77")
        self.wait_total("127.0.0.77", "http_req_cnt", 7)

    def test_refused_at_both_when_only_the_total_crosses_the_limit(self) -> None:
        self.mesh(["lb1", "lb2"], limit=20)
        for layout in self.layouts.values():
            self.assertEqual(http_client.send(layout.http_port, "joe", 10), [200] * 10)
        self.wait_total("joe", "http_req_cnt", 20)
        self.assertEqual(http_client.send(self.layouts["lb1"].http_port, "joe"), [200])
        self.wait_total("joe", "http_req_cnt", 21)
        for name, layout in self.layouts.items():
            self.assertEqual(http_client.send(layout.http_port, "joe"), [429], name)
            self.assertEqual(http_client.send(layout.http_port, "amy"), [200], name)
            own = self.instances[name].value("mesh/http", "joe", "http_req_cnt")
            assert isinstance(own, int)
            self.assertLessEqual(own, 20, "the instance's own count does not cross the limit")


class ThreeOriginsTest(MeshTest):
    def test_interleaved_keys_against_an_oracle(self) -> None:
        """Random writes of three instances to overlapping keys; at the end each total is what each instance last said,
        added up, and the totals' tables hold nothing else."""
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        chance = random.Random(seed)
        names = ["lb1", "lb2", "lb3"]
        types = ["gpc0", "http_req_cnt", "bytes_in_cnt"]
        definition = "type string len 32 size 10k expire 10m store gpc0,http_req_cnt,bytes_in_cnt"
        self.mesh(names, tables={"t": definition})
        said: dict[str, dict[str, dict[str, int]]] = {}
        for _ in range(60):
            name = chance.choice(names)
            rows = [(f"key{chance.randrange(300)}", {kind: chance.randrange(1 << 20) for kind in types
                                                    if chance.random() < 0.7}) for _ in range(40)]
            rows = [(key, values) for key, values in rows if values]
            self.instances[name].fill("mesh/t", rows)
            for key, values in rows:
                said.setdefault(key, {}).setdefault(name, {}).update(values)
        oracle = {key: {kind: sum(values.get(kind, 0) for values in origins.values()) for kind in types}
                  for key, origins in said.items()}
        for name in names:
            wait.until(lambda: differences(oracle, self.instances[name].table("mesh/t.total")), lambda found: not found,
                       what=f"totals at {name} equal the oracle's")


def differences(oracle: dict[str, dict[str, int]], table: dict[str, dict[str, int | str]]) -> list[str]:
    found = [f"{key}: {table.get(key)} instead of {values}" for key, values in oracle.items()
             if any(table.get(key, {}).get(kind) != value for kind, value in values.items())]
    return found + [f"{key}: not in the oracle" for key in table if key not in oracle]


class WhoGetsWhatTest(MeshTest):
    def scripted(self, tables: list[wire.Table], daemon_port: int, name: str = "watcher") -> peer.Session:
        return self.dial(daemon_port, "agent-1", name, tables)

    def start(self, names: list[str], aggregates: dict[str, str] | None = None) -> int:
        """An agent that knows lb1 (HAProxy) and |names|, which scripted peers use."""
        port = free_port()
        config = AgentConfig(peers=[PeerConfig(name) for name in ["lb1", *names]])
        config.aggregates = aggregates or config.aggregates
        self.daemon = self.start_agent(config, port)
        self.add_instance("lb1", port)
        self.wait_sessions("lb1")
        return port

    def test_nothing_is_sent_for_a_table_that_was_not_announced(self) -> None:
        port = self.start(["watcher"])
        source = http_table()
        session = self.scripted([source], port)
        session.push(source, "joe", http_req_cnt=5, http_req_rate=(0, 0, 0))
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=7)
        self.wait_total("joe", "http_req_cnt", 12)
        wait.holds(session.table_names, lambda names: not names, seconds=1.5, what="no table is defined to the watcher")
        total = http_table("/http.total", number=2)
        session.define(total)
        session.wait_value("/http.total", "joe", "http_req_cnt", 12)
        self.assertEqual(session.table_names(), {"/http.total"})

    def test_totals_carry_the_data_types_that_the_receiver_announced(self) -> None:
        port = self.start(["watcher"])
        narrow = wire.Table("/http.total", [wire.DataType("http_req_cnt")])
        session = self.scripted([narrow], port)
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=7)
        session.wait_value("/http.total", "joe", "http_req_cnt", 7)
        defined = [table for table in session.definitions.values()]
        self.assertEqual([kind.name for table in defined for kind in table.types], ["http_req_cnt"])

    def test_updates_are_timed_and_their_ids_explicit_and_never_0(self) -> None:
        port = self.start(["watcher"])
        session = self.scripted([http_table("/http.total")], port)
        self.instances["lb1"].fill("mesh/http", ((f"k{n}", {"http_req_cnt": n + 1}) for n in range(500)))
        wait.until(lambda: len(session.received.get("/http.total", {})), lambda n: n == 500, what="500 totals")
        kinds = {message.number for message in session.messages if message.kind == wire.TABLE}
        self.assertLessEqual(kinds, {wire.DEFINE, wire.TIMED, wire.ACK, wire.SWITCH})
        for entry in session.received["/http.total"].values():
            self.assertNotEqual(entry.update_id, 0)
            assert entry.remaining is not None
            self.assertTrue(0 < entry.remaining <= 600_000, entry)

    def test_an_output_is_never_read_as_input(self) -> None:
        port = self.start(["lb2"])
        source, total = http_table(), http_table("/http.total", number=2)
        session = self.scripted([source, total], port, "lb2")
        session.push(source, "joe", http_req_cnt=5)
        session.push(total, "joe", http_req_cnt=1_000_000)
        session.push(total, "ghost", http_req_cnt=3)
        self.instances["lb1"].set("mesh/http.total", "joe", http_req_cnt=2_000_000)
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=7)
        session.wait_value("/http.total", "joe", "http_req_cnt", 12)
        session.push(source, "joe", http_req_cnt=6)
        self.wait_total("joe", "http_req_cnt", 13)
        self.assertNotIn("ghost", self.daemon.table("http.total"))
        self.assertIsNone(self.instances["lb1"].entry("mesh/http.total", "ghost"))

    def need_pushes_of_given_entries(self) -> None:
        if re.search(r"version 3\.[02]\.0\b", haproxy.version_line()):
            self.skipTest("HAProxy 3.0.0 and 3.2.0 do not push a change of an entry that they were given")

    def test_a_total_that_something_else_overwrites_is_sent_again(self) -> None:
        self.need_pushes_of_given_entries()
        daemon = self.mesh(["lb1", "lb2"])
        for layout in self.layouts.values():
            http_client.send(layout.http_port, "joe", 5)
            http_client.send(layout.http_port, "amy", 1)
        self.wait_total("joe", "http_req_cnt", 10)
        for value in (0, 77):
            self.instances["lb1"].set("mesh/http.total", "joe", http_req_cnt=value)
            self.wait_total("joe", "http_req_cnt", 10)
        self.assertEqual(daemon.value("http.total", "joe", "http_req_cnt"), 10)

    def test_one_that_is_overwritten_in_an_idle_table_after_a_reload_is_sent_again(self) -> None:
        self.need_pushes_of_given_entries()
        daemon = self.mesh(["lb1", "lb2"])
        for layout in self.layouts.values():
            http_client.send(layout.http_port, "joe", 5)
        self.wait_total("joe", "http_req_cnt", 10)
        self.instances["lb1"].reload()
        self.wait_synchronised(daemon, "lb1")
        self.wait_total("joe", "http_req_cnt", 10)
        self.instances["lb1"].set("mesh/http.total", "joe", http_req_cnt=0)
        self.wait_total("joe", "http_req_cnt", 10)

    def test_input_tables_are_not_pushed_to_other_instances(self) -> None:
        port = self.start(["watcher"])
        session = self.scripted([http_table(), http_table("/http.total", number=2)], port)
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=7)
        session.wait_value("/http.total", "joe", "http_req_cnt", 7)
        self.assertNotIn("joe", session.received.get("/http", {}))

    def test_a_table_without_a_rule_is_kept_and_pushed_to_nobody(self) -> None:
        port = self.start(["watcher"], {"other": "other.total"})
        session = self.scripted([http_table(), http_table("/http.total", number=2)], port)
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=7)
        wait.until(lambda: self.daemon.value("http", "joe", "http_req_cnt"), lambda value: value == 7,
                   what="the agent shows the table")
        wait.holds(session.table_names, lambda names: not names, seconds=1.0, what="nothing is pushed")


class NamesOfTablesTest(MeshTest):
    """A table of a peers section is /NAME on the wire, one of a backend NAME; the config writes NAME for both."""
    def test_backend_table_and_peers_table_of_one_name_are_one(self) -> None:
        definition = "type ip size 10k expire 10m store gpc0"
        backends = "".join(f"backend {name}\n    stick-table {definition} peers mesh\n"
                           for name in ("st_x", "st_x.total"))
        self.mesh_of({"lb1": {"tables": {}, "extra": backends}, "lb2": {"tables": {"st_x": definition}}},
                     agent={"aggregates": {"st_x": "st_x.total"}})
        self.instances["lb1"].set("st_x", "10.1.2.3", gpc0=4)
        self.instances["lb2"].set("mesh/st_x", "10.1.2.3", gpc0=5)
        self.wait_total("10.1.2.3", "gpc0", 9, "lb1", table="st_x.total")
        self.wait_total("10.1.2.3", "gpc0", 9, "lb2", table="mesh/st_x.total")

    def test_one_instance_that_announces_both_is_told(self) -> None:
        definition = "type ip size 10k expire 10m store gpc0"
        daemon = self.mesh(["lb1"], tables={"st_x": definition},
                           extra=f"backend st_x\n    stick-table {definition} peers mesh\n")
        self.instances["lb1"].set("mesh/st_x", "10.1.2.3", gpc0=4)
        self.instances["lb1"].set("st_x", "10.1.2.3", gpc0=5)
        wait.until(lambda: daemon.errors().get("definition-mismatch", 0), what="definition-mismatch is counted")
        self.assertIn("st_x", daemon.ask("show peers") + daemon.ask("show errors"))

    def test_definitions_that_differ_are_not_mixed(self) -> None:
        """Two instances agree on the period, the third does not: it is told, the others are summed."""
        table = "type string len 32 size 1k expire 10m store gpc0,gpc0_rate({})"
        daemon = self.mesh_of({name: {"tables": {"t": table.format(period)}}
                               for name, period in (("lb1", "10s"), ("lb2", "10s"), ("lb3", "30s"))})
        for name in self.instances:
            self.instances[name].set("mesh/t", "joe", gpc0=5)
        self.wait_total("joe", "gpc0", 10, "lb1", "lb2", table="mesh/t.total")
        wait.until(lambda: daemon.errors().get("definition-mismatch", 0), what="definition-mismatch is counted")
        log = daemon.log()
        self.assertIn("gpc0_rate(10s)", log)
        self.assertIn("gpc0_rate(30s)", log)
        self.assertIn("lb3", daemon.ask("show errors"))
        self.assertEqual(self.instances["lb1"].value("mesh/t.total", "joe", "gpc0"), 10)
