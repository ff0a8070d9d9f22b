"""A published rate decays in HAProxy by itself; compared with the sum of the instances' own readings."""
from __future__ import annotations

import time

from support import http_client, wait
from support.case import MeshTest

PERIOD = 5.0
TABLE = "type string len 64 size 10k expire 10m store http_req_cnt,http_req_rate(5s)"


class DecayTest(MeshTest):
    alone = True  # other tests' load would delay a sample and look like an error of the rate

    def readings(self, key: str) -> tuple[int, dict[str, int]]:
        """The sum of the instances' own rates, and what each has as the total. They fall while they are read: a sample
        that took longer than a few milliseconds is taken again."""
        def sample() -> tuple[float, int, dict[str, int]]:
            own, totals = 0, {}
            start = time.monotonic()
            for name, instance in self.instances.items():
                totals[name] = int(instance.value("mesh/http.total", key, "http_req_rate") or 0)
                own += int(instance.value("mesh/http", key, "http_req_rate") or 0)
            return time.monotonic() - start, own, totals
        _, own, totals = wait.until(sample, lambda taken: taken[0] < 0.02, what="a sample within 20 ms", timeout=60,
                                    interval=0.01)
        return own, totals

    def watch(self, key: str, seconds: float, bound: float) -> float:
        """Samples until |seconds| have passed; the largest difference seen."""
        worst = 0.0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            own, totals = self.readings(key)
            for name, total in totals.items():
                worst = max(worst, abs(total - own))
                self.assertLessEqual(abs(total - own), bound, f"{name}: total {total}, sum of own readings {own}, "
                                     f"{deadline - time.monotonic():.1f} s before the end")
            time.sleep(0.1)
        return worst

    def test_decay_in_silence_with_different_phases(self) -> None:
        names = ["lb1", "lb2", "lb3"]
        self.mesh(names, tables={"http": TABLE})
        # Bursts at different times: the periods of the three counters start at different instants.
        for name, count, pause in (("lb1", 300, 1.3), ("lb2", 80, 1.9), ("lb3", 150, 1.1), ("lb1", 60, 1.2),
                                   ("lb2", 200, 0.5)):
            http_client.send(self.layouts[name].http_port, "joe", count)
            time.sleep(pause)
        self.wait_total("joe", "http_req_cnt", 790)
        start, _ = self.readings("joe")
        # The contract's 5 % of the reading at the start, and the clocks' granularity at three instances.
        worst = self.watch("joe", 2.2 * PERIOD, bound=start * 0.05 + 6)
        print(f"sum at the start {start}, largest difference {worst:g}")
        own, totals = self.readings("joe")
        self.assertEqual((own, set(totals.values())), (0, {0}), "after two periods of silence all is over")

    def test_one_origin_is_followed_exactly(self) -> None:
        self.mesh(["lb1", "lb2"], tables={"http": TABLE})
        for count in (200, 50, 90):
            http_client.send(self.layouts["lb1"].http_port, "joe", count)
            time.sleep(1.7)
        self.wait_total("joe", "http_req_cnt", 340)
        start, _ = self.readings("joe")
        # The transit and the tick of a millisecond at both ends, at 340 requests in 5 s.
        worst = self.watch("joe", 2.2 * PERIOD, bound=4)
        print(f"reading at the start {start}, largest difference {worst:g}")

    def test_steady_traffic(self) -> None:
        """While requests go on coming; compared whenever what they counted has arrived everywhere."""
        self.mesh(["lb1", "lb2"], tables={"http": TABLE})
        deadline = time.monotonic() + 2.5 * PERIOD
        sent, worst = 0, 0
        while time.monotonic() < deadline:
            for name, count in (("lb1", 4), ("lb2", 9)):
                http_client.send(self.layouts[name].http_port, "joe", count)
                sent += count
            time.sleep(0.1)
            self.wait_total("joe", "http_req_cnt", sent)
            own, totals = self.readings("joe")
            worst = max(worst, *(abs(total - own) for total in totals.values()))
            self.assertLessEqual(worst, max(own * 0.06, 1) + 15)
        print(f"largest difference {worst}")
