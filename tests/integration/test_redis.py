"""The mirror in real Redis: what is counted can be read there, and whatever becomes of Redis, the agent goes on and the
mirror comes to say the same again."""
from __future__ import annotations

import os
import shutil
import time
import unittest.mock

from support import http_client, redis, wait
from support.agent import Agent, AgentConfig
from support.authority import Authority
from support.case import MeshTest
from support.layout import Layout
from support.ports import free_port

TABLES = ('\n[[table]]\nname = "clients"\n'
          'define = "type string len 64 size 200k expire 10m store gpc0,http_req_cnt,http_req_rate(10s),server_key"\n'
          '\n[[table]]\nname = "short"\ndefine = "type ip size 1k expire 2s store gpc0"\n'
          '\n[[table]]\nname = "other"\ndefine = "type integer size 1k expire 10m store gpc0"\n')


class RedisTest(MeshTest):
    def setUp(self) -> None:
        if reason := redis.missing():
            self.skipTest(reason)
        super().setUp()

    def server(self, *options: str, start: bool = True) -> redis.Redis:
        self.redis = redis.Redis(self.directory, options=list(options))
        self.addCleanup(self.redis.stop)
        self._sources.append(("redis", lambda: self.redis.process.log() if self.redis.process else ""))
        return self.redis.start() if start else self.redis

    def agent(self, keys: str = "", extra: str = TABLES, flush: str = "20ms", **config: object) -> Agent:
        section = f'\n[redis]\naddress = "127.0.0.1:{self.redis.port}"\nflush-interval = "{flush}"\n{keys}\n'
        self.daemon = self.start_agent(AgentConfig(extra=extra + section, **config))  # type: ignore[arg-type]
        return self.daemon

    def show(self) -> dict[str, str]:
        lines = [line.split(": ", 1) for line in self.daemon.ask("show redis").splitlines() if ": " in line]
        return {line[0]: line[1] for line in lines}

    def kinds(self) -> dict[str, int]:
        rows = self.daemon.ask("show redis").partition("# error\tcount\n")[2].splitlines()
        return {kind: int(count) for kind, count in (row.split("\t") for row in rows if "\t" in row)}

    def wait_connected(self) -> None:
        wait.until(lambda: self.show()["State"], lambda state: state == "connected", what="Redis is connected")

    def set(self, table: str, key: object, **values: object) -> None:
        words = " ".join(f"data.{name} {value}" for name, value in values.items())
        self.assertTrue(self.daemon.ask(f"set table {table} key {key} {words}").startswith("done"))

    def fill(self, count: int, value: int, table: str = "other") -> None:
        for key in range(count):
            self.set(table, key, gpc0=value)

    def wait_field(self, key: str, field: str, value: object) -> None:
        wait.until(lambda: self.redis.hash(key).get(field), lambda found: found == str(value),
                   what=f"{field} of {key} in Redis is {value}")

    def wait_same(self, table: str = "other") -> None:
        """Until Redis has every entry of the table with the agent's values, and no other."""
        def there() -> dict[str, str | None]:
            return {key.removeprefix(f"stickmesh:{table}:"): self.redis.hash(key).get("gpc0")
                    for key in self.redis.keys(f"stickmesh:{table}:*")}
        expected = {key: str(entry["gpc0"]) for key, entry in self.daemon.table(table).items()}
        wait.until(there, lambda found: found == expected, what="the mirror says the same")
        wait.until(lambda: self.show()["Behind"], lambda behind: behind == "0", what="nothing is behind")


