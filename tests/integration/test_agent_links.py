"""Connections between agents that are late, half open, or overtaken by their successors: both agree, and nothing counts
twice."""
from __future__ import annotations

import re

from support import wait
from support.fleet import SeveralAgentsTest
from support.layout import HTTP
from support.relay import DOWN, UP, Relay

REPLICATED = '\n[[replicate]]\ntables = "sessions"\n'
SESSIONS = "type string len 32 size 10k expire 10m store gpt0"
COUNT = 200


class AgentLinksTest(SeveralAgentsTest):
    """Two agents, an instance each. The instances count in one table, and write the same entries of another."""

    def start(self, dialling: str = "first") -> Relay:
        """The relay of the one who dials, or of either."""
        self.start_agents(2, {"aggregates": {"http": "http.total"}, "extra": REPLICATED}, dialling)
        self.start_instances(tables={"http": HTTP, "sessions": SESSIONS})
        self.turn = self.since = 0
        self.agreed = True
        self.count()
        self.agree()
        return self.links[(0, 1) if dialling != "second" else (1, 0)]

    def count(self) -> None:
        """Each instance has now counted so much of each key, and written so much of each entry."""
        self.turn += 1
        if self.agreed:
            self.since, self.agreed = self.turn, False
        for number, name in enumerate(self.instances, 1):
            self.instances[name].fill("mesh/http", ((f"u{key}", {"http_req_cnt": own(self.turn, number, key)})
                                                    for key in range(COUNT)))
            self.instances[name].fill("mesh/sessions", ((f"u{key}", {"gpt0": 10 * self.turn + number})
                                                        for key in range(COUNT)))

    def agree(self) -> None:
        """Until all agents and instances have the totals that the instances' own counts make, and equal entries."""
        for wrong, what in ((self.wrong_totals, "totals are right"), (self.unequal_entries, "entries are equal")):
            wait.until(wrong, lambda found: not found, timeout=60, interval=0.3, what=f"all {what}")
        self.agreed = True

    def wrong_totals(self) -> dict[str, int]:
        expected = {f"u{key}": sum(own(self.turn, number, key) for number in (1, 2)) for key in range(COUNT)}
        found = {name: instance.table("mesh/http.total") for name, instance in self.instances.items()}
        found |= {daemon.config.name: daemon.table("http.total") for daemon in self.agents}
        wrong = {name: sum(table.get(key, {}).get("http_req_cnt") != total for key, total in expected.items())
                 for name, table in found.items()}
        return {name: count for name, count in wrong.items() if count}

    def unequal_entries(self) -> dict[str, str]:
        """What comes from the other within milliseconds of a write can replace, in HAProxy, what is not pushed yet. So
        anything written since they last agreed may win, but it must be one thing."""
        found = self.holders("sessions")
        possible = [{"gpt0": 10 * turn + number} for turn in range(self.since, self.turn + 1) for number in (1, 2)]
        first = found["lb1"]
        bad = {name: [(key, entry) for key, entry in entries.items()
                      if entry not in possible or entry != first.get(key)] for name, entries in found.items()}
        return {name: f"turn {self.turn}: {len(entries)} entries, {len(bad[name])} wrong, such as {bad[name][:3]}"
                for name, entries in found.items() if bad[name] or len(entries) != COUNT}

    def once_each(self) -> None:
        """Each instance is one origin, wherever one asks, and nobody else is."""
        for daemon in self.agents:
            lines = daemon.ask("show table http.total key u7 origins")
            origins = {name: int(count) for name, count in re.findall(r"origin=(\S+).* http_req_cnt=(\d+)", lines)}
            self.assertEqual(origins, {f"lb{number}": own(self.turn, number, 7) for number in (1, 2)}, lines)

    def settled(self) -> None:
        """Nothing is on its way any more, and what is counted now arrives as ever."""
        self.wait_agents()
        self.agree()
        for table in ("http", "sessions"):
            self.wait_quiet(table, seconds=1.5)
        self.agree()
        self.once_each()
        self.count()
        self.agree()
        self.once_each()


def own(turn: int, number: int, key: int) -> int:
    return turn * (1000 * number + key)


