"""The mirror in a real Redis Cluster: each master has what is in its slots, wherever these go."""
from __future__ import annotations

import shutil

from support import redis, wait
from support.agent import Agent, AgentConfig
from support.authority import Authority
from support.case import MeshTest
from support.ports import free_port
from support.redis_cluster import Cluster, Node

TABLES = ('\n[[table]]\nname = "clients"\ndefine = "type string len 64 size 10k expire 10m store gpc0,server_key"\n'
          '\n[[table]]\nname = "other"\ndefine = "type integer size 10k expire 10m store gpc0"\n')


class ClusterTest(MeshTest):
    needs_haproxy = False

    def setUp(self) -> None:
        if reason := redis.missing():
            self.skipTest(reason)
        super().setUp()
        self.cluster = Cluster(self.directory)
        self.addCleanup(self.cluster.stop)
        for node in self.cluster.nodes:
            self.show_log(node)
        self.cluster.start()

    def show_log(self, node: Node) -> None:
        self._sources.append((node.name, lambda: node.process.log() if node.process else ""))

    def agent(self, keys: str = "", seeds: list[Node] | None = None) -> Agent:
        addresses = ", ".join(f'"{node.address}"' for node in seeds or self.cluster.nodes)
        self.daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = [{addresses}]\ncluster = true\nflush-interval = "20ms"\n{keys}\n'))
        return self.daemon

    def show(self) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in self.daemon.ask("show redis").splitlines() if ": " in line)

    def masters(self) -> dict[str, int]:
        """Their slots."""
        rows = [line.split("\t") for line in self.daemon.ask("show redis").splitlines()]
        return {row[0]: int(row[2]) for row in rows if len(row) == 8 and not row[0].startswith("#")}

    def kinds(self) -> dict[str, int]:
        rows = self.daemon.ask("show redis").partition("# error\tcount\n")[2].splitlines()
        return {kind: int(count) for kind, count in (row.split("\t") for row in rows if "\t" in row)}

    def fill(self, value: int, count: int = 60) -> None:
        for key in range(count):
            self.assertTrue(self.daemon.ask(f"set table other key {key} data.gpc0 {value}").startswith("done"))

    def there(self) -> dict[str, str]:
        """All entries of the table, at the nodes that have their slots; each at one alone."""
        found: dict[str, str] = {}
        for node in self.cluster.nodes:
            if node.info("role") != "master":
                continue
            for key in node.keys("stickmesh:other:*"):
                name = key.removeprefix("stickmesh:other:")
                found[name] = "twice" if name in found else node.hash(key)["gpc0"]
        return found

    def wait_same(self) -> None:
        expected = {key: str(entry["gpc0"]) for key, entry in self.daemon.table("other").items()}
        wait.until(self.there, lambda found: found == expected, what="the mirror says the same")
        wait.until(self.show, lambda now: now["Behind"] == now["Contributions_behind"] == "0", what="nothing is behind")


