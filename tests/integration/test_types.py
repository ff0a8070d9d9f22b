"""Every data type and every key type, through real HAProxy in both directions."""
from __future__ import annotations

import base64
import re
from typing import Any

from support import haproxy, http_client, wait, wire
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest
from support.ports import free_port

COUNTERS = ["gpc0", "conn_cnt", "sess_cnt", "http_req_cnt", "http_err_cnt", "bytes_in_cnt", "bytes_out_cnt", "gpc1",
            "http_fail_cnt"]
RATES = ["gpc0_rate", "conn_rate", "sess_rate", "http_req_rate", "http_err_rate", "bytes_in_rate", "bytes_out_rate",
         "gpc1_rate", "http_fail_rate"]
# A period so long that readings of a burst stand still while a test compares them.
PERIOD = "60s"

# What a frontend does with the headers of a request; arrays and binary keys cannot be written on the command line.
ARRAY_RULES = """frontend arrays
    bind 127.0.0.1:{port}
    http-request track-sc0 req.hdr(x-client) table mesh/arr
    http-request sc-set-gpt(0,0) req.hdr(x-gpt0) if {{ req.hdr(x-gpt0) -m found }}
    http-request sc-set-gpt(2,0) req.hdr(x-gpt2) if {{ req.hdr(x-gpt2) -m found }}
    http-request sc-inc-gpc(0,0) if {{ req.hdr(x-gpc0) -m found }}
    http-request sc-inc-gpc(1,0) if {{ req.hdr(x-gpc1) -m found }}
    http-request return status 200
"""

STICK_RULES = """frontend sticky
    bind 127.0.0.1:{port}
    default_backend servers
frontend origin
    bind 127.0.0.1:{origin}
    http-request return status 200
backend servers
    stick on req.hdr(x-client) table mesh/stick
    use-server %[req.hdr(x-server)] if {{ req.hdr(x-server) -m found }}
    server alpha 127.0.0.1:{origin} id 11
    server beta 127.0.0.1:{origin} id 12
    server a-rather-long-name-of-a-server-in-another-place 127.0.0.1:{origin} id 2147483647
"""


