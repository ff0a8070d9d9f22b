"""conf/recipes/: each loads, holds across two instances, and falls back to what an instance counted itself when the agent
is killed."""
from __future__ import annotations

import hashlib
import http.client
import re
import socket
import subprocess
import threading

from support import agent, haproxy, http_client, recipes, wait
from support.case import HaproxyTest, MeshTest
from support.layout import Layout
from support.recipes import NAMES, RecipeTest, recipe

ALL = ("ip", "api", "login", "sticky", "conn", "spoe")
CLIENT, OTHER = "198.51.100.7", "198.51.100.8"


def digest(text: str) -> str:
    """As the recipes write it into their tables; see `recipes.hashed`."""
    make = hashlib.sha256 if recipes.has_openssl() else hashlib.sha1
    return make(text.encode()).hexdigest().upper()


def rules(text: str) -> list[str]:
    """The lines of a recipe that say something, without those of its peers section."""
    lines, peers = [], False
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            peers = line.startswith("peers")
        if line.strip() and not line.strip().startswith("#") and not peers:
            lines.append(line)
    return lines


class FilesTest(HaproxyTest):
    def test_every_recipe_loads(self) -> None:
        needing = [name for name in ALL if "sha2" in recipe(name)]
        loadable = [name for name in ALL if recipes.has_openssl() or name not in needing]
        for name in loadable:
            path = self.directory / f"{name}.cfg"
            path.write_text("global\ndefaults\n    mode http\n    timeout client 30s\n    timeout server 30s\n"
                            "    timeout connect 5s\n" + recipe(name).replace("/etc/stickmesh", str(agent.ROOT / "conf")))
            done = subprocess.run([haproxy.binary() or "haproxy", "-c", "-L", "lb1", "-f", str(path)],
                                  capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}{done.stderr}")
        if loadable != list(ALL):
            self.skipTest(f"{', '.join(needing)} need a HAProxy built with OpenSSL; the others load")

    def test_none_is_longer_than_12_lines(self) -> None:
        for name in ALL:
            self.assertLessEqual(len(rules(recipe(name))), 12, name)
        self.assertEqual({path.stem for path in recipes.FOLDER.glob("*.cfg")}, set(ALL), "none is left out here")

    def test_totals_have_more_room_than_what_is_tracked(self) -> None:
        for name in ALL:
            sizes = {table: int(size) for table, size in re.findall(r"table (\S+) .* size (\d+)k", recipe(name))}
            for table, size in sizes.items():
                if table.endswith(".total"):
                    self.assertGreater(size, sizes[table.removesuffix(".total")], f"{name}: {table}")
            self.assertNotIn("nopurge", recipe(name))


class AgentConfigTest(MeshTest):
    needs_haproxy = False

    def test_the_config_of_the_agent_is_valid(self) -> None:
        code, output = agent.check_config((recipes.FOLDER / "stickmesh.toml").read_text(), self.directory)
        self.assertEqual(code, 0, output)


class RateRecipeTest(RecipeTest):
    """What ip.cfg and api.cfg have in common: clients |first| and |again| are one, |other| is another."""
    seconds = 150

    def holds_and_falls_back(self, key: str, limit: int, first: tuple[str, str], again: tuple[str, str],
                             other: tuple[str, str]) -> None:
        self.start()
        table, half = f"{self.recipe}.total", limit // 2 + 20
        self.wait_current(table)
        for name, client in zip(NAMES, (first, again)):
            self.send(name, client, half)
        self.wait_over(table, key, "http_req_rate", limit + 1)
        for client, status in ((first, 429), (again, 429), (other, 200)):
            self.wait_answer(status, client)
        self.daemon.kill()
        self.wait_answer(200, first)
        for name in NAMES:
            self.assertGreater(self.read(name, table, key, "http_req_rate"), limit, f"{name}: the stale total")
            self.assertLessEqual(self.read(name, self.recipe, key, "http_req_rate"), limit, f"{name}: its own")
        self.send("lb1", first, limit)
        self.assertEqual(self.request("lb1", first), 429, "its own count still decides")
        self.assertEqual(self.request("lb2", first), 200)
        self.daemon.start()
        self.wait_answer(429, first)

    def send(self, name: str, client: tuple[str, str], count: int) -> list[int]:
        source, api_key = client
        return [answer.status for answer in
                http_client.send_from(self.layouts[name].http_port, source, count, headers={"x-api-key": api_key})]

    def request(self, name: str, client: tuple[str, str]) -> int:
        return self.send(name, client, 1)[0]