class DelayTest(AgentLinksTest):
    def late(self, direction: str, seconds: float) -> None:
        link = self.start()
        sessions = [daemon.peers()[other]["sessions"] for daemon, other in zip(self.agents, reversed(self.names))]
        link.delay(direction, seconds)
        if seconds > 2:
            # What is fresh is known by the way there and back, so to both.
            for index, other in enumerate(reversed(self.names)):
                self.wait_state(index, other, "behind")
        for _ in range(5):
            self.count()
        if seconds > 2:
            # Nobody lends a total that lacks what the other may have counted.
            wait.until(lambda: self.wrong_totals().keys(), lambda names: names == {"lb1", "lb2"},
                       what="the agents have all, and give the instances none of it")
        else:
            self.agree()
        link.delay(direction, 0)
        self.settled()
        self.assertEqual(sessions, [daemon.peers()[other]["sessions"]
                                    for daemon, other in zip(self.agents, reversed(self.names))], "nobody gave it up")

    def test_towards_the_agent_that_was_dialled(self) -> None:
        self.late(UP, 0.7)

    def test_towards_the_agent_that_dialled(self) -> None:
        self.late(DOWN, 0.7)

    def test_longer_than_news_are_fresh(self) -> None:
        """agent-a dials, so it is agent-b that hears everything late; neither knows what the other has."""
        self.late(UP, 3.0)

    def test_cut_while_much_is_on_its_way(self) -> None:
        """What was sent and has not arrived is lost with the connection."""
        link = self.start()
        for direction in (UP, DOWN):
            link.delay(direction, 1.0)
        for _ in range(3):
            self.count()
            link.drop()
        for direction in (UP, DOWN):
            link.delay(direction, 0)
        self.settled()


class HalfOpenTest(AgentLinksTest):
    def half_open(self, dialling: str, *directions: str) -> None:
        """Bytes of the old connection vanish, without an end; a new one is made beside it; then they arrive."""
        self.start(dialling)
        made = self.made()
        for link in self.links.values():
            link.hold(*directions)
        self.count()
        wait.until(self.held, what="something is on its way for ever")
        wait.until(self.made, lambda count: count > made, timeout=60, what="another connection is made")
        self.wait_agents()
        self.agree()
        self.assertGreater(self.held(), 0)
        self.count()
        for link in self.links.values():
            link.release()
        self.settled()
        reasons = {"idle-timeout", "replaced-session", "connection-lost", "not-reading"}
        for daemon in self.agents:
            self.assertTrue(reasons & daemon.errors().keys(), daemon.errors())

    def made(self) -> int:
        return sum(link.connections for link in self.links.values())

    def held(self) -> int:
        return sum(link.held() for link in self.links.values())

    def test_both_ways(self) -> None:
        self.half_open("first", UP, DOWN)

    def test_both_ways_where_both_dial(self) -> None:
        self.half_open("both", UP, DOWN)

    def test_from_the_smaller_name_which_dialled(self) -> None:
        self.half_open("first", UP)

    def test_to_the_smaller_name_which_dialled(self) -> None:
        self.half_open("first", DOWN)

    def test_from_the_larger_name_which_dialled(self) -> None:
        self.half_open("second", UP)

    def test_to_the_larger_name_which_dialled(self) -> None:
        self.half_open("second", DOWN)

    def test_one_way_where_both_dial(self) -> None:
        self.half_open("both", UP)

    def test_the_other_way_where_both_dial(self) -> None:
        self.half_open("both", DOWN)


class OvertakenTest(AgentLinksTest):
    def overtaken(self, dialling: str, direction: str) -> None:
        """A connection whose beginning is late: the next one is made meanwhile."""
        link = self.start(dialling)
        made = link.connections
        link.hold_next(direction)
        link.drop()
        self.count()
        wait.until(lambda: link.connections, lambda count: count >= made + 2, what="a second one is made")
        self.wait_agents()
        self.agree()
        self.assertGreater(link.held(), 0)
        self.count()
        link.release()
        self.settled()
        self.assertLess(link.connections, made + 8, "nobody goes on replacing it")

    def test_a_hello_after_that_of_the_next(self) -> None:
        self.overtaken("first", UP)

    def test_an_answer_after_that_of_the_next(self) -> None:
        self.overtaken("first", DOWN)

    def test_a_hello_of_the_larger_name_after_that_of_the_next(self) -> None:
        self.overtaken("second", UP)

    def test_an_answer_to_the_larger_name_after_that_of_the_next(self) -> None:
        self.overtaken("second", DOWN)
