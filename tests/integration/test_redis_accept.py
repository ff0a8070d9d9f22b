"""What others write to real Redis becomes a part of the totals: once, however many agents read it, and for as long as it is
there."""
from __future__ import annotations

from support import redis, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest
from support.ports import free_port
from support.redis_cluster import Cluster

TABLES = ('\n[[table]]\nname = "bans"\ndefine = "type ip size 1k expire 10m store gpt0,gpc0,http_req_rate(10s),server_key"\n'
          '\n[[table]]\nname = "a:b"\ndefine = "type string len 64 size 1k expire 10m store gpc0"\n'
          '\n[[table]]\nname = "other"\ndefine = "type integer size 1k expire 10m store gpc0"\n')
ACCEPT = 'accept = ["bans*", "http", "a*"]'


class AcceptTest(MeshTest):
    def setUp(self) -> None:
        if reason := redis.missing():
            self.skipTest(reason)
        super().setUp()

    def server(self, *options: str) -> redis.Redis:
        self.redis = redis.Redis(self.directory, options=list(options))
        self.addCleanup(self.redis.stop)
        return self.redis.start()

    def section(self, keys: str = ACCEPT) -> str:
        return f'{TABLES}\n[redis]\naddress = "127.0.0.1:{self.redis.port}"\nflush-interval = "20ms"\n{keys}\n'

    def show(self, daemon: Agent) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in daemon.ask("show redis").splitlines() if ": " in line)

    def wait_subscribed(self, daemon: Agent) -> None:
        wait.until(lambda: self.show(daemon)["Accept"], lambda state: state == "subscribed", what="it is subscribed")

    def push(self, name: str, *fields: object, life: int | None = None, server: redis.Redis | None = None) -> None:
        """As README has it."""
        server = server or self.redis
        table, key = name.split(":", 1)
        server.ask("HSET", f"stickmesh:{table}@redis:{key}", *fields)
        if life is not None:
            server.ask("PEXPIRE", f"stickmesh:{table}@redis:{key}", life)
        server.ask("PUBLISH", "stickmesh:accept", name)

    def take_back(self, name: str) -> None:
        table, key = name.split(":", 1)
        self.redis.ask("DEL", f"stickmesh:{table}@redis:{key}")
        self.redis.ask("PUBLISH", "stickmesh:accept", name)

    def wait_entry(self, daemon: Agent, table: str, key: str, **values: object) -> None:
        wait.until(lambda: {name: daemon.table(table)[key].get(name) for name in values}, lambda found: found == values,
                   what=f"{key} of {table} is {values}")