class MirrorTest(RedisTest):
    def test_entries_of_instances_and_of_the_agent(self) -> None:
        """The total of two instances' stick tables, and the fields of every kind of value."""
        self.server()
        section = f'\n[redis]\naddress = "127.0.0.1:{self.redis.port}"\nflush-interval = "20ms"\n'
        self.daemon = self.mesh(["lb1", "lb2"], agent={"extra": TABLES + section})
        for name in ("lb1", "lb2"):
            http_client.send(self.layouts[name].http_port, "joe", 3)
        self.wait_field("stickmesh:http:joe", "http_req_cnt", 6)
        fields = self.redis.hash("stickmesh:http:joe")
        start, current, previous = map(int, fields["http_req_rate.counter"].split())
        self.assertEqual((int(fields["http_req_rate"]), current + previous >= 6), (6, True))
        self.assertLess(abs(time.time() * 1000 - start), 60_000)
        self.set("clients", r"a:b%\ c", gpc0=7, server_key="web1")
        self.wait_field("stickmesh:clients:a:b% c", "gpc0", 7)
        fields = self.redis.hash("stickmesh:clients:a:b% c")
        self.assertEqual((fields["server_key"], fields["http_req_cnt"], fields["http_req_rate"]), ("web1", "0", "0"))
        left = self.redis.ask("PTTL", "stickmesh:clients:a:b% c")
        self.assertTrue(0 < left <= 600_000, left)
        self.assertEqual(self.redis.hash("stickmesh:tables")["clients"],
                         "type string len 64 expire 10m store gpc0,http_req_cnt,http_req_rate(10s),server_key")
        self.assertIn("http", self.redis.hash("stickmesh:tables"))
        self.assertEqual(self.daemon.errors(), {})

    def test_what_is_cleared_goes_and_what_expires(self) -> None:
        self.server()
        self.agent()
        self.set("short", "192.0.2.1", gpc0=1)
        self.set("other", 5, gpc0=1)
        self.set("other", 6, gpc0=1)
        self.wait_same()
        self.daemon.ask("clear table other key 5")
        wait.until(lambda: self.redis.keys("stickmesh:other:*"), lambda keys: keys == {"stickmesh:other:6"})
        wait.until(lambda: self.redis.keys("stickmesh:short:*"), lambda keys: keys == set(), what="it expires there too")
        self.set("other", 5, gpc0=9)
        self.wait_same()

    def test_only_tables_that_match(self) -> None:
        self.server()
        self.agent('tables = "o*"\nprefix = "site"\nrestore = false')
        self.set("clients", "joe", gpc0=1)
        self.set("other", 5, gpc0=1)
        self.wait_field("site:other:5", "gpc0", 1)
        self.assertEqual(self.redis.keys(), {"site:other:5", "site:tables", "site:agents"})
        self.assertEqual(set(self.redis.hash("site:tables")), {"other"})

    def test_never_private_tables(self) -> None:
        self.server()
        self.agent("restore = false", TABLES + '\n[[table]]\nname = "secret"\nprivate = true\n'
                   'define = "type string len 64 size 1k expire 10m store gpc0"\n')
        self.set("secret", "joe", gpc0=1)
        self.set("other", 5, gpc0=1)
        self.wait_field("stickmesh:other:5", "gpc0", 1)
        self.assertEqual(self.redis.keys("*secret*"), set())
        self.assertNotIn("secret", self.redis.hash("stickmesh:tables"))
        self.assertEqual(self.daemon.table("secret")["joe"]["gpc0"], 1)

    def test_changes_are_published(self) -> None:
        self.server()
        self.agent("publish = true")
        heard = self.redis.subscribe("stickmesh:changes:other")
        self.addCleanup(heard.close)
        self.set("other", 5, gpc0=7)
        # As msgpack has it: an array of two, a text, and a map of one text and its value, or nil.
        self.assertEqual(heard.next(), b"\x92\xa15\x81\xa4gpc0\xa17")
        self.daemon.ask("clear table other key 5")
        self.assertEqual(heard.next(), b"\x92\xa15\xc0")

    def test_many_changes_of_a_key_are_written_once(self) -> None:
        self.server()
        self.agent("db = 3", flush="500ms")
        self.wait_connected()
        assert self.redis.process is not None
        self.redis.process.freeze()
        for value in range(1, 201):
            self.set("other", 5, gpc0=value)
        self.redis.process.thaw()
        wait.until(self.show, lambda now: now["Behind"] == now["Contributions_behind"] == "0", what="Redis has the last")
        self.assertEqual(self.daemon.value("other", "5", "gpc0"), 200)
        # Once for each flush interval at most, though none is answered.
        self.assertLess(int(self.show()["Written_total"]), 100)
        self.assertEqual(self.redis.info("db3").split(",")[0], "keys=4",
                         "the agents, the tables, the total, and what the agent itself has counted")