class IpTest(RateRecipeTest):
    recipe = "ip"

    def test_holds_and_falls_back(self) -> None:
        client = (CLIENT, "")
        self.holds_and_falls_back(f"::ffff:{CLIENT}", 300, client, client, (OTHER, ""))

    def test_an_ipv6_client_is_its_64_bits(self) -> None:
        self.holds_and_falls_back("2001:db8:1:2::", 300, ("2001:db8:1:2::1", ""), ("2001:db8:1:2:ffff:1:2:3", ""),
                                  ("2001:db8:1:3::1", ""))


class ApiTest(RateRecipeTest):
    recipe = "api"

    def test_holds_and_falls_back(self) -> None:
        self.holds_and_falls_back(digest("secret-1"), 600, (CLIENT, "secret-1"), (OTHER, "secret-1"),
                                  (CLIENT, "secret-2"))
        self.assertNotIn("secret", "".join(self.instances[name].cli("show table mesh/api") for name in NAMES))

    def test_a_request_without_a_key_is_refused(self) -> None:
        self.start()
        answers = http_client.send_from(self.layouts["lb1"].http_port, CLIENT)
        self.assertEqual(answers[0].status, 401)


class SpoeTest(RecipeTest):
    recipe = "spoe"
    seconds = 150

    def connections(self, layout: Layout) -> dict[str, str]:
        """A busy machine may need longer than 50 ms, and the test is not of that."""
        engine = self.directory / "spoe-stickmesh.conf"
        engine.write_text(recipes.replaced((agent.ROOT / "conf/spoe-stickmesh.conf").read_text(),
                                           {"timeout processing 50ms": "timeout processing 1s"}))
        return {"192.0.2.10:10301": f"127.0.0.1:{self.spoe_port}", "/etc/stickmesh/spoe-stickmesh.conf": str(engine)}

    def wait_ready(self) -> None:
        for name in NAMES:
            wait.until(lambda: self.instances[name].cli("show servers state stickmesh-agents").split("\n")[2].split()[5],
                       lambda state: state == "2", what=f"{name} finds the agent")

    def send(self, name: str, source: str, count: int = 1) -> list[int]:
        return [answer.status for answer in http_client.send_from(self.layouts[name].http_port, source, count)]

    def request(self, name: str, source: str) -> int:
        return self.send(name, source)[0]

    def test_holds_and_fails_open(self) -> None:
        self.start()
        for name in NAMES:
            self.assertEqual(self.send(name, CLIENT, 150), [200] * 150, name)
        for name in NAMES:
            self.assertEqual(self.request(name, CLIENT), 429, f"{name}: one more than 300")
            self.assertEqual(self.request(name, OTHER), 200, name)
        self.assertEqual(self.send("lb1", "2001:db8:1:2::1", 300), [200] * 300)
        self.assertEqual(self.request("lb2", "2001:db8:1:2:ffff:1:2:3"), 429, "of the same /64")
        self.daemon.kill()
        self.wait_answer(200, CLIENT)
        self.daemon.start()
        for name in NAMES:
            wait.until(lambda: "Tracked_total: 0" not in (self.request(name, OTHER), self.daemon.ask("show spoe"))[1],
                       timeout=20, interval=0.4, what=f"{name} asks the agent again")

    def test_fails_closed(self) -> None:
        self.changes = {"# http-request deny deny_status 503": "http-request deny deny_status 503"}
        self.start()
        self.wait_answer(200, CLIENT)
        self.daemon.kill()
        self.wait_answer(503, CLIENT)
        self.daemon.start()
        self.wait_answer(200, CLIENT)

    def test_a_group_counts_failed_logins_on_the_response(self) -> None:
        rules = ("    http-request set-var(txn.login) req.hdr(x-login)\n"
                 "    http-response send-spoe-group stickmesh report-login if { status 401 } { var(txn.login) -m found }\n")
        self.changes = {"    # http-request deny": rules + "    # http-request deny"}
        self.extra = '\n[[table]]\nname = "logins"\ndefine = "type string len 64 size 1k expire 5m store gpc0_rate(1m)"\n'
        self.start()
        for name in NAMES:
            for fail in ({"x-fail": "1"}, {}):
                http_client.send_from(self.layouts[name].http_port, CLIENT, headers={"x-login": "joe", **fail})
        wait.until(lambda: self.daemon.value("logins", "joe", "gpc0_rate"), lambda value: value == 2,
                   what="only those that failed are counted")


