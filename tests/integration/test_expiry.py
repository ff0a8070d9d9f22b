"""Entries live as long as their tables say, and totals fall with the contributions that end."""
from __future__ import annotations

import time

from support import http_client, wait
from support.agent import sanitized
from support.case import MeshTest

SHORT = "type string len 64 size 10k expire 10s store http_req_cnt,http_req_rate(10s)"


class ExpiryTest(MeshTest):
    def test_entries_expire_everywhere(self) -> None:
        daemon = self.mesh(["lb1", "lb2"], tables={"http": SHORT})
        for layout in self.layouts.values():
            http_client.send(layout.http_port, "joe", 2)
        self.wait_total("joe", "http_req_cnt", 4)
        wait.until(lambda: daemon.used("http.total"), lambda used: used == 0, what="gone at the agent")
        for name, instance in self.instances.items():
            for table in ("mesh/http", "mesh/http.total"):
                wait.until(lambda: instance.used(table), lambda used: used == 0, what=f"{table} empty at {name}")
        # Nothing expired comes back.
        wait.holds(lambda: [i.used("mesh/http.total") for i in self.instances.values()], lambda used: not any(used),
                   seconds=2.5, what="totals stay gone")

    def test_a_total_falls_when_a_contribution_ends(self) -> None:
        """lb2 goes on counting, lb1 does not: after lb1's life time the total is lb2's alone."""
        self.mesh(["lb1", "lb2"], tables={"http": SHORT})
        http_client.send(self.layouts["lb1"].http_port, "joe", 50)
        http_client.send(self.layouts["lb2"].http_port, "joe", 1)
        self.wait_total("joe", "http_req_cnt", 51)

        def fallen() -> bool:
            http_client.send(self.layouts["lb2"].http_port, "joe", 1)
            own = self.instances["lb2"].value("mesh/http", "joe", "http_req_cnt")
            totals = [int(instance.value("mesh/http.total", "joe", "http_req_cnt") or 0)
                      for instance in self.instances.values()]
            return isinstance(own, int) and all(own - 2 <= total <= own for total in totals)
        wait.until(fallen, what="the total is what lb2 counted", interval=0.3)

    def test_a_lessons_remaining_life_is_taken_as_it_is(self) -> None:
        """After a restart of the agent an old entry does not start its life anew."""
        daemon = self.mesh(["lb1"], tables={"http": SHORT.replace("10s", "30s", 1)}, dial="both")
        http_client.send(self.layouts["lb1"].http_port, "joe", 2)
        born = time.monotonic()
        self.wait_total("joe", "http_req_cnt", 2)
        daemon.stop()
        time.sleep(max(0.0, born + 4 - time.monotonic()))  # the age is what this test is about
        daemon.start()
        wait.until(lambda: daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == 2,
                   what="learned again")
        theirs = self.instances["lb1"].table("mesh/http")["joe"]["exp"]
        ours = daemon.table("http.total")["joe"]["exp"]
        assert isinstance(theirs, int) and isinstance(ours, int)
        # Half of its age, for the way from one to the other.
        self.assertLess(ours, theirs + 2000, "its life began anew")

    def test_an_instance_that_is_gone_keeps_its_contribution_until_it_expires(self) -> None:
        self.mesh(["lb1", "lb2"], tables={"http": SHORT.replace("10s", "12s", 1)})
        http_client.send(self.layouts["lb1"].http_port, "joe", 5)
        http_client.send(self.layouts["lb2"].http_port, "joe", 1)
        self.wait_total("joe", "http_req_cnt", 6)
        self.instances["lb1"].kill()
        http_client.send(self.layouts["lb2"].http_port, "joe", 1)
        self.wait_total("joe", "http_req_cnt", 7, "lb2")

        def total_of_lb2() -> bool:
            http_client.send(self.layouts["lb2"].http_port, "joe", 1)
            own = self.instances["lb2"].value("mesh/http", "joe", "http_req_cnt")
            total = self.instances["lb2"].value("mesh/http.total", "joe", "http_req_cnt")
            return isinstance(own, int) and isinstance(total, int) and own - 2 <= total <= own
        wait.until(total_of_lb2, what="lb1's contribution expired", interval=0.4)


class FullTest(MeshTest):
    seconds = 240

    def test_max_memory_bounds_the_agent(self) -> None:
        """Far more keys than fit: the oldest go and are counted, the newest have their totals."""
        daemon = self.mesh(["lb1"], tables={"t": "type string len 32 size 300k expire 10m store gpc0"},
                           agent={"agent_section": 'max-memory = "8MiB"'})
        assert daemon.process is not None
        before = daemon.process.resident_kib()
        self.instances["lb1"].fill("mesh/t", ((f"k{n}", {"gpc0": n + 1}) for n in range(150_000)))
        wait.until(lambda: daemon.value("t.total", "k149999", "gpc0"), lambda value: value == 150_000,
                   timeout=90, what="the newest key")
        row = next(row for row in daemon.tables() if row["name"] == "t")
        self.assertGreater(int(row["purged"]), 0)
        self.assertLess(int(row["entries"]), 150_000)
        self.assertIn("purging", daemon.ask("show tables"))
        grown = daemon.process.resident_kib() - before
        print(f"{row['entries']} entries kept, {row['purged']} purged, the agent grew by {grown} KiB")
        if not sanitized():
            self.assertLess(grown, 16 * 1024)

    def test_the_oldest_goes_when_a_table_is_full(self) -> None:
        """A table is as large at the agent as the instances' own; what is dropped is dropped there as well."""
        self.mesh(["lb1"], tables={"t": "type string len 32 size 1k expire 10m store gpc0"})
        self.instances["lb1"].fill("mesh/t", ((f"k{n}", {"gpc0": n + 1}) for n in range(5000)))
        wait.until(lambda: self.instances["lb1"].value("mesh/t.total", "k4999", "gpc0"), lambda value: value == 5000,
                   what="the newest key's total")