class EntriesTest(AcceptTest):
    def test_it_reaches_instances(self) -> None:
        """Added to what they count; changed, and taken back."""
        self.server()
        self.daemon = self.mesh(["lb1"], agent={"extra": self.section()})
        self.wait_subscribed(self.daemon)
        self.wait_synchronised(self.daemon, "lb1")
        self.push("http:joe", "http_req_cnt", 5)
        self.wait_total("joe", "http_req_cnt", 5)
        self.push("http:joe", "http_req_cnt", 7)
        self.wait_total("joe", "http_req_cnt", 7)
        self.take_back("http:joe")
        self.wait_total("joe", "http_req_cnt", 0)

    def test_values_lives_and_what_was_missed(self) -> None:
        rights = ("client|setname info hset hlen hexists pexpire persist del scan get set "
                  "subscribe ping time multi exec hgetall pttl")  # README's
        self.server("--user", "mirror", "on", ">pa55word", "~stickmesh:*", "&stickmesh:*", "-@all",
                    *(f"+{right}" for right in rights.split()))
        secret = self.directory / "secret"
        secret.write_text("pa55word\n")
        daemon = self.start_agent(AgentConfig(
            extra=self.section(f'{ACCEPT}\nuser = "mirror"\npassword-file = "{secret}"')))
        self.wait_subscribed(daemon)
        self.push("bans:192.0.2.1", "gpt0", 1, "server_key", "web1", life=60_000)
        self.wait_entry(daemon, "bans", "192.0.2.1", gpt0=1, gpc0=0, server_key="web1")
        self.assertTrue(50_000 < int(daemon.table("bans")["192.0.2.1"]["exp"]) <= 60_000)
        self.push("a%3Ab:x:y", "gpc0", 3)
        self.wait_entry(daemon, "a:b", "x:y", gpc0=3)
        self.push("bans:192.0.2.2", "gpt0", 1, life=60_000)
        wait.until(lambda: "192.0.2.2" in daemon.table("bans"), what="it is there")
        self.push("bans:192.0.2.2", "gpt0", 1, life=700)
        wait.until(lambda: "192.0.2.2" not in daemon.table("bans"), what="its life is over")
        # What it has mirrored is not what it takes in, and what it has taken in is mirrored.
        wait.until(lambda: self.redis.hash("stickmesh:bans:192.0.2.1").get("gpt0"), lambda value: value == "1")
        self.redis.ask("HSET", "stickmesh:bans:192.0.2.9", "gpt0", 1)
        self.redis.ask("PUBLISH", "stickmesh:accept", "bans:192.0.2.9")
        self.assertEqual({key for key in self.redis.keys("stickmesh:bans@*")}, {"stickmesh:bans@redis:192.0.2.1"})
        # A new connection finds all that is there, and what is not there any more.
        self.redis.ask("HSET", "stickmesh:bans@redis:192.0.2.3", "gpt0", 1)
        self.redis.ask("DEL", "stickmesh:bans@redis:192.0.2.1")
        self.redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        wait.until(lambda: set(daemon.table("bans")), lambda keys: keys == {"192.0.2.3"}, what="what was missed")
        daemon.kill()
        daemon.start()
        self.wait_entry(daemon, "bans", "192.0.2.3", gpt0=1)
        wait.until(lambda: set(daemon.table("bans")), lambda keys: keys == {"192.0.2.3"}, what="and nothing else")
        self.assertEqual(set(daemon.errors()) - {"connection-lost"}, set())

    def test_its_connections_are_never_idle(self) -> None:
        """Redis's `timeout` ends those that are."""
        self.server()
        daemon = self.start_agent(AgentConfig(extra=self.section()))
        self.wait_subscribed(daemon)

        def pinged() -> set[str]:
            clients = (dict(word.split("=", 1) for word in line.split()) for line in self.redis.ask("CLIENT", "LIST").splitlines())
            return {client["sub"] for client in clients if client["cmd"] == "ping"}
        wait.until(pinged, lambda subscriptions: subscriptions == {"0", "1"}, what="both are pinged")
        self.push("bans:192.0.2.1", "gpt0", 1)
        self.wait_entry(daemon, "bans", "192.0.2.1", gpt0=1)

    def test_what_is_refused(self) -> None:
        self.server()
        daemon = self.start_agent(AgentConfig(extra=self.section()))
        self.wait_subscribed(daemon)
        for name, *fields in (("other:5", "gpc0", 1), ("bans2:192.0.2.1", "gpt0", 1), ("bans:joe", "gpt0", 1),
                              ("bans:192.0.2.1", "gpt7", 1), ("bans:192.0.2.5", "gpc0", -1, "gpt0", 1),
                              ("bans:192.0.2.2", "gpc0", 4294967296), ("bans:192.0.2.3", "http_req_rate", 5), ("a%b:x", "gpc0", 1),
                              ("a%3Ab:x\0y", "gpc0", 1), ("bans:192.0.2.6", *(word for number in range(65) for word in (f"f{number}", 1))),
                              ("bans:192.0.2.7", "server_key", "a\0b"), ("bans:192.0.2.8", "server_key", "x" * 256)):
            self.push(name, *fields)
        self.redis.ask("PUBLISH", "stickmesh:accept", "nothing")
        self.redis.ask("SET", "stickmesh:bans@redis:192.0.2.4", "mine")
        self.redis.ask("PUBLISH", "stickmesh:accept", "bans:192.0.2.4")
        wait.until(lambda: self.show(daemon)["Accept_refused_total"], lambda count: count == "14", what="all are refused")
        self.assertEqual(daemon.table("bans"), {})
        self.assertEqual(self.show(daemon)["Accepted_total"], "0")
        self.assertEqual(daemon.errors(), {"not-found": 4, "bad-key": 2, "value-out-of-range": 6, "bad-message": 1, "redis": 1})