class CounterTypesTest(MeshTest):
    def both(self, definition: str, **options: Any) -> Agent:
        return self.mesh(["lb1", "lb2"], tables={"t": definition}, **options)

    def set(self, name: str, key: str, **values: int) -> None:
        self.instances[name].set("mesh/t", key, **values)

    def check_sums(self, types: list[str], first: dict[str, int], second: dict[str, int], limit: int) -> None:
        self.set("lb1", "joe", **first)
        self.set("lb2", "joe", **second)
        for data_type in types:
            expected = min(first[data_type] + second[data_type], limit)
            if data_type.endswith("_rate"):
                self.wait_rate(data_type, expected)
            else:
                self.wait_total("joe", data_type, expected, table="mesh/t.total")

    def wait_rate(self, data_type: str, expected: int) -> None:
        """The sum of counters of different phases equals theirs on arrival; from the next ms on HAProxy may round what
        fades of it down to one less."""
        for name, instance in self.instances.items():
            wait.until(lambda: instance.value("mesh/t.total", "joe", data_type),
                       lambda value: value in (expected - 1, expected), what=f"{data_type} at {name} == {expected}")

    def test_every_counter_is_summed(self) -> None:
        self.both("type string len 16 size 1k expire 10m store " + ",".join(COUNTERS))
        first = {name: 1000 + index for index, name in enumerate(COUNTERS)}
        second = {name: 1_000_000 + 7 * index for index, name in enumerate(COUNTERS)}
        self.check_sums(COUNTERS, first, second, 2**32 - 1)

    def test_every_rate_is_summed(self) -> None:
        self.both("type string len 16 size 1k expire 10m store " + ",".join(f"{name}({PERIOD})" for name in RATES))
        first = {name: 100 + index for index, name in enumerate(RATES)}
        second = {name: 1000 + 3 * index for index, name in enumerate(RATES)}
        self.check_sums(RATES, first, second, 2**32 - 1)

    def test_glitches(self) -> None:
        self.need_haproxy(3, 0, "glitch_cnt")
        self.both(f"type string len 16 size 1k expire 10m store glitch_cnt,glitch_rate({PERIOD})")
        names = ["glitch_cnt", "glitch_rate"]
        self.check_sums(names, dict.fromkeys(names, 5), dict.fromkeys(names, 8), 2**32 - 1)

    def test_totals_saturate_and_come_back(self) -> None:
        self.both("type string len 16 size 1k expire 10m store gpc0,bytes_in_cnt")
        large = 2**32 - 5
        self.check_sums(["gpc0"], {"gpc0": large}, {"gpc0": large}, 2**32 - 1)
        self.set("lb1", "joe", gpc0=3)
        self.wait_total("joe", "gpc0", 2**32 - 2, table="mesh/t.total")

    def test_bytes_have_64_bits(self) -> None:
        self.both("type string len 16 size 1k expire 10m store gpc0,bytes_in_cnt,bytes_out_cnt")
        half = 2**62
        self.check_sums(["bytes_in_cnt", "bytes_out_cnt"], {"bytes_in_cnt": half, "bytes_out_cnt": 2**40},
                        {"bytes_in_cnt": half, "bytes_out_cnt": 5}, 2**64 - 1)

    def test_values_at_each_length_of_the_encoding(self) -> None:
        """One key for each boundary of the variable-length integer, at one origin: the total equals it."""
        self.both("type string len 16 size 1k expire 10m store bytes_in_cnt")
        values = [0, 1, 239, 240, 2287, 2288, 264431, 264432, 33818863, 33818864, 2**31, 2**32 - 1, 2**32, 4328786159,
                  4328786160, 2**53, 2**63 - 1]
        self.instances["lb1"].fill("mesh/t", ((f"{value:x}", {"bytes_in_cnt": value}) for value in values))
        for value in values:
            self.wait_total(f"{value:x}", "bytes_in_cnt", value, "lb2", table="mesh/t.total")

    def test_gpt0_is_the_newest_change(self) -> None:
        self.both("type string len 16 size 1k expire 10m store gpt0,gpc0")
        self.set("lb1", "joe", gpt0=5)
        self.wait_total("joe", "gpt0", 5, table="mesh/t.total")
        self.set("lb2", "joe", gpc0=1)  # its gpt0 of 0 is no change
        self.wait_total("joe", "gpc0", 1, table="mesh/t.total")
        self.wait_total("joe", "gpt0", 5, table="mesh/t.total")
        self.set("lb2", "joe", gpt0=9)
        self.wait_total("joe", "gpt0", 9, table="mesh/t.total")
        self.set("lb1", "joe", gpc0=4)  # says gpt0=5 again, which is no change either
        self.wait_total("joe", "gpc0", 5, table="mesh/t.total")
        self.wait_total("joe", "gpt0", 9, table="mesh/t.total")

    def test_functions_can_be_chosen(self) -> None:
        self.both("type string len 16 size 1k expire 10m store gpt0,gpc0,gpc1,http_req_cnt",
                  agent={"aggregate_keys": 'function = { gpt0 = "sum", gpc0 = "max", gpc1 = "min", '
                                           'http_req_cnt = "last" }'})
        self.set("lb1", "joe", gpt0=5, gpc0=5, gpc1=5, http_req_cnt=5)
        self.wait_total("joe", "http_req_cnt", 5, table="mesh/t.total")
        self.set("lb2", "joe", gpt0=3, gpc0=3, gpc1=3, http_req_cnt=3)
        for data_type, expected in (("gpt0", 8), ("gpc0", 5), ("gpc1", 3), ("http_req_cnt", 3)):
            self.wait_total("joe", data_type, expected, table="mesh/t.total")

    def test_conn_cur_of_present_origins(self) -> None:
        """Before 3.2 HAProxy does not learn conn_cur; `copy` puts its total where any version can read it."""
        held = {name: free_port() for name in ("lb1", "lb2")}
        frontend = ("frontend held\n    bind 127.0.0.1:{}\n    timeout http-request 60s\n"
                    "    tcp-request connection track-sc1 src table mesh/conn\n    http-request return status 200\n")
        tables = {"conn": "type ip size 1k expire 10m store conn_cur",
                  "conn.total": "type ip size 1k expire 10m store gpc0"}
        daemon = self.mesh_of({name: {"tables": tables, "totals": False, "extra": frontend.format(entry)}
                               for name, entry in held.items()},
                              agent={"peers_section": 'away-after = "2s"',
                                     "aggregate_keys": 'copy = { conn_cur = "gpc0" }'})
        connections = http_client.hold(held["lb1"], 3) + http_client.hold(held["lb2"], 2)
        self.wait_total("127.0.0.1", "gpc0", 5, table="mesh/conn.total")
        self.assertEqual(daemon.value("conn.total", "127.0.0.1", "conn_cur"), 5)
        self.instances["lb2"].kill()
        self.wait_total("127.0.0.1", "gpc0", 3, "lb1", table="mesh/conn.total")
        for connection in connections:
            connection.close()

    def test_sets_of_types_may_differ(self) -> None:
        daemon = self.mesh_of({name: {"tables": {"t": f"type string len 16 size 1k expire 10m store {types}"}}
                               for name, types in (("lb1", "gpc0"), ("lb2", "gpc0,gpc1,http_req_cnt"))})
        self.set("lb1", "joe", gpc0=5)
        self.set("lb2", "joe", gpc0=6, http_req_cnt=7)
        self.wait_total("joe", "gpc0", 11, table="mesh/t.total")
        self.wait_total("joe", "http_req_cnt", 7, "lb2", table="mesh/t.total")
        self.assertEqual(daemon.errors().get("definition-mismatch", 0), 0)


