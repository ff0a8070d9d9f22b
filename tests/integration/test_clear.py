"""`clear table`: a client is let in again at every instance."""
from __future__ import annotations

from support import http_client, wait
from support.agent import Agent
from support.case import MeshTest


class ClearTest(MeshTest):
    def refused(self) -> Agent:
        daemon = self.mesh(["lb1", "lb2"], limit=20)
        for name in self.instances:
            self.wait_synchronised(daemon, name)
        for layout in self.layouts.values():
            http_client.send(layout.http_port, "joe", 15)
        http_client.send(self.layouts["lb1"].http_port, "amy", 4)
        self.wait_total("joe", "http_req_cnt", 30)
        self.wait_total("amy", "http_req_cnt", 4)
        for layout in self.layouts.values():
            self.assertEqual(http_client.send(layout.http_port, "joe"), [429])
        self.wait_total("joe", "http_req_cnt", 32)
        return daemon

    def test_a_key_is_cleared_everywhere(self) -> None:
        daemon = self.refused()
        answer = daemon.ask("clear table http key joe")
        self.assertIn("1 key cleared", answer)
        for name in self.instances:
            self.assertIn(f"{name}: cleared", answer)
        for name, instance in self.instances.items():
            wait.until(lambda: instance.value("mesh/http", "joe", "http_req_cnt"), lambda value: value == 0,
                       what=f"{name}'s own count is 0")
            wait.until(lambda: instance.value("mesh/http.total", "joe", "http_req_cnt"), lambda value: value == 0,
                       what=f"{name}'s total is 0")
        # An instance that is late is asked for a lesson, which says 0.
        self.assertIn(daemon.value("http", "joe", "http_req_cnt"), (None, 0))
        for layout in self.layouts.values():
            self.assertEqual(http_client.send(layout.http_port, "joe"), [200])
        self.wait_total("joe", "http_req_cnt", 2)
        self.wait_total("amy", "http_req_cnt", 4)

    def test_an_instance_that_is_away_is_told_when_it_returns(self) -> None:
        daemon = self.refused()
        process = self.instances["lb2"].process
        assert process is not None
        process.freeze()
        self.wait_peer(daemon, "lb2", "away")
        answer = daemon.ask("clear table http key joe")
        self.assertIn("lb1: cleared", answer)
        self.assertIn("lb2: away (done when it returns)", answer)
        process.thaw()
        wait.until(lambda: self.instances["lb2"].value("mesh/http", "joe", "http_req_cnt"), lambda value: value == 0,
                   what="lb2's own count is 0")
        self.wait_total("joe", "http_req_cnt", 0)
        http_client.send(self.layouts["lb2"].http_port, "joe", 3)
        self.wait_total("joe", "http_req_cnt", 3)

    def test_a_reload_brings_nothing_back(self) -> None:
        daemon = self.refused()
        daemon.ask("clear table http key joe")
        wait.until(lambda: self.instances["lb1"].value("mesh/http", "joe", "http_req_cnt"), lambda value: value == 0)
        self.instances["lb1"].reload()
        wait.until(lambda: daemon.peers()["lb1"]["pid"], lambda pid: pid == str(self.instances["lb1"].process.pid),
                   what="the new process has a session")
        self.wait_peer(daemon, "lb1")
        self.wait_total("joe", "http_req_cnt", 0)

    def test_the_whole_table(self) -> None:
        daemon = self.refused()
        self.assertIn("2 keys cleared", daemon.ask("clear table http.total"))
        for key in ("joe", "amy"):
            self.wait_total(key, "http_req_cnt", 0)
        self.assertFalse(any(entry["http_req_cnt"] for entry in daemon.table("http").values()))

    def test_what_cannot_be_cleared_is_said(self) -> None:
        daemon = self.refused()
        for command, part in (("clear table nix", "there is no table 'nix'"), ("clear table http key nobody", "no key"),
                              ("clear table", "clear table NAME [key K]"),
                              ("clear table http data.gpc0 gt 1", "clear table NAME [key K]")):
            answer = daemon.ask(command)
            self.assertTrue(answer.startswith("error: "), answer)
            self.assertIn(part, answer)
        self.assertEqual(daemon.value("http", "joe", "http_req_cnt"), 32)