class RestoreTest(RedisTest):
    """All agents are lost at once, with their snapshots: what Redis has is where they go on from."""

    def lose(self, daemon: Agent) -> None:
        """kill -9, and nothing is left of its state."""
        daemon.kill()
        shutil.rmtree(daemon.directory / "state")
        (daemon.directory / "state").mkdir()

    def contributions(self, table: str) -> set[str]:
        return self.redis.keys(f"stickmesh:{table}@*")

    def test_what_instances_and_the_agent_have_counted(self) -> None:
        """The instance is away meanwhile, and teaches nothing; what the agent itself has counted nobody else has."""
        self.server()
        section = f'\n[redis]\naddress = "127.0.0.1:{self.redis.port}"\nflush-interval = "20ms"\n'
        self.daemon = self.mesh(["lb1", "lb2"], agent={"extra": TABLES + section})
        http_client.send(self.layouts["lb1"].http_port, "joe", 5)
        self.wait_total("joe", "http_req_cnt", 5)
        self.set("clients", "a:b%c", gpc0=7, server_key="web1", http_req_rate=100)
        wait.until(lambda: len(self.contributions("http")) + len(self.contributions("clients")), lambda count: count == 2,
                   what="both are in Redis")
        self.instances["lb1"].stop()
        self.set("clients", "a:b%c", gpc0=8)
        wait.until(self.show, lambda now: now["Contributions_behind"] == now["Behind"] == "0", what="Redis has all of it")
        self.lose(self.daemon)
        self.daemon.start()
        wait.until(self.daemon.log, lambda log: "2 contributions restored" in log, what="both are back")
        entry = self.daemon.table("clients")["a:b%c"]
        self.assertEqual((entry["gpc0"], entry["server_key"]), (8, "web1"))
        self.assertEqual(self.daemon.value("http", "joe", "http_req_cnt"), 5)
        # The other instance is there again, and counts on.
        http_client.send(self.layouts["lb2"].http_port, "joe", 2)
        self.wait_total("joe", "http_req_cnt", 7, "lb2")
        self.wait_field("stickmesh:http:joe", "http_req_cnt", 7)

    def test_a_snapshot_comes_first(self) -> None:
        self.server()
        self.agent()
        self.set("other", 5, gpc0=1)
        self.wait_same()
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.daemon.value("other", "5", "gpc0"), 1)
        self.assertEqual(self.daemon.log().count("were damaged"), 1, "Redis was asked at the first start alone")

    def test_what_is_damaged_or_foreign_is_left_out(self) -> None:
        self.server()
        self.agent()
        self.fill(5, 1)
        self.wait_same()
        wait.until(lambda: len(self.contributions("other")), lambda count: count == 5, what="all are in Redis")
        damaged, cut, other, *rest = sorted(self.contributions("other"))
        value = self.redis.ask("GET", damaged)
        self.redis.ask("SETRANGE", damaged, len(value) // 3, "\0\0\0\0")
        self.redis.ask("SET", cut, "stickmesh")
        self.redis.ask("DEL", other)
        self.redis.ask("LPUSH", other, "mine")
        self.redis.ask("SET", "stickmesh:none@a:b", "")
        self.lose(self.daemon)
        self.daemon.start()
        wait.until(self.daemon.log, lambda log: log.count("contributions restored") == 2, what="it is over")
        self.assertIn("2 contributions restored; 0 had expired, 0 were left out, 4 were damaged", self.daemon.log())
        self.assertEqual(set(self.daemon.table("other")), {key.rsplit(":", 1)[1] for key in rest})
        self.assertEqual({reason: count for reason, count in self.daemon.errors().items()},
                         {"bad-snapshot": 3, "redis": 1})

    def test_ages_go_on(self) -> None:
        """Of lives and of rates, by the time that the agent was away."""
        self.server()
        self.agent(extra='\n[[table]]\nname = "quick"\n'
                         'define = "type integer size 1k expire 20s store gpc0_rate(3s)"\n')
        self.set("quick", 1, gpc0_rate=1000)
        wait.until(lambda: len(self.contributions("quick")), lambda count: count == 1, what="it is in Redis")
        self.daemon.kill()
        shutil.rmtree(self.directory / "state")
        (self.directory / "state").mkdir()
        wait.until(lambda: self.redis.ask("PTTL", next(iter(self.contributions("quick")))), lambda left: left < 16_500)
        self.daemon.start()
        entry = wait.until(lambda: self.daemon.table("quick").get("1"), what="it is back")
        self.assertLess(entry["gpc0_rate"], 900)

    def test_stopped_while_it_is_read(self) -> None:
        """No snapshot of what is not there yet is left, so that the next start reads Redis again; a reload has to wait."""
        self.server()
        self.agent(peers_section='learn-timeout = "60s"')
        self.fill(5, 1)
        wait.until(lambda: len(self.contributions("other")), lambda count: count == 5, what="all are in Redis")
        self.lose(self.daemon)
        assert self.redis.process is not None
        self.redis.process.freeze()
        self.daemon.start()
        self.assertIn("is being read back", self.daemon.reload())
        self.daemon.stop()
        self.redis.process.thaw()
        self.daemon.start()
        wait.until(lambda: self.daemon.used("other"), lambda count: count == 5, what="they are back")

    def test_keys_that_only_look_alike(self) -> None:
        """Those of a longer prefix, and of entries whose key is an address with an `@`."""
        self.server()
        self.agent('prefix = "site"')
        self.set("clients", "joe@example.com:80", gpc0=1)
        wait.until(lambda: len(self.redis.keys("site:clients@*")), lambda count: count == 1, what="it is in Redis")
        value = self.redis.ask("GET", next(iter(self.redis.keys("site:clients@*"))))
        self.assertNotEqual(value, "")
        self.redis.ask("RENAME", next(iter(self.redis.keys("site:clients@*"))), "site:test:clients@lb1:amy")
        self.lose(self.daemon)
        self.daemon.start()
        wait.until(self.daemon.log, lambda log: log.count("contributions restored") == 2, what="it is over")
        self.assertEqual((self.daemon.table("clients"), self.daemon.errors()), ({}, {}))

    def test_it_is_not_there_and_not_waited_for(self) -> None:
        self.server(start=False)
        self.agent()
        wait.until(self.daemon.log, lambda log: "0 contributions restored" in log and "it cannot be read" in log)

    def test_frozen_it_is_not_waited_for_long(self) -> None:
        """Instances are let in after `learn-timeout`, and what Redis had is not read later."""
        self.server()
        assert self.redis.process is not None
        self.redis.process.freeze()
        section = f'\n[redis]\naddress = "127.0.0.1:{self.redis.port}"\nflush-interval = "20ms"\n'
        self.daemon = self.mesh(["lb1"], agent={"extra": TABLES + section, "peers_section": 'learn-timeout = "2s"'})
        self.assertIn("it took too long", self.daemon.log())
        http_client.send(self.layouts["lb1"].http_port, "joe", 5)
        self.wait_total("joe", "http_req_cnt", 5)
        self.redis.process.thaw()
        self.wait_field("stickmesh:http:joe", "http_req_cnt", 5)


class AccessTest(RedisTest):
    def test_user_and_password(self) -> None:
        rights = "client|setname info hset hlen hexists pexpire persist del select scan get set publish"  # README's
        self.server("--requirepass", "s3cret", "--user", "mirror", "on", ">pa55word", "~stickmesh:*", "&stickmesh:*", "-@all",
                    *(f"+{right}" for right in rights.split()), start=False)
        self.redis.password = "s3cret"
        self.redis.start()
        secret = self.directory / "secret"
        secret.write_text("wrong\n")
        self.agent(f'user = "mirror"\npassword-file = "{secret}"\ndb = 0\npublish = true')
        wait.until(self.kinds, lambda kinds: kinds.get("WRONGPASS", 0) >= 2, what="it is refused, and tries again")
        self.assertIn("the user or the password is wrong", self.show()["Last_error"])
        self.set("other", 5, gpc0=1)
        secret.write_text("pa55word\n")
        self.daemon.reload()
        self.set("other", 6, gpc0=2)
        self.wait_same()
        self.assertIn("name=stickmesh-agent-1", self.redis.ask("CLIENT", "LIST"))
        for word in ("pa55word", "wrong"):
            self.assertNotIn(f" {word}", self.daemon.log().replace("password is wrong", "").replace("are wrong", ""))

    def test_without_the_password_that_it_wants(self) -> None:
        self.server("--requirepass", "s3cret", start=False)
        self.redis.password = "s3cret"
        self.redis.start()
        self.agent()
        wait.until(self.kinds, lambda kinds: kinds.get("NOAUTH", 0) >= 1, what="it is refused")
        self.assertIn("set redis.password-file", self.show()["Last_error"])

    def test_the_password_of_the_environment(self) -> None:
        self.server("--requirepass", "s3cret", start=False)
        self.redis.password = "s3cret"
        self.redis.start()
        with unittest.mock.patch.dict(os.environ, {"STICKMESH_REDIS_PASSWORD": "s3cret"}):
            self.agent()
        self.set("other", 5, gpc0=1)
        self.wait_same()

    def test_a_password_file_that_is_not_there(self) -> None:
        self.server(start=False)
        with self.assertRaisesRegex(AssertionError, "redis.password-file: /nowhere/secret: No such file"):
            self.agent('user = "mirror"\npassword-file = "/nowhere/secret"')

    def test_a_unix_socket(self) -> None:
        path = self.directory / "redis.sock"
        self.server("--unixsocket", str(path))
        self.daemon = self.start_agent(AgentConfig(extra=TABLES + f'\n[redis]\naddress = "{path}"\n'))
        self.set("other", 5, gpc0=1)
        self.wait_same()


class TlsTest(RedisTest):
    def protected(self, *names: str) -> Authority:
        authority = Authority(self.directory)
        both = authority.issue(*names)
        self.server("--port", "0", "--tls-cert-file", str(both), "--tls-key-file", str(both), "--tls-ca-cert-file",
                    str(authority.certificate), "--tls-auth-clients", "optional", start=False)
        self.redis.options += ["--tls-port", str(self.redis.port)]
        self.redis.authority = authority.certificate
        self.redis.start()
        return authority

    def dial(self, keys: str) -> None:  # type: ignore[override]
        self.daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = "localhost:{self.redis.port}"\n[redis.tls]\n{keys}\n'))

    def test_its_name_and_authority_are_checked(self) -> None:
        authority = self.protected("localhost")
        self.dial(f'ca = "{authority.certificate}"')
        self.set("other", 5, gpc0=1)
        self.wait_same()

    def test_another_name(self) -> None:
        authority = self.protected("elsewhere")
        self.dial(f'ca = "{authority.certificate}"')
        wait.until(self.kinds, lambda kinds: kinds.get("wrong-certificate", 0) >= 1, what="it is refused")
        wait.until(lambda: self.show()["Last_error"], lambda said: "does not carry the name 'localhost'" in said, what="it is said")

    def test_another_authority(self) -> None:
        self.protected("localhost")
        other = Authority(self.directory, "other")
        self.dial(f'ca = "{other.certificate}"')
        wait.until(self.kinds, lambda kinds: kinds.get("unknown-authority", 0) >= 1, what="it is refused")

    def test_without_tls_at_the_other_side(self) -> None:
        self.server()
        self.dial('verify = "none"')
        wait.until(self.kinds, lambda kinds: kinds.get("handshake-timeout", 0) >= 1, what="it is told")


class SentinelTest(RedisTest):
    def test_a_failover(self) -> None:
        """The master is killed while it is written to; the mirror is whole at the one that takes its place."""
        self.server()
        replica = redis.Redis(self.directory, "replica", ["--replicaof", "127.0.0.1", str(self.redis.port)]).start()
        self.addCleanup(replica.stop)
        sentinels = [redis.Sentinel(self.directory, f"sentinel-{number}", self.redis.port) for number in range(3)]
        for sentinel in sentinels:
            self.addCleanup(sentinel.stop)
            sentinel.start()
        wait.until(lambda: [sentinel.knows() for sentinel in sentinels], lambda known: known == [(1, 2)] * 3,
                   what="each knows the replica and the others")
        dead = free_port()
        addresses = ", ".join(f'"127.0.0.1:{port}"' for port in [dead, *(sentinel.port for sentinel in sentinels)])
        self.daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = [{addresses}]\nsentinel = "mymaster"\nflush-interval = "20ms"\n'))
        self.fill(10, 1)
        self.wait_same()
        self.assertEqual(self.show()["Address"], f"127.0.0.1:{self.redis.port}")
        for sentinel in sentinels:
            sentinel.hurry()
        self.redis.kill()
        self.fill(20, 2)
        self.redis.port = replica.port
        wait.until(lambda: self.show()["Address"], lambda address: address == f"127.0.0.1:{replica.port}",
                   what="the replica is the master")
        self.wait_same()

    def test_a_master_that_nobody_knows(self) -> None:
        self.server()
        sentinel = redis.Sentinel(self.directory, "sentinel", self.redis.port)
        self.addCleanup(sentinel.stop)
        sentinel.start()
        self.daemon = self.start_agent(AgentConfig(
            extra=f'{TABLES}\n[redis]\naddress = "127.0.0.1:{sentinel.port}"\nsentinel = "other"\n'))
        wait.until(self.kinds, lambda kinds: kinds.get("sentinel", 0) >= 1, what="it is told")
        self.assertIn("it knows no master 'other'", self.show()["Last_error"])


class FaultsTest(RedisTest):
    def test_absent_at_start_killed_and_restarted(self) -> None:
        self.server(start=False)
        self.agent()
        self.fill(20, 1)
        wait.until(self.kinds, lambda kinds: kinds.get("connect-failed", 0) >= 2, what="it is dialled")
        wait.until(lambda: self.show()["Behind"], lambda count: count == "20", what="all of it is behind")
        self.redis.start()
        self.wait_same()
        self.redis.kill()
        self.fill(10, 2)
        self.redis.start()
        self.wait_same()
        self.assertEqual(self.show()["Written_anew_total"], "1")
        self.assertEqual(set(self.daemon.errors()), {"connect-failed"} | (set(self.daemon.errors()) & {"connection-lost"}))

    def test_frozen_for_longer_than_a_reply_may_take(self) -> None:
        self.server()
        self.agent()
        self.fill(5, 1)
        self.wait_same()
        assert self.redis.process is not None
        self.redis.process.freeze()
        self.fill(20, 2)
        wait.until(self.kinds, lambda kinds: kinds.get("idle-timeout", 0) >= 1, what="a reply is overdue")
        self.assertNotEqual(self.show()["Behind"], "0")
        self.fill(20, 3)
        self.redis.process.thaw()
        self.wait_same()

    def test_flushed_while_it_runs(self) -> None:
        self.server()
        self.agent()
        self.fill(20, 1)
        self.wait_same()
        self.redis.ask("FLUSHALL")
        self.wait_same()
        self.assertEqual(self.show()["Written_anew_total"], "1")
        self.assertIn("other", self.redis.hash("stickmesh:tables"))

    def test_out_of_memory(self) -> None:
        self.server("--maxmemory-policy", "noeviction")
        self.agent()
        self.fill(5, 1)
        self.wait_same()
        self.redis.ask("CONFIG", "SET", "maxmemory", "1")
        self.fill(20, 2)
        wait.until(self.kinds, lambda kinds: kinds.get("OOM", 0) >= 2, what="Redis has no room")
        self.assertIn("raise its maxmemory", self.show()["Last_error"])
        self.redis.ask("CONFIG", "SET", "maxmemory", "0")
        self.wait_same()

    def test_a_replica_that_takes_no_writes(self) -> None:
        self.server()
        self.agent()
        self.fill(5, 1)
        self.wait_same()
        self.redis.ask("REPLICAOF", "127.0.0.1", "1")
        self.fill(20, 2)
        wait.until(self.kinds, lambda kinds: kinds.get("READONLY", 0) + kinds.get("MASTERDOWN", 0) >= 2, what="refused")
        self.redis.ask("REPLICAOF", "NO", "ONE")
        self.wait_same()

    def test_something_else_at_a_key(self) -> None:
        self.server()
        self.agent()
        self.redis.ask("SET", "stickmesh:other:5", "mine")
        self.redis.ask("LPUSH", "stickmesh:other:6", "mine")
        self.fill(10, 1)
        wait.until(self.kinds, lambda kinds: kinds.get("WRONGTYPE") == 2, what="both are told")
        self.wait_same()

    def test_what_is_no_redis(self) -> None:
        self.server(start=False)
        layout = Layout("lb1", self.redis.port)
        self.redis.port = layout.http_port
        self.start_haproxy("lb1", layout.config())
        self.agent()
        wait.until(self.kinds, lambda kinds: kinds.get("protocol", 0) >= 1, what="its answer is none")
        self.set("other", 5, gpc0=1)
        self.assertEqual(self.daemon.value("other", "5", "gpc0"), 1)
