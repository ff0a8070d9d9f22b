"""A reload, whose new process talks to the agent while the old one still teaches it, ends with instance and agent in
agreement: at every size of table, under traffic, many times."""
from __future__ import annotations

import threading

from support import http_client, wait
from support.agent import Agent
from support.case import MeshTest


class ReloadTest(MeshTest):
    seconds = 600

    def agree(self, daemon: Agent, name: str) -> None:
        """What |name| itself holds is what the agent holds of it, and both totals are the sum."""
        def difference() -> list[str]:
            own = {other: instance.table("mesh/http") for other, instance in self.instances.items()}
            totals = {other: instance.table("mesh/http.total") for other, instance in self.instances.items()}
            keys = set().union(*own.values())
            found = []
            for key in keys:
                expected = sum(int(table.get(key, {}).get("http_req_cnt", 0)) for table in own.values())
                found += [f"{key}: {other} has {table.get(key, {}).get('http_req_cnt')}, the sum is {expected}"
                          for other, table in totals.items() if table.get(key, {}).get("http_req_cnt") != expected]
            return found[:5]
        wait.until(difference, lambda found: not found, timeout=90, interval=0.3,
                   what=f"agreement after a reload of {name}")

    def reloads(self, count: int, entries: int) -> None:
        daemon = self.mesh(["lb1", "lb2"])
        for name, factor in (("lb1", 1), ("lb2", 3)):
            self.instances[name].fill("mesh/http", ((f"u{n}", {"http_req_cnt": n * factor + 1})
                                                    for n in range(entries)))
        over = threading.Event()
        clients = [threading.Thread(target=self.send, args=(layout.http_port, over))
                   for layout in self.layouts.values()]
        for client in clients:
            client.start()
        try:
            for round_ in range(count):
                name = ("lb1", "lb2")[round_ % 2]
                self.instances[name].reload()
                self.wait_synchronised(daemon, name)
        finally:
            over.set()
            for client in clients:
                client.join()
        self.agree(daemon, name)
        for reason in ("duplicate-session", "definition-mismatch", "truncated"):
            self.assertEqual(daemon.errors().get(reason, 0), 0, reason)

    @staticmethod
    def send(port: int, over: threading.Event) -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                http_client.send(port, f"u{number % 50}", 3)
            except OSError:
                pass  # the old process closes its listener while the new one opens its own
            over.wait(0.02)

    def test_a_hundred_reloads_of_small_tables(self) -> None:
        self.reloads(100, 100)

    def test_reloads_of_large_tables(self) -> None:
        self.reloads(4, 40_000)