class ArrayTypesTest(MeshTest):
    def test_arrays(self) -> None:
        self.need_haproxy(2, 5, "gpt(n), gpc(n) and gpc_rate(n,p)")
        ports = {"lb1": free_port(), "lb2": free_port()}
        tables = {"arr": f"type string len 16 size 1k expire 10m store gpt(3),gpc(2),gpc_rate(2,{PERIOD})"}
        self.mesh_of({name: {"tables": tables, "extra": ARRAY_RULES.format(port=ports[name])} for name in ports})
        http_client.send(ports["lb1"], "joe", 5, headers={"x-gpc1": "1"})
        http_client.send(ports["lb1"], "joe", 1, headers={"x-gpt0": "70", "x-gpt2": "4294967295"})
        http_client.send(ports["lb2"], "joe", 3, headers={"x-gpc1": "1", "x-gpc0": "1"})
        for name, expected in (("gpc0", 3), ("gpc1", 8), ("gpc0_rate", 3), ("gpc1_rate", 8), ("gpt0", 70), ("gpt1", 0),
                               ("gpt2", 4294967295)):
            self.wait_total("joe", name, expected, table="mesh/arr.total")
        http_client.send(ports["lb2"], "joe", 1, headers={"x-gpt2": "9"})
        self.wait_total("joe", "gpt2", 9, table="mesh/arr.total")
        self.wait_total("joe", "gpt0", 70, table="mesh/arr.total")

    def test_arrays_of_100(self) -> None:
        """The largest that HAProxy allows, by a scripted instance."""
        port = free_port()
        self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), port)
        types = [wire.DataType("gpt", elements=100), wire.DataType("gpc", elements=100),
                 wire.DataType("gpc_rate", 60_000, 100)]
        source = wire.Table("/arr", types, wire.STRING, 256)
        total = wire.Table("/arr.total", types, wire.STRING, 256, number=2)
        key = "k" * 255
        first = self.dial(port, "agent-1", "lb1", [source])
        second = self.dial(port, "agent-1", "lb2", [total])
        first.push(source, key, gpt=list(range(100)), gpc=[2**32 - 1] * 100, gpc_rate=[(0, n, 0) for n in range(100)])
        wait.until(lambda: second.value("/arr.total", key, "gpc"), what="the total")
        values = second.received["/arr.total"][key].values
        self.assertEqual(values["gpt"], list(range(100)))
        self.assertEqual(values["gpc"], [2**32 - 1] * 100)
        self.assertEqual([current for _, current, _ in values["gpc_rate"]], list(range(100)))