class LoginTest(RecipeTest):
    recipe = "login"
    seconds = 150

    def request(self, name: str, login: str, source: str = CLIENT, *, fail: bool = False) -> int:
        form = f"x=1&login={login}&password=guess"
        headers = {"content-type": "application/x-www-form-urlencoded", **({"x-fail": "1"} if fail else {})}
        return http_client.send_from(self.layouts[name].http_port, source, headers=headers, path="/login",
                                     form=form)[0].status

    def attempt_fails(self, name: str, login: str, source: str = CLIENT) -> None:
        self.assertEqual(self.request(name, login, source, fail=True), 401)

    def test_an_address_with_a_login(self) -> None:
        self.start()
        key = f"{CLIENT}/{digest('joe@example.org')}"
        self.wait_current("login_ip.total")
        for name, login in (("lb1", "joe@example.org"), ("lb1", "JOE@example.org"), ("lb2", "joe%40example.org"),
                            ("lb2", "%6aoe@example.org"), ("lb2", "joe@example.org")):
            self.attempt_fails(name, login)
        self.wait_over("login_ip.total", key, "gpc0_rate", 5)
        self.wait_answer(429, "joe@example.org")
        for name in NAMES:
            self.assertEqual(self.request(name, "joe@example.org", OTHER), 200, name)
            self.assertEqual(self.request(name, "amy@example.org"), 200, name)
            self.assertLess(self.read(name, "login_ip", key, "gpc0_rate"), 5, f"{name}: its own")
        self.daemon.kill()
        self.wait_answer(200, "joe@example.org")
        for name in NAMES:
            self.assertGreaterEqual(self.read(name, "login_ip.total", key, "gpc0_rate"), 5, f"{name}: the stale total")
        self.daemon.start()
        self.wait_answer(429, "joe@example.org")
        self.daemon.ask(f"clear table login_ip key {key}")
        self.wait_answer(200, "joe@example.org")

    def test_a_login_from_everywhere(self) -> None:
        self.start()
        self.wait_current("login.total")
        for number in range(50):
            self.attempt_fails(NAMES[number % 2], "amy", f"198.51.100.{number + 10}")
        self.wait_over("login.total", digest("amy"), "gpc0_rate", 50)
        self.wait_answer(429, "amy", "2001:db8::7")
        for name in NAMES:
            self.assertEqual(self.request(name, "joe", "198.51.100.10"), 200, name)
        self.daemon.kill()
        self.wait_answer(200, "amy", "2001:db8::7")
        for name in NAMES:
            self.assertGreaterEqual(self.read(name, "login.total", digest("amy"), "gpc0_rate"), 50, name)

    def test_what_is_no_attempt(self) -> None:
        self.start()
        port = self.layouts["lb1"].http_port
        self.assertEqual(http_client.send_from(port, CLIENT, path="/login")[0].status, 200)
        self.assertEqual(http_client.send_from(port, CLIENT, path="/", form="login=joe")[0].status, 200)
        self.assertEqual(http_client.send_from(port, CLIENT, path="/login", form="user=joe")[0].status, 400)
        self.assertEqual(self.instances["lb1"].table("mesh/login"), {})