class MirrorTest(ClusterTest):
    def test_what_is_spread_and_restored(self) -> None:
        """Over all masters, where Redis itself puts it, found from one seed; then all but Redis is lost."""
        self.agent("publish = true", seeds=self.cluster.nodes[:1])
        heard = self.cluster.nodes[1].subscribe("stickmesh:changes:other")
        self.addCleanup(heard.close)
        self.fill(1)
        self.wait_same()
        self.assertEqual(heard.next()[:1], b"\x92", "which master it is published at is no matter")
        keys = [len(node.keys("stickmesh:other:*")) for node in self.cluster.nodes]
        self.assertEqual((sum(keys), 0 in keys), (60, False))
        self.assertEqual(self.masters(), {node.address: slots for node, slots in zip(self.cluster.nodes, (5461, 5461, 5462))})
        self.assertEqual(self.show()["State"], "connected")
        # Of such a key Redis hashes what is in the braces alone, if there is anything.
        braced = ["{a}b", "x{a}y", "{}a", "a{", "}{a}{b}", "a b{é}"]
        for name in braced:
            self.daemon.ask(f"set table clients key {name.replace(' ', chr(92) + ' ')} data.gpc0 7")
        for name in braced:
            key = f"stickmesh:clients:{name}"
            owner = self.cluster.owner(self.cluster.slot(key))
            wait.until(lambda: owner.hash(key).get("gpc0"), lambda value: value == "7", what=key)
        self.assertEqual(self.cluster.owner(self.cluster.slot("stickmesh:tables")).ask("HLEN", "stickmesh:tables"), 2)
        self.daemon.ask("clear table other key 5")
        wait.until(self.there, lambda found: "5" not in found, what="it is removed where it is")
        wait.until(lambda: sum(len(node.keys("stickmesh:*@*")) for node in self.cluster.nodes), lambda count: count == 66,
                   what="all contributions are there")
        wait.until(self.show, lambda now: now["Contributions_behind"] == now["Behind"] == "0", what="all is confirmed")
        self.daemon.kill()
        shutil.rmtree(self.directory / "state")
        (self.directory / "state").mkdir()
        self.daemon.start()
        wait.until(self.daemon.log, lambda log: "66 contributions restored" in log, what="all are back")
        self.assertLessEqual(set(self.daemon.errors()), {"idle-timeout"}, "a node may be slow to answer")
        self.assertEqual(len(self.daemon.table("other")), 59)

    def test_a_slot_that_moves(self) -> None:
        """Its entries are written while it does, also those that have gone already; then at its new master, and nothing else
        is held up."""
        self.agent()
        self.fill(1)
        self.wait_same()
        slot = self.cluster.slot("stickmesh:other:7")
        source = self.cluster.owner(slot)
        target = next(node for node in self.cluster.nodes if node is not source)
        self.cluster.begin_move(slot, source, target)
        self.fill(2)
        self.wait_same()
        self.cluster.move_keys(slot, source, target)
        self.fill(3)
        wait.until(lambda: self.there().get("7"), lambda value: value == "3", what="it is asked for where it goes")
        self.assertEqual(self.kinds().get("ASK", 0) > 0, True)
        self.daemon.ask("clear table other key 7")
        wait.until(lambda: "7" in self.there(), lambda there: not there, what="it is removed there")
        self.fill(4)
        self.wait_same()
        self.cluster.end_move(slot, target)
        self.fill(5)
        self.wait_same()
        wait.until(self.masters, lambda slots: slots[target.address] == target_slots(self.cluster, target) > 0, what="it is known")
        self.assertEqual({kind for kind in self.kinds()}, {"ASK", "MOVED"})
        self.assertEqual(self.daemon.errors(), {})
        self.assertEqual(self.show()["Connections_total"], "3", "no connection was ended for it")

    def test_a_slot_that_moves_to_a_node_that_is_frozen(self) -> None:
        """What waits for that node, however much, holds up nothing of the others; it has it once it is back."""
        self.agent()
        self.fill(1)
        self.wait_same()
        slot = self.cluster.slot("stickmesh:clients:{t}")
        source = self.cluster.owner(slot)
        target = next(node for node in self.cluster.nodes if node is not source)
        self.cluster.begin_move(slot, source, target)
        target.process.freeze()
        for key in range(3000):
            self.daemon.ask(f"set table clients key {{t}}{key} data.gpc0 1")
        wait.until(lambda: self.show()["State"], lambda state: "2 of 3 masters" in state, what="it is given up")
        for key in range(3000):
            self.daemon.ask(f"set table clients key {{t}}{key} data.gpc0 2")
        self.fill(2)
        for node in self.cluster.nodes:
            if node is not target:
                wait.until(lambda: {node.hash(key)["gpc0"] for key in node.keys("stickmesh:other:*")},
                           lambda values: values == {"2"}, what="the others have theirs")
        target.process.thaw()
        wait.until(lambda: len(target.keys("stickmesh:clients:*")), lambda count: count == 3000, what="all have come")
        wait.until(lambda: {target.hash(f"stickmesh:clients:{{t}}{key}")["gpc0"] for key in (0, 1500, 2999)},
                   lambda values: values == {"2"}, what="as they are now")
        self.fill(3)
        self.wait_same()
        self.assertEqual(source.keys("stickmesh:clients:*"), set())

    def test_flushed_killed_and_back(self) -> None:
        """One of the masters: the others go on; it is written anew."""
        self.agent()
        self.fill(1)
        self.wait_same()
        lost = self.cluster.owner(self.cluster.slot("stickmesh:other:7"))
        lost.ask("FLUSHALL")
        self.wait_same()
        lost.kill()
        self.fill(2)
        others = [node for node in self.cluster.nodes if node is not lost]
        wait.until(lambda: {node.hash(key)["gpc0"] for node in others for key in node.keys("stickmesh:other:*")},
                   lambda values: values == {"2"}, what="the others have theirs")
        self.assertNotEqual(self.show()["Behind"], "0")
        self.assertIn("2 of 3 masters", self.show()["State"])
        lost.start()
        self.wait_same()
        wait.until(lambda: self.show()["State"], lambda state: state == "connected", what="all are connected")

    def test_a_failover(self) -> None:
        """A replica takes the place of its master, which comes back as its replica."""
        lost = self.cluster.nodes[1]
        replica = Node(self.directory, "replica")
        self.addCleanup(replica.stop)
        self.show_log(replica)
        replica.start()
        self.cluster.replica(replica, lost)
        self.agent()
        self.fill(1)
        self.wait_same()
        lost.kill()
        self.fill(2)
        self.cluster.nodes[1] = replica
        wait.until(self.masters, lambda slots: slots.get(replica.address) == 5461 and len(slots) == 3,
                   what="the replica is a master")
        self.wait_same()
        self.cluster.nodes.append(lost)
        lost.start()
        wait.until(lambda: lost.info("master_link_status"), lambda state: state == "up", what="it is a replica")
        self.fill(3)
        self.wait_same()
        # Without a failure: the master hands its slots on, and says so to whoever writes.
        self.assertEqual(lost.ask("CLUSTER", "FAILOVER", "TAKEOVER"), "OK")
        wait.until(lambda: (lost.info("role"), replica.info("role")), lambda roles: roles == ("master", "slave"),
                   what="it is the master again")
        self.fill(4)
        wait.until(self.masters, lambda slots: slots.get(lost.address) == 5461 and len(slots) == 3, what="known")
        self.wait_same()


    def test_what_is_accepted_of_a_slot_that_has_moved(self) -> None:
        """Nothing is written to it that would show where it is: whoever reads from it is told."""
        self.agent('accept = ["*"]')
        wait.until(self.show, lambda now: now["Accept"] == "subscribed", what="it listens")
        key = "stickmesh:other@redis:7"
        slot = self.cluster.slot(key)
        source = self.cluster.owner(slot)
        target = next(node for node in self.cluster.nodes if node is not source)
        self.cluster.begin_move(slot, source, target)
        self.cluster.end_move(slot, target)
        self.assertEqual(target.ask("HSET", key, "gpc0", 5), 1)
        target.ask("PUBLISH", "stickmesh:accept", "other:7")
        wait.until(lambda: self.daemon.table("other"), lambda table: "7" in table, what="it is read where it is")
        self.assertNotIn("set redis.cluster", self.daemon.ask("show redis") + self.daemon.ask("show errors"))