class ServerTypesTest(MeshTest):
    def test_server_id_and_server_key_through_stickiness(self) -> None:
        ports = {"lb1": free_port(), "lb2": free_port()}
        tables = {"stick": "type string len 16 size 1k expire 10m store server_id,server_key"}
        daemon = self.mesh_of({name: {"tables": tables,
                                      "extra": STICK_RULES.format(port=ports[name], origin=free_port())}
                               for name in ports})
        long_name = "a-rather-long-name-of-a-server-in-another-place"
        for client, lb, server, number in (("joe", "lb1", "alpha", 11), ("amy", "lb2", "beta", 12),
                                           ("eve", "lb1", long_name, 2147483647), ("bob", "lb1", "alpha", 11)):
            self.assertEqual(http_client.send(ports[lb], client, headers={"x-server": server}), [200])
            self.wait_total(client, "server_id", number, table="mesh/stick.total")
            for instance in self.instances.values():
                self.assertEqual(instance.value("mesh/stick.total", client, "server_key"), server)
        self.assertEqual(daemon.value("stick.total", "eve", "server_key"), long_name)

    def test_130_names_through_one_session(self) -> None:
        """More than the 128 slots of HAProxy's cache: slots are used again, ids alone refer to strings sent before."""
        port = free_port()
        types = "type string len 16 size 1k expire 10m store server_id,server_key"
        self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), port)
        self.add_instance("lb1", port, tables={"stick": types})
        self.wait_sessions("lb1")
        table = wire.Table("/stick", [wire.DataType("server_id"), wire.DataType("server_key")], wire.STRING, 17)
        session = self.dial(port, "agent-1", "lb2", [table])
        for n in range(300):
            session.push(table, f"k{n}", server_id=n % 130 + 1, server_key=f"server-{n % 130}")
        lb1 = self.instances["lb1"]
        wait.until(lambda: lb1.used("mesh/stick.total"), lambda used: used == 300)
        wait.until(lambda: wrong_servers(lb1.table("mesh/stick.total")), lambda wrong: not wrong, what="names agree")

    def test_negative_server_id(self) -> None:
        """server_id is the one signed type."""
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), port)
        self.add_instance("lb1", port, tables={"stick": "type string len 16 size 1k expire 10m store server_id"})
        self.wait_sessions("lb1")
        table = wire.Table("/stick", [wire.DataType("server_id")], wire.STRING, 17)
        session = self.dial(port, "agent-1", "lb2", [table])
        session.push(table, "joe", server_id=-2)
        wait.until(lambda: daemon.value("stick.total", "joe", "server_id"), lambda value: value == -2)
        self.wait_total("joe", "server_id", -2, table="mesh/stick.total")


def wrong_servers(table: haproxy.Table) -> list[str]:
    return [f"{key}: {values}" for key, values in table.items()
            if values.get("server_key") != f"server-{int(key[1:]) % 130}"]


