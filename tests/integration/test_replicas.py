"""A replicated table of instances at different agents: a change arrives once at all, and crossing ones end equal."""
from __future__ import annotations

import shutil
import threading

from support import haproxy, http_client, wait, wire
from support.fleet import SeveralAgentsTest
from support.ports import free_port

TABLE = "type string len 32 size 10k expire 10m store gpt0"
STICKY = "type string len 32 size 10k expire 10m store server_id,server_key"
RULES = {"aggregates": {}, "extra": '\n[[replicate]]\ntables = "sessions"\n'}
COUNT = 300


class ReplicasTest(SeveralAgentsTest):
    def start(self, others: tuple[str, ...] = ()) -> None:
        self.start_agents(3, RULES, others=others)
        self.start_instances(tables={"sessions": TABLE}, totals=False)

    def write(self, name: str, key: str, number: int) -> None:
        self.instances[name].set("mesh/sessions", key, gpt0=number)

    def wait_value(self, key: str, expected: int, *names: str) -> None:
        for name in names or self.instances:
            wait.until(lambda: self.instances[name].value("mesh/sessions", key, "gpt0"),
                       accept=lambda value: value == expected, what=f"{key} is {expected} at {name}")

    def wait_equal(self, count: int, timeout: float = 60) -> haproxy.Table:
        """Until all instances and agents hold the same |count| entries; which they are."""
        def differing() -> dict[str, object]:
            found = self.holders("sessions")
            first = found["lb1"]
            return {name: {key: (entries.get(key), first.get(key)) for key in {*entries, *first}
                           if entries.get(key) != first.get(key)} or len(entries)
                    for name, entries in found.items() if entries != first or len(entries) != count}
        wait.until(differing, lambda found: not found, timeout=timeout, interval=0.3, what="everybody holds the same")
        return self.holders("sessions")["lb1"]


