"""The sizes that the config sets hold, whatever a peer does, and who stays within them is served as before."""
from __future__ import annotations

import re

from support import agent, wait, wire
from support.case import http_table
from support.witness import WitnessTest


class TablesTest(WitnessTest):
    peers_section = "max-tables = 5"

    def define(self, count: int, shift: int = 0) -> list[wire.Table]:
        """So many tables; |shift| gives the same names other numbers."""
        return [http_table(f"/t{n}", number=(n + shift) % count + 1) for n in range(count)]

    def known(self) -> set[str]:
        return {row["name"] for row in self.daemon.tables()}

    def test_as_many_as_allowed_and_not_one_more(self) -> None:
        tables = self.define(5)
        session = self.dial(self.port, "agent-1", "evil", tables)
        for n, table in enumerate(tables):
            session.push(table, "joe", http_req_cnt=n + 1)
        for n in range(5):
            wait.until(lambda: self.daemon.value(f"t{n}.total", "joe", "http_req_cnt"), lambda value: value == n + 1,
                       what=f"the total of t{n}")
        # The same names under other numbers are no more tables.
        for shift in range(1, 5):
            for table in self.define(5, shift):
                session.define(table)
        session.push(tables[0], "joe", http_req_cnt=50)
        wait.until(lambda: self.daemon.value("t0.total", "joe", "http_req_cnt"), lambda value: value == 50)
        self.assertEqual(self.daemon.errors(), {})

        session.define(http_table("/one-more", number=6))
        session.wait_closed()
        self.assertEqual(session.count(wire.ERROR, 0), 1, "it is told before the end")
        wait.until(self.daemon.errors, lambda counts: counts == {"too-many-tables": 1})
        self.assertIn("one-more", self.daemon.ask("show errors"))
        self.assertEqual(self.known(), {"http", "t0", "t1", "t2", "t3", "t4"})
        # What it said before stays, and it may come back.
        self.assertEqual(self.daemon.value("t0.total", "joe", "http_req_cnt"), 50)
        again = self.dial(self.port, "agent-1", "evil", tables)
        again.push(tables[4], "joe", http_req_cnt=60)
        wait.until(lambda: self.daemon.value("t4.total", "joe", "http_req_cnt"), lambda value: value == 60)
        self.unharmed()


class MemoryTest(WitnessTest):
    """A peer sends far more keys than fit."""
    seconds = 240
    LIMIT_KIB = 16 * 1024
    KEYS, SLICE = 400_000, 10_000
    agent_section = f'max-memory = "{LIMIT_KIB}KiB"'

    def info(self) -> dict[str, int]:
        return {name: int(value) for name, value in re.findall(r"^(\w+): (\d+)$", self.daemon.ask("show info"), re.M)}

    def row(self, table: str) -> dict[str, str]:
        return next(row for row in self.daemon.tables() if row["name"] == table)

    def slice(self, table: wire.Table, start: int) -> bytes:
        out = bytearray()
        for n in range(start, start + self.SLICE):
            table.change(f"key-of-the-flood-{n}", gpc0=n)
            out += table.update(f"key-of-the-flood-{n}", wire.Dictionary())
        table.entries.clear()  # its lessons hold nothing, or they would be the flood again
        return bytes(out)

    def test_memory_stays_within_its_limit_and_other_tables_are_whole(self) -> None:
        assert self.daemon.process is not None
        own = {f"u{n}": n + 1 for n in range(300)}
        self.instances["lb1"].fill("mesh/http", ((key, {"http_req_cnt": n}) for key, n in own.items()))
        for key, n in own.items():
            self.good.push(self.source, key, http_req_cnt=1000 * n)
        self.wait_total("u299", "http_req_cnt", 300_300)

        flood = wire.Table("/flood", [wire.DataType("gpc0")], key_len=41)
        session = self.dial(self.port, "agent-1", "evil", [flood])
        wait.until(lambda: session.count(wire.CONTROL, wire.CONFIRM), what="the lesson is over")
        session.define(flood)
        before, peak = self.daemon.process.resident_kib(), 0
        for start in range(0, self.KEYS, self.SLICE):
            session.send(self.slice(flood, start))
            wait.until(lambda: session.acked.get(1), lambda acked: acked == flood.last_id, what="all are taken")
            info = self.info()
            self.assertLessEqual(info["Memory_bytes"], info["Max_memory_bytes"], f"after {start} keys")
            peak = max(peak, self.daemon.process.resident_kib())
            if start % (5 * self.SLICE) == 0:
                self.count_one_more()

        self.assertEqual(info["Max_memory_bytes"], self.LIMIT_KIB * 1024)
        self.assertGreater(info["Memory_bytes"], info["Max_memory_bytes"] // 2, "what is allowed is used")
        row = self.row("flood")
        self.assertEqual(int(row["entries"]) + int(row["purged"]), self.KEYS)
        self.assertIn("purging", row["definition"])
        self.assertRegex(self.daemon.log(), "flood is purging")
        for n, there in ((self.KEYS - 1, True), (0, False)):
            self.assertEqual(self.daemon.value("flood.total", f"key-of-the-flood-{n}", "gpc0"), n if there else None)
        grown = peak - before
        print(f"{row['entries']} entries are kept, {row['purged']} were purged; the agent grew by {grown} KiB")
        if not agent.sanitized():
            self.assertLess(grown, self.LIMIT_KIB * 3 // 2)

        # The table that is not the largest has lost nothing, and is not called purging.
        self.assertNotIn("purging", self.row("http")["definition"])
        self.assertEqual(self.row("http")["purged"], "0")
        for key, n in own.items():
            self.good.push(self.source, key, http_req_cnt=2000 * n)

        def wrong() -> list[str]:
            table = self.instances["lb1"].table("mesh/http.total")
            return [key for key, n in own.items() if table.get(key, {}).get("http_req_cnt") != 2001 * n]
        wait.until(wrong, lambda keys: not keys, what="wrong totals at lb1")
        self.assertEqual(self.daemon.errors(), {})
        self.unharmed()