class KeyTypesTest(MeshTest):
    def check(self, definition: str, keys: list[str]) -> None:
        daemon = self.mesh(["lb1", "lb2"], tables={"t": f"type {definition} size 1k expire 10m store gpc0"})
        for index, key in enumerate(keys):
            for name in self.instances:
                self.instances[name].set("mesh/t", key, gpc0=index + 1)
        for index, key in enumerate(keys):
            self.wait_total(key, "gpc0", 2 * (index + 1), table="mesh/t.total")
            self.assertEqual(daemon.value("t.total", key, "gpc0"), 2 * (index + 1))

    def test_integer(self) -> None:
        self.check("integer", ["0", "1", "65536", "2147483648", "4294967295"])

    def test_ip(self) -> None:
        self.check("ip", ["0.0.0.1", "10.1.2.3", "192.0.2.255", "255.255.255.255"])

    def test_ipv6(self) -> None:
        self.check("ipv6", ["::1", "fe80::1", "2001:db8:1:2:3:4:5:6", "::ffff:10.1.2.3"])

    def test_string(self) -> None:
        self.check("string len 40", ["a", "joe@example.org", "x" * 40, "/a/b?c=d&e=%20"])

    def test_string_with_characters_that_are_shown_escaped(self) -> None:
        """Spaces, quotes, backslashes and bytes above 127 come through headers; both programs show them the same way."""
        daemon = self.mesh(["lb1", "lb2"])
        keys = ["a b", "a=b\\c", 'say "hi"', "na\u00efve", "semi;colon", "tab\tbed"]
        for layout in self.layouts.values():
            for key in keys:
                http_client.send(layout.http_port, key, 2)
        for instance in self.instances.values():
            wait.until(lambda: [instance.table("mesh/http.total").get(key, {}).get("http_req_cnt") for key in
                                instance.table("mesh/http")], lambda counts: counts == [4] * len(keys), what="all totals")
        shown = [sorted(re.findall("key=(.*) use=", text)) for text in
                 (daemon.ask("show table http.total"), self.instances["lb1"].cli("show table mesh/http.total"))]
        self.assertEqual(shown[0], shown[1])

    def test_string_of_default_length(self) -> None:
        self.check("string", ["a", "x" * 31])

    def test_string_of_255(self) -> None:
        self.check("string len 255", ["y" * 255, "y" * 254])

    def test_binary(self) -> None:
        """Binary keys are padded with zeroes; HAProxy shows them in hex and takes none from its command line."""
        ports = {"lb1": free_port(), "lb2": free_port()}
        frontend = ("frontend bin\n    bind 127.0.0.1:{}\n"
                    "    http-request track-sc0 req.hdr(x-key),b64dec table mesh/t\n"
                    "    http-request sc-inc-gpc0(0)\n    http-request return status 200\n")
        tables = {"t": "type binary len 8 size 1k expire 10m store gpc0"}
        daemon = self.mesh_of({name: {"tables": tables, "extra": frontend.format(ports[name])} for name in ports})
        for key in (b"\x01\x02\x03", b"\xff" * 8, b"\x00\x01"):
            for entry in ports.values():
                http_client.send(entry, count=2, headers={"x-key": base64.b64encode(key).decode()})
            shown = key.ljust(8, b"\0").hex().upper()
            for instance in self.instances.values():
                wait.until(lambda: instance.table("mesh/t.total").get(shown, {}).get("gpc0"), lambda n: n == 4,
                           what=f"total of {shown}")
            self.assertIn(shown, {name.upper() for name in daemon.table("t.total")})


class ReceivedFromAgentTest(MeshTest):
    """What the agent puts on the wire, seen by a scripted instance that announces every type."""
    needs_haproxy = False

    def test_every_type_in_one_table(self) -> None:
        port = free_port()
        self.start_agent(AgentConfig(peers=[PeerConfig("lb1"), PeerConfig("lb2")]), port)
        kinds = [wire.DataType(name, 60_000 if name.endswith("_rate") else 0)
                 for name in wire.TYPE_NAMES if name not in ("gpt", "gpc", "gpc_rate")]
        source, total = wire.Table("/t", kinds), wire.Table("/t.total", kinds, number=2)
        values: dict[str, Any] = {}
        for index, kind in enumerate(kinds):
            values[kind.name] = (0, index + 1, 0) if kind.is_rate else index + 1
        values["server_key"] = "alpha"
        first = self.dial(port, "agent-1", "lb1", [source])
        second = self.dial(port, "agent-1", "lb2", [total])
        first.push(source, "joe", **values)
        wait.until(lambda: second.received.get("/t.total", {}).get("joe"), what="the total")
        got = second.received["/t.total"]["joe"].values
        for name, value in values.items():
            if name != "conn_cur" and not name.endswith("_rate"):
                self.assertEqual(got[name], value, name)
            elif name.endswith("_rate"):
                self.assertEqual(sum(got[name][1:]), value[1], name)