class AgentsTest(AcceptTest):
    def test_two_agents_count_it_once(self) -> None:
        """Also one that cannot read Redis has it, from the other; and it stays when the reader dies."""
        self.server()
        ports = [free_port(), free_port(), free_port()]
        names = ["agent-1", "agent-2", "agent-3"]
        agents: list[Agent] = []
        for number, name in enumerate(names):
            folder = self.directory / name
            folder.mkdir()
            others = [PeerConfig(other, port, kind="agent") for other, port in zip(names, ports) if other != name]
            extra = self.section() if number < 2 else TABLES
            agents.append(self.start_agent(AgentConfig(name=name, peers=others, extra=extra), ports[number], folder))
        for daemon in agents[:2]:
            self.wait_subscribed(daemon)
        self.push("bans:192.0.2.1", "gpc0", 5)
        for daemon in agents:
            self.wait_entry(daemon, "bans", "192.0.2.1", gpc0=5)
        self.push("bans:192.0.2.1", "gpc0", 6)
        agents[0].kill()
        self.push("bans:192.0.2.1", "gpc0", 7)
        for daemon in agents[1:]:
            self.wait_entry(daemon, "bans", "192.0.2.1", gpc0=7)
        agents[0].start()
        self.wait_subscribed(agents[0])
        self.take_back("bans:192.0.2.1")
        for daemon in agents:
            wait.until(lambda: daemon.table("bans"), lambda found: found == {}, what="it is gone")
        for daemon in agents:
            self.assertNotIn("not-its-origin", daemon.errors())


class ClusterTest(AcceptTest):
    def cluster_and_agent(self) -> tuple[Cluster, Agent]:
        cluster = Cluster(self.directory)
        self.addCleanup(cluster.stop)
        cluster.start()
        daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = "{cluster.nodes[0].address}"\ncluster = true\n{ACCEPT}\n'))
        self.wait_subscribed(daemon)
        return cluster, daemon

    def test_a_slot_moves(self) -> None:
        """What is in it stays, though neither master has the key and the slot for a while."""
        cluster, daemon = self.cluster_and_agent()
        key = "stickmesh:bans@redis:192.0.2.1"
        slot = cluster.slot(key)
        before = cluster.owner(slot)
        after = next(node for node in cluster.nodes if node is not before)
        self.push("bans:192.0.2.1", "gpc0", 5, server=before)
        self.wait_entry(daemon, "bans", "192.0.2.1", gpc0=5)
        cluster.begin_move(slot, before, after)
        cluster.move_keys(slot, before, after)
        after.ask("PUBLISH", "stickmesh:accept", "bans:192.0.2.1")
        wait.until(lambda: daemon.errors().get("redis", 0), lambda count: count > 0, what="it was told where the key is")
        before.ask("CLIENT", "KILL", "TYPE", "pubsub")
        wait.until(lambda: daemon.errors().get("connection-lost", 0), lambda count: count == 1, what="it has to read all")
        self.wait_subscribed(daemon)
        self.wait_entry(daemon, "bans", "192.0.2.1", gpc0=5)
        cluster.end_move(slot, after)
        self.push("bans:192.0.2.1", "gpc0", 7, server=after)
        self.wait_entry(daemon, "bans", "192.0.2.1", gpc0=7)
        after.ask("DEL", key)
        after.ask("PUBLISH", "stickmesh:accept", "bans:192.0.2.1")
        wait.until(lambda: daemon.table("bans"), lambda found: found == {}, what="it is taken back")
        self.assertEqual(daemon.errors()["connection-lost"], 1)

    def test_each_master_says_what_is_in_its_slots(self) -> None:
        cluster, daemon = self.cluster_and_agent()
        for last in range(1, 21):
            owner = cluster.owner(cluster.slot(f"stickmesh:bans@redis:192.0.2.{last}"))
            self.push(f"bans:192.0.2.{last}", "gpc0", 1, server=owner)
        wait.until(lambda: len(daemon.table("bans")), lambda count: count == 20, what="all are there")
        self.assertLessEqual(set(daemon.errors()), {"idle-timeout"}, "a node may be slow to answer")