class RangesTest(MeshTest):
    needs_haproxy = False

    def test_a_cluster_whose_slots_are_all_apart(self) -> None:
        """Each is a range of its own in what the cluster says of them."""
        if reason := redis.missing():
            self.skipTest(reason)
        cluster = Cluster(self.directory)
        self.addCleanup(cluster.stop)
        cluster.start(dealt=True)
        daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = "{cluster.nodes[0].address}"\ncluster = true\n'))
        for key in range(20):
            daemon.ask(f"set table other key {key} data.gpc0 1")
        wait.until(lambda: sum(len(node.keys("stickmesh:other:*")) for node in cluster.nodes), lambda count: count == 20,
                   what="all are there")


class AccessTest(MeshTest):
    needs_haproxy = False

    def test_tls_and_a_user_with_readme_s_rights(self) -> None:
        """Each node shows a certificate with a host name of `address`, though it is dialled by what it announces."""
        if reason := redis.missing():
            self.skipTest(reason)
        rights = "client|setname info cluster|slots asking hset hlen hexists pexpire persist del scan get set publish"
        authority = Authority(self.directory)
        both = authority.issue("localhost")
        cluster = Cluster(self.directory, 2, [
            "--tls-cert-file", str(both), "--tls-key-file", str(both), "--tls-ca-cert-file", str(authority.certificate),
            "--tls-auth-clients", "optional", "--tls-cluster", "yes", "--user", "mirror", "on", ">pa55word", "~stickmesh:*", "&stickmesh:*", "-@all",
            *(f"+{right}" for right in rights.split())])
        self.addCleanup(cluster.stop)
        protected = [free_port() for _ in cluster.nodes]
        for node, port in zip(cluster.nodes, protected):
            node.options += ["--tls-port", str(port)]
            node.met_at = port
        cluster.start()
        secret = self.directory / "secret"
        secret.write_text("pa55word\n")
        daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = ["localhost:{protected[0]}"]\ncluster = true\npublish = true\nuser = "mirror"\n'
                  f'password-file = "{secret}"\n[redis.tls]\nca = "{authority.certificate}"\n'))
        for key in range(20):
            daemon.ask(f"set table other key {key} data.gpc0 1")
        wait.until(lambda: [len(node.keys("stickmesh:other:*")) for node in cluster.nodes],
                   lambda counts: sum(counts) == 20 and 0 not in counts, what="both have theirs")
        self.assertLessEqual(set(daemon.errors()), {"idle-timeout"}, "a node may be slow to answer")


class RefusalTest(MeshTest):
    needs_haproxy = False

    def setUp(self) -> None:
        if reason := redis.missing():
            self.skipTest(reason)
        super().setUp()

    def test_servers_that_are_no_cluster(self) -> None:
        """One alone, and nodes that have no slots yet, which is told until they have."""
        alone = redis.Redis(self.directory, "alone")
        node = Node(self.directory, "node")
        for server in (alone, node):
            self.addCleanup(server.stop)
            server.start()
        daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = "127.0.0.1:{alone.port}"\ncluster = true\n'))
        wait.until(lambda: daemon.ask("show redis"), lambda told: "set redis.cluster = false" in told, what="the first")
        other = self.directory / "other"
        other.mkdir()
        daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = "{node.address}"\ncluster = true\n'), directory=other)
        wait.until(lambda: daemon.ask("show redis"), lambda told: "no node of the cluster has slots" in told, what="the other")
        daemon.ask("set table other key 5 data.gpc0 7")
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait.until(lambda: node.hash("stickmesh:other:5").get("gpc0"), lambda value: value == "7", what="it is there")


def target_slots(cluster: Cluster, target: Node) -> int:
    return sum(last - first + 1 for first, last, master, *_ in target.ask("CLUSTER", "SLOTS") if master[1] == target.port)