class StickyTest(RecipeTest):
    recipe = "sticky"
    seconds = 150

    def visit(self, name: str, cookie: str | None = None, count: int = 1) -> list[http.client.HTTPResponse]:
        headers = {} if cookie is None else {"cookie": f"session={cookie}"}
        return http_client.send_from(self.layouts[name].http_port, CLIENT, count, headers=headers)

    def new_session(self, name: str) -> tuple[str, str]:
        """The cookie that a server gave to a new client, and that server's name."""
        answer = self.visit(name)[0]
        return (answer.headers["set-cookie"].split("=")[1], answer.headers["x-server"])

    def servers(self, name: str, cookie: str) -> set[str]:
        return {answer.headers["x-server"] for answer in self.visit(name, cookie, 4)}

    def wait_known(self, name: str, cookie: str) -> None:
        wait.until(lambda: self.instances[name].entry("mesh/sessions", digest(cookie)), timeout=20,
                   what=f"{name} knows the session")

    def wait_sticky(self, cookie: str, server: str) -> None:
        for name in NAMES:
            self.wait_known(name, cookie)
            self.assertEqual(self.servers(name, cookie), {server}, name)

    def test_a_client_stays_with_its_server(self) -> None:
        self.start()
        sessions = [self.new_session(name) for name in NAMES for _ in range(3)]
        self.assertEqual({server for _, server in sessions}, {"web1", "web2"}, "clients are spread over the servers")
        for cookie, server in sessions:
            self.wait_sticky(cookie, server)
        self.assertEqual(self.servers("lb2", "invented"), {"web1", "web2"})
        self.assertIsNone(self.instances["lb2"].entry("mesh/sessions", digest("invented")))
        self.daemon.kill()
        fresh = [self.new_session("lb1") for _ in range(2)]
        for cookie, server in sessions:
            self.wait_sticky(cookie, server)
        for cookie, server in fresh:
            self.assertEqual(self.servers("lb1", cookie), {server})
            self.assertIsNone(self.instances["lb2"].entry("mesh/sessions", digest(cookie)))
        self.daemon.start()
        for cookie, server in [*sessions, *fresh]:
            self.wait_sticky(cookie, server)

    def test_a_session_in_use_at_one_instance_does_not_lapse_at_the_other(self) -> None:
        self.changes = {"expire 30m": "expire 3s"}
        self.start()
        cookie, server = self.new_session("lb1")
        self.wait_known("lb2", cookie)
        def known_after_use() -> bool:
            self.visit("lb1", cookie)
            return self.instances["lb2"].entry("mesh/sessions", digest(cookie)) is not None
        wait.holds(known_after_use, seconds=7, interval=0.2, what="lb2 knows it")
        self.assertEqual(self.servers("lb2", cookie), {server})

    def test_writes_that_cross_end_equal(self) -> None:
        self.start()
        for turn in range(25):
            self.write_at_once(f"crossing{turn}", dict(zip(NAMES, (turn + 1, turn + 1001))))
        for turn in range(25):
            wait.until(lambda: self.everywhere(f"crossing{turn}"), lambda seen: len(seen) == 1 and None not in seen,
                       timeout=40.0,  # HAProxy 3.0.0 and 3.2.0 tell some of it only in a lesson
                       what=f"crossing{turn} is the same at both and at the agent")
        ends = [self.everywhere(f"crossing{turn}") for turn in range(25)]
        wait.holds(lambda: [self.everywhere(f"crossing{turn}") for turn in range(25)], lambda seen: seen == ends,
                   seconds=1.5, what="and stays so")
        for turn, end in enumerate(ends):
            self.assertLessEqual(end, {turn + 1, turn + 1001}, "one of the values that were written")

    def write_at_once(self, key: str, values: dict[str, int]) -> None:
        start = threading.Barrier(len(values))

        def write(name: str, value: int) -> None:
            start.wait()
            self.instances[name].set("mesh/sessions", key, server_id=value)
        threads = [threading.Thread(target=write, args=item) for item in values.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def everywhere(self, key: str) -> set[haproxy.Value | None]:
        seen = {self.instances[name].value("mesh/sessions", key, "server_id") for name in NAMES}
        return seen | {self.daemon.value("sessions", key, "server_id")}


class ConnTest(RecipeTest):
    recipe = "conn"
    bind = ""  # connections are counted before a PROXY header is read
    seconds = 150
    source = "127.0.0.9"
    key = "::ffff:127.0.0.9"

    def hold(self, name: str, count: int) -> list[socket.socket]:
        held = http_client.hold(self.layouts[name].http_port, count, self.source)
        for connection in held:
            self.addCleanup(connection.close)
        return held

    def request(self, name: str, source: str | None = None) -> int:
        """0 is a connection that was refused."""
        try:
            return http_client.send(self.layouts[name].http_port, source=source or self.source)[0]
        except (http.client.HTTPException, ConnectionError):
            return 0

    def one_is_accepted(self) -> bool:
        try:
            self.hold("lb2", 1)
        except ConnectionResetError:
            return False
        return True

    def one_more_than_20_is_refused(self) -> None:
        self.wait_total(self.key, "gpc0", 20, table="mesh/conn.total")
        self.wait_answer(200)
        self.wait_total(self.key, "gpc0", 20, table="mesh/conn.total")
        # The answers' own connections may be in a total that is still on its way.
        wait.until(self.one_is_accepted, what="lb2 takes one more connection")
        self.wait_total(self.key, "gpc0", 21, table="mesh/conn.total")
        self.wait_answer(0)

    def test_holds_and_falls_back(self) -> None:
        self.start()
        self.wait_current("conn.total")
        held = self.hold("lb1", 11)
        self.wait_total(self.key, "gpc0", 11, table="mesh/conn.total")
        self.hold("lb2", 9)
        self.one_more_than_20_is_refused()
        for name in NAMES:
            self.assertEqual(self.request(name, "127.0.0.10"), 200, name)
        for connection in held:
            connection.close()
        self.wait_total(self.key, "gpc0", 10, table="mesh/conn.total")
        self.wait_answer(200)
        self.wait_total(self.key, "gpc0", 10, table="mesh/conn.total")
        self.hold("lb1", 12)
        self.wait_total(self.key, "gpc0", 22, table="mesh/conn.total")
        self.wait_answer(0)
        self.daemon.kill()
        self.wait_answer(200)
        for name in NAMES:
            self.assertGreater(self.read(name, "conn.total", self.key, "gpc0"), 20, f"{name}: the stale total")
            self.assertLessEqual(self.read(name, "conn", self.key, "conn_cur"), 20, f"{name}: its own")


class ConnIPv6Test(ConnTest):
    source = address = "::1"

    def setUp(self) -> None:
        super().setUp()
        if not http_client.has_ipv6():
            self.skipTest("the loopback has no IPv6 address")

    def test_holds_and_falls_back(self) -> None:
        self.start()
        self.wait_current("conn.total")
        self.hold("lb1", 12)
        self.hold("lb2", 8)
        # HAProxy 3.0 and later take the loopback's address for an IPv4 address in IPv6 form.
        self.key = "::" if haproxy.version() < (3, 0) else "::ffff:0.0.0.1"
        self.one_more_than_20_is_refused()
        self.daemon.kill()
        self.wait_answer(200)


BAN = """    http-request sc-set-gpt0(0) 1 if { req.hdr(x-ban) -m found }
    http-request deny deny_status 403 if { sc0_get_gpt0(mesh/http.total) gt 0 }
"""


class BanTest(MeshTest):
    def test_a_ban_survives_the_traffic_of_the_others(self) -> None:
        """Each request at the other instances says a gpt0 of 0, which they never changed."""
        names = ["lb1", "lb2", "lb3"]
        self.mesh(names, tables={"http": "type string len 64 size 100k expire 10m store gpt0,http_req_cnt"},
                  frontend=BAN)
        for name in names:
            self.assertEqual(http_client.send(self.layouts[name].http_port, "joe", 5), [200] * 5, name)
        http_client.send(self.layouts["lb2"].http_port, "joe", headers={"x-ban": "1"})
        self.wait_total("joe", "gpt0", 1)
        for turn in range(1, 6):
            for name in names:
                self.assertEqual(http_client.send(self.layouts[name].http_port, "joe", 3), [403] * 3, name)
            self.wait_total("joe", "http_req_cnt", 16 + 9 * turn)
            self.wait_total("joe", "gpt0", 1)
        self.assertEqual(http_client.send(self.layouts["lb3"].http_port, "amy"), [200])
