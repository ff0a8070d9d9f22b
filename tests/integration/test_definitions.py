"""Tables that instances define differently: never mixed, the majority stands, and all ends well."""
from __future__ import annotations

from support import http_client, wait
from support.case import MeshTest
from support.layout import HTTP

AFTER = HTTP.replace("http_req_rate(10s)", "http_req_rate(30s)")


class RollingChangeTest(MeshTest):
    def change(self, name: str) -> None:
        layout = self.layouts[name]
        layout.tables = {"http": AFTER}
        self.instances[name].reload(layout.config())

    def test_a_period_is_changed_instance_by_instance(self) -> None:
        daemon = self.mesh(["lb1", "lb2", "lb3"])
        for name, count in (("lb1", 3), ("lb2", 4), ("lb3", 5)):
            http_client.send(self.layouts[name].http_port, "joe", count)
        self.wait_total("joe", "http_req_cnt", 12)

        def standing() -> str:
            return next(row["definition"] for row in daemon.tables() if row["name"] == "http")
        self.change("lb3")
        wait.until(lambda: daemon.peers()["lb3"]["note"], lambda note: "30s" in note and "10s" in note,
                   what="lb3's definition is a mismatch, with both in words")
        self.assertIn("http_req_rate(10s)", standing())
        self.assertGreaterEqual(daemon.errors().get("definition-mismatch", 0), 1)
        self.assertRegex(daemon.ask("show peers lb3"), r"(?m)^/http\tin\tmismatch\t")
        http_client.send(self.layouts["lb1"].http_port, "joe", 1)
        self.wait_total("joe", "http_req_cnt", 13, "lb1", "lb2")

        self.change("lb2")
        wait.until(standing, lambda text: "http_req_rate(30s)" in text, what="the new definition stands")
        self.wait_total("joe", "http_req_cnt", 9, "lb2", "lb3")
        wait.until(lambda: daemon.peers()["lb1"]["note"], lambda note: "30s" in note, what="now lb1 is the mismatch")

        self.change("lb1")
        self.wait_total("joe", "http_req_cnt", 13)
        for name in self.instances:
            wait.until(lambda: daemon.peers()[name]["note"], lambda note: "30s" not in note,
                       what=f"nothing is wrong with {name} any more")


class MixingTest(MeshTest):
    def test_two_instances_in_one_section_are_found_out(self) -> None:
        """lb1 and lb2 list each other: their counters are overwritten before the agent sees them."""
        names = ("lb1", "lb2")
        daemon = self.mesh(list(names))
        ports = {name: self.layouts[name].peers_port for name in names}
        for name, other in (("lb1", "lb2"), ("lb2", "lb1")):
            self.layouts[name].extra_peers = f"    server {other} 127.0.0.1:{ports[other]}"
            self.instances[name].reload(self.layouts[name].config())
        for name, other in (("lb1", "lb2"), ("lb2", "lb1")):
            wait.until(lambda: self.instances[name].peer_state(other), lambda state: state == "ESTA",
                       what=f"{name} and {other} are peers")
        self.instances["lb1"].fill("mesh/http", ((f"user{n}", {"http_req_cnt": 100 + n}) for n in range(60)))
        wait.until(lambda: self.instances["lb2"].used("mesh/http"), lambda used: used == 60, what="lb2 learned them")
        # A lesson shows the agent what lb2 has, though it did not count it.
        self.instances["lb2"].reload(self.layouts["lb2"].config())
        wait.until(lambda: daemon.errors().get("suspected-mixing", 0), lambda count: count == 1,
                   what="suspected mixing")
        self.assertIn("lb1 and lb2 have equal counters", daemon.ask("show errors"))


class FullTotalTest(MeshTest):
    """A table of totals without room for all keys takes every update and keeps a part: nothing on the wire says so. The
    agent asks for it after a hundred times as long as the last lesson took, or 10 s."""
    seconds = 400

    def found_out(self, size: str) -> None:
        daemon = self.mesh(["lb1"], totals=False, extra_peers=f"    table http.total {HTTP.replace('size 100k', size)}")
        self.instances["lb1"].fill("mesh/http", ((f"user{n}", {"http_req_cnt": n + 1}) for n in range(500)))
        wait.until(lambda: daemon.peers()["lb1"]["note"], lambda note: "full or `nopurge`" in note, timeout=330,
                   what="the full table is found out")
        self.assertEqual(daemon.errors().get("table-full"), 1)

    def test_too_small(self) -> None:
        self.found_out("size 100")

    def test_nopurge(self) -> None:
        self.found_out("size 200 nopurge")
