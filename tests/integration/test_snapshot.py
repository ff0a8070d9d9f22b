"""What the agent holds outlives it: instances that are gone keep what they counted, and nothing counts twice."""
from __future__ import annotations

from support import http_client, wait
from support.case import MeshTest


class SnapshotTest(MeshTest):
    def setUp(self) -> None:
        super().setUp()
        self.snapshot = self.directory / "state" / "snapshot.msgpack"

    def counted(self, *, section: str = "", expire: str = "10m") -> None:
        """lb1 and lb2 have counted 3 and 4 for joe, and opened nothing."""
        table = f"type string len 32 size 1k expire {expire} store http_req_cnt,http_req_rate(10s)"
        self.daemon = self.mesh(["lb1", "lb2"], agent={"agent_section": section},
                                tables={"http": table})
        for name, count in (("lb1", 3), ("lb2", 4)):
            http_client.send(self.layouts[name].http_port, "joe", count)
        self.wait_total("joe", "http_req_cnt", 7)

    def total(self, key: str = "joe") -> object:
        return self.daemon.value("http.total", key, "http_req_cnt")

    def test_sigterm_and_the_loss_of_all_instances(self) -> None:
        self.counted()
        for instance in self.instances.values():
            instance.kill()
        self.assertEqual(self.daemon.stop(), 0)
        self.assertTrue(self.snapshot.exists())
        self.daemon.start()
        self.assertEqual(self.total(), 7)
        self.assertIn("snapshot: 2 contributions restored", self.daemon.log())
        self.instances["lb1"].start()
        self.wait_sessions("lb1")
        wait.until(lambda: self.instances["lb1"].value("mesh/http", "joe", "http_req_cnt"), lambda value: value == 3,
                   what="lb1 has its own count again")
        self.wait_total("joe", "http_req_cnt", 7, "lb1")
        http_client.send(self.layouts["lb1"].http_port, "joe", 1)
        self.wait_total("joe", "http_req_cnt", 8, "lb1")

    def test_what_is_gone_expires_on_time(self) -> None:
        self.counted(expire="12s")
        for instance in self.instances.values():
            instance.kill()
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertIn(self.total(), (7, 4, None), "lb1 has counted first")
        wait.until(self.total, lambda value: value is None, what="joe expires")
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertIsNone(self.total())

    def test_kill_9_after_an_interval(self) -> None:
        self.counted(section='snapshot-interval = "1s"')
        # The one that was being written when the totals arrived may lack them.
        for _ in range(2):
            before = self.written()
            wait.until(self.written, lambda when: when != before, what="another snapshot")
        for instance in self.instances.values():
            instance.kill()
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.total(), 7)

    def written(self) -> int:
        return self.snapshot.stat().st_mtime_ns if self.snapshot.exists() else 0

    def test_the_same_processes_go_on(self) -> None:
        self.counted()
        self.assertEqual(self.daemon.stop(), 0)
        http_client.send(self.layouts["lb1"].http_port, "joe", 5)
        http_client.send(self.layouts["lb2"].http_port, "amy", 2)
        self.daemon.start()
        self.assertIn("snapshot: 2 contributions restored", self.daemon.log())
        self.assertIn(self.total(), (7, 12), "of the snapshot, or after lb1 has come back")
        self.wait_sessions("lb1", "lb2")
        self.wait_total("joe", "http_req_cnt", 12)
        self.wait_total("amy", "http_req_cnt", 2)
        http_client.send(self.layouts["lb2"].http_port, "joe", 1)
        self.wait_total("joe", "http_req_cnt", 13)
        wait.holds(self.total, lambda value: value == 13, seconds=1.0, what="nothing counts twice")

    def test_the_agents_own_counts_stay_beside_its_new_ones(self) -> None:
        self.counted()
        self.daemon.ask("set table http key joe data.http_req_cnt 100")
        self.assertEqual(self.total(), 107)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(self.total(), 107)
        self.daemon.ask("set table http key joe data.http_req_cnt 1")
        self.assertEqual(self.total(), 108)

    def test_a_truncated_file_is_set_aside_and_named(self) -> None:
        self.counted()
        self.assertEqual(self.daemon.stop(), 0)
        whole = self.snapshot.read_bytes()
        self.snapshot.write_bytes(whole[:-5])
        self.daemon.start()
        refused = self.snapshot.with_name("snapshot.msgpack.refused")
        self.assertEqual(refused.read_bytes(), whole[:-5])
        log = self.daemon.log()
        self.assertIn(f"it was cut off after {len(whole) - 5} bytes", log)
        self.assertIn(str(refused), log)
        self.assertEqual(self.daemon.errors()["bad-snapshot"], 1)
        self.wait_sessions("lb1", "lb2")
        self.wait_total("joe", "http_req_cnt", 7)

    def test_another_agents_file_is_refused(self) -> None:
        self.counted()
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.config.name = "agent-2"
        self.daemon.start()
        self.assertIn("it is the agent agent-1's, and this one is called agent-2", self.daemon.log())
        self.assertIsNone(self.total())