class ChangesTest(ReplicasTest):
    def test_a_change_arrives_once(self) -> None:
        """Counted by the instances' sessions, and by a scripted instance at each agent."""
        names = ("spy1", "spy2", "spy3")
        self.start(names)
        spies = [self.dial(port, agent, name, [wire.Table("/sessions", [wire.DataType("gpt0")], key_len=33)])
                 for port, agent, name in zip(self.ports, self.names, names)]
        self.wait_quiet("sessions")
        before = self.heard()
        self.write("lb1", "joe", 7)
        self.wait_value("joe", 7)
        for spy in spies:
            spy.wait_value("/sessions", "joe", "gpt0", 7)
        self.wait_quiet("sessions")
        now = self.heard()
        # One change in, at agent-a; out it goes to lb2 and lb3 once, and not back.
        self.assertEqual({name: self.live(before[name], now[name]) for name in now},
                         {"lb1": [1, 0], "lb2": [0, 1], "lb3": [0, 1]})
        for index, spy in enumerate(spies):
            told = [message for message in spy.messages if message.kind == wire.TABLE and b"joe" in message.body]
            self.assertEqual(len(told), 1, f"updates of joe at {self.names[index]}: {told}")

    def test_a_writer_is_not_told_its_own_changes(self) -> None:
        """Not even of an entry that another had changed before, once it has acknowledged that."""
        self.start()
        self.write("lb1", "joe", 1)
        self.wait_value("joe", 1)
        self.write("lb2", "joe", 2)
        self.wait_value("joe", 2)
        self.wait_quiet("sessions")
        wait.until(lambda: self.agents[0].peer("lb1")[1]["/sessions", "out"], what="lb1 has acknowledged it",
                   accept=lambda row: row["last_pushed"] == row["last_acked"] != "0")
        before = self.heard()
        for number in (3, 4, 5):
            self.write("lb1", "joe", number)
            self.wait_value("joe", number)
        self.wait_quiet("sessions")
        now = self.heard()
        self.assertEqual(self.live(before["lb1"], now["lb1"]), [3, 0])

    def heard(self) -> dict[str, list[int]]:
        """Updates from and to each instance, at its home, and its lessons there."""
        rows = {f"lb{index + 1}": daemon.peer(f"lb{index + 1}")[0] for index, daemon in enumerate(self.agents)}
        return {name: [int(row[count]) for count in ("Updates_in", "Updates_out", "Resyncs_out_answered")]
                for name, row in rows.items()}

    @staticmethod
    def live(before: list[int], now: list[int]) -> list[int]:
        """In and out meanwhile, without the lesson that is asked for 10 s later: it tells the one entry once more."""
        return [now[0] - before[0] - (now[2] - before[2]), now[1] - before[1]]

    def test_crossing_writes_end_equal(self) -> None:
        """While no agent hears another, all three write the same keys."""
        self.start()
        for turn in range(3):
            for link in self.links.values():
                link.freeze()
            for number, name in enumerate(("lb1", "lb2", "lb3"), 1):
                self.instances[name].fill("mesh/sessions", ((f"u{key}", {"gpt0": 1000 * turn + 100 * number + key % 10})
                                                            for key in range(COUNT)))
                own = [self.instances[name].value("mesh/sessions", f"u{key}", "gpt0") for key in (0, COUNT - 1)]
                self.assertEqual(own, [1000 * turn + 100 * number, 1000 * turn + 100 * number + 9])
            for link in self.links.values():
                link.thaw()
            entries = self.wait_equal(COUNT)
            for key in range(COUNT):
                self.assertIn(entries[f"u{key}"]["gpt0"],
                              [1000 * turn + 100 * number + key % 10 for number in (1, 2, 3)])
            # What crossed is said once more to who had written it, and would undo what it writes next.
            self.wait_quiet("sessions", 1.0)
            for index, daemon in enumerate(self.agents):
                wait.until(lambda: daemon.peer(f"lb{index + 1}")[1]["/sessions", "out"], what="it is acknowledged",
                           accept=lambda row: row["last_pushed"] == row["last_acked"])
        self.wait_quiet("sessions")

    def test_writes_at_all_at_once_end_equal(self) -> None:
        """Thousands of them, the same keys again and again."""
        self.start()

        def write(name: str, number: int) -> None:
            for turn in range(10):
                self.instances[name].fill("mesh/sessions", ((f"u{key}", {"gpt0": 1000 * turn + number})
                                                            for key in range(COUNT)))
        writers = [threading.Thread(target=write, args=(name, number)) for number, name in enumerate(self.instances, 1)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        entries = self.wait_equal(COUNT)
        # Of writes within milliseconds HAProxy may lose the last, to one that comes from elsewhere before it is pushed.
        for key in range(COUNT):
            self.assertIn(int(entries[f"u{key}"]["gpt0"]) % 1000, (1, 2, 3), f"u{key}")
        self.wait_quiet("sessions")
        self.instances["lb2"].fill("mesh/sessions", ((f"u{key}", {"gpt0": 9005}) for key in range(COUNT)))
        self.assertEqual({entry["gpt0"] for entry in self.wait_equal(COUNT).values()}, {9005})
        self.wait_quiet("sessions")

    def test_sticky_sessions(self) -> None:
        """server_id and server_key, as HAProxy itself writes them."""
        shops = {f"lb{number}": free_port() for number in (1, 2, 3)}
        self.start_agents(3, RULES)
        for index, (name, port) in enumerate(shops.items()):
            self.add_instance(name, self.ports[index], agent_name=self.names[index], totals=False,
                              tables={"sessions": STICKY}, extra=shop(port))
        self.wait_sessions(*shops)
        for index, name in enumerate(shops):
            self.wait_synchronised(self.agents[index], name)
        served = {f"user-{number}": http_client.body(shops["lb1"], f"user-{number}") for number in range(6)}
        self.assertEqual(set(served.values()), {"web1", "web2"})
        entries = self.wait_equal(len(served))
        self.assertEqual({user: entry["server_key"] for user, entry in entries.items()}, served)
        for name in ("lb2", "lb3"):
            for user, server in served.items():
                self.assertEqual(http_client.body(shops[name], user), server, f"{user} at {name}")
        self.wait_equal(len(served))
        self.wait_quiet("sessions")


class KilledTest(ReplicasTest):
    def lose_one(self, wipe: bool) -> None:
        """agent-b dies; both its instance and the others write on, partly the same keys; it returns."""
        self.start()
        for name in self.instances:
            self.instances[name].fill("mesh/sessions", ((f"{name}-{key}", {"gpt0": key}) for key in range(50)))
        self.wait_equal(150)
        lost = self.agents[1]
        lost.kill()
        for index in (0, 2):
            self.wait_state(index, self.names[1], "away")
        for key in range(50):
            self.write("lb1", f"lb1-{key}", 1000 + key)
            self.write("lb2", f"lb2-{key}", 2000 + key)
        self.write("lb3", "both", 3)
        self.write("lb2", "both", 2)
        self.wait_value("lb1-49", 1049, "lb1", "lb3")
        self.assertEqual(self.instances["lb3"].value("mesh/sessions", "lb2-49", "gpt0"), 49)
        if wipe:
            shutil.rmtree(lost.directory / "state")
            (lost.directory / "state").mkdir()
        lost.start()
        self.wait_agents()
        self.wait_synchronised(lost, "lb2")
        entries = self.wait_equal(151)
        for key in range(50):
            self.assertEqual(entries[f"lb1-{key}"]["gpt0"], 1000 + key)
            self.assertEqual(entries[f"lb2-{key}"]["gpt0"], 2000 + key)
            self.assertEqual(entries[f"lb3-{key}"]["gpt0"], key)
        self.assertIn(entries["both"]["gpt0"], (2, 3))
        self.wait_quiet("sessions")
        for number, name in enumerate(self.instances):
            self.write(name, "joe", number + 7)
            self.wait_value("joe", number + 7)

    def test_an_agent_that_is_killed_and_returns(self) -> None:
        self.lose_one(wipe=False)

    def test_an_agent_that_returns_with_nothing(self) -> None:
        self.lose_one(wipe=True)

    def test_a_soft_restart_changes_nothing(self) -> None:
        self.start()
        for name in self.instances:
            self.instances[name].fill("mesh/sessions", ((f"{name}-{key}", {"gpt0": key}) for key in range(50)))
        before = self.wait_equal(150)
        self.assertRegex(self.agents[1].reload(), "^done: ")
        self.write("lb1", "joe", 5)
        self.wait_agents()
        self.wait_value("joe", 5)
        after = self.wait_equal(151)
        del after["joe"]
        self.assertEqual(after, before)
        self.wait_quiet("sessions")


def shop(port: int) -> str:
    """Two servers, which say their names; clients stick to them by the replicated table."""
    webs = {"web1": free_port(), "web2": free_port()}
    servers = "".join(f"    server {name} 127.0.0.1:{web}\n" for name, web in webs.items())
    backs = "".join(f"frontend {name}\n    bind 127.0.0.1:{web}\n"
                    f"    http-request return status 200 content-type text/plain string {name}\n"
                    for name, web in webs.items())
    return (f"listen shop\n    bind 127.0.0.1:{port}\n"
            f"    stick on req.hdr(x-client) table mesh/sessions\n{servers}{backs}")
