"""lua/hooks/: each ready-made hook, asked by real HAProxy, two instances of it; and conf/examples/hooks.cfg, which uses two."""
from __future__ import annotations

import http.client
import re
import subprocess
import time
from pathlib import Path

from integration.test_hooks import HooksTest
from integration.test_spoe import SpoeTest
from support import agent, haproxy, http_client, recipes, wait
from support.agent import AgentConfig, PeerConfig, check_config
from support.case import HaproxyTest, MeshTest
from support.ports import free_port
from support.recipes import NAMES, replaced
from support.spoe_layout import SpoeLayout

HOOKS = agent.ROOT / "lua/hooks"
EXAMPLES = agent.ROOT / "conf/examples"
TOML, ENGINE = "/etc/stickmesh/hooks.d/", "/etc/stickmesh/spoe-hooks.conf"
CLIENT, OTHER = "198.51.100.7", "198.51.100.8"
# What an example says nothing of, since it stands behind the reader's own.
_DEFAULTS = ("global\ndefaults\n    mode http\n    timeout client 30s\n    timeout server 30s\n    timeout connect 5s\n")


def own_config(script: str) -> str:
    """The config that a hook's first lines say it needs."""
    head = re.match(r"(?:--.*\n)+", (HOOKS / f"{script}.lua").read_text())
    assert head is not None
    lines = [line.removeprefix("--   ") for line in head[0].splitlines()]
    wanted = [line for line in lines if line.startswith("[[") or re.match(r"\w+ = \"", line)]
    return "\n".join(wanted) + f'\n[[hook]]\nfile = "{HOOKS}/{script}.lua"\ncall-time = "1s"\non-error = "deny"\n'


class FilesTest(HaproxyTest):
    def test_the_example_loads(self) -> None:
        if not recipes.has_openssl():
            self.skipTest("sha2 needs a HAProxy built with OpenSSL")
        path = self.directory / "hooks.cfg"
        path.write_text(_DEFAULTS + replaced((EXAMPLES / "hooks.cfg").read_text(), {ENGINE: f"{EXAMPLES}/spoe-hooks.conf"}))
        done = subprocess.run([haproxy.binary() or "haproxy", "-c", "-L", "lb1", "-f", str(path)], capture_output=True,
                              text=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr.count("WARNING")), (0, 0), done.stdout + done.stderr)

    def test_every_variable_is_registered_and_every_group_used(self) -> None:
        engine = recipes.Engine((EXAMPLES / "spoe-hooks.conf").read_text())
        rules = (EXAMPLES / "hooks.cfg").read_text()
        used = set(re.findall(r"txn\.stickmesh\.([\w.]+)", rules))
        self.assertLessEqual(used, set(engine.words("register-var-names")))
        self.assertEqual(set(re.findall(r"send-spoe-group stickmesh (\w+)", rules)), set(engine.groups()))
        self.assertEqual(set(engine.words("groups")), set(engine.groups()))


class ConfigTest(MeshTest):
    needs_haproxy = False

    def test_the_config_of_the_example_is_valid(self) -> None:
        code, output = check_config(replaced((EXAMPLES / "hooks.toml").read_text(), {TOML: f"{HOOKS}/"}), self.directory)
        self.assertEqual(code, 0, output)

    def test_each_hook_loads_with_what_it_says_that_it_needs(self) -> None:
        scripts = [path.stem for path in HOOKS.glob("*.lua")]
        self.assertEqual(set(scripts), {"ban", "login", "quota", "scraper"}, "each has tests here")
        for script in scripts:
            code, output = check_config(own_config(script), self.directory)
            self.assertEqual(code, 0, f"{script}: {output}")
        example = [line.split("#")[0].strip() for line in (EXAMPLES / "hooks.toml").read_text().splitlines()]
        for script in ("login", "quota"):
            for line in own_config(script).split("\n[[hook]]")[0].splitlines():
                self.assertIn(line, example, f"{script}: so has the example")


class _Config(AgentConfig):
    """conf/examples/hooks.toml on free ports."""
    spoe_port: int

    def toml(self, directory: Path, port: int) -> str:
        return replaced((EXAMPLES / "hooks.toml").read_text(), {
            TOML: f"{HOOKS}/", "192.0.2.10:10301": f"127.0.0.1:{self.spoe_port}",
            "[[hook]]": '[[hook]]\ncall-time = "1s"',
            "[spoe]": f'[admin]\nsocket = "{directory}/admin.sock"\n\n[log]\nlevel = "debug"\n\n'
                      f'[peers]\nlisten = ["127.0.0.1:{port}"]\n\n[spoe]\ndeadline = "10s"',
            'name = "agent-1"': f'name = "agent-1"\nstate-dir = "{directory}/state"'})


class ExampleTest(SpoeTest):
    """Two instances with conf/examples/hooks.cfg, and a server behind both."""

    def serve(self, quota: int = 10000, processing: str = "10s") -> None:
        config = _Config()
        config.spoe_port = self.spoe_port = free_port()
        self.daemon = self.start_agent(config)
        engine = self.directory / "spoe-hooks.conf"
        engine.write_text(replaced((EXAMPLES / "spoe-hooks.conf").read_text(), {
            "timeout processing 50ms": f"timeout processing {processing}", "timeout hello 500ms": "timeout hello 10s",
            "int(10000)": f"int({quota})"}))
        server = free_port()
        self.start_haproxy("server", f"frontend server\n    bind 127.0.0.1:{server}\n"
                                     "    http-request return status 401 if { req.hdr(x-fail) -m found }\n"
                                     "    http-request return status 200\n")
        self.ports = {name: free_port() for name in NAMES}
        for name, port in self.ports.items():
            text = replaced(recipes.hashed((EXAMPLES / "hooks.cfg").read_text()), {
                ENGINE: str(engine), "bind :::8080 v4v6": f"bind 127.0.0.1:{port} accept-proxy",
                "192.0.2.21:80": f"127.0.0.1:{server}", "192.0.2.10:10301": f"127.0.0.1:{self.spoe_port}",
                "timeout server 1m": "timeout server 1m\n    timeout check 10s"})
            self.instances[name] = self.start_haproxy(name, text)
        for name in NAMES:
            self.wait_state(name, "UP")

    def log_in(self, name: str, login: str, source: str = CLIENT, *, fail: bool = False) -> http.client.HTTPResponse:
        headers = {"content-type": "application/x-www-form-urlencoded", **({"x-fail": "1"} if fail else {})}
        return http_client.send_from(self.ports[name], source, headers=headers, path="/login",
                                     form=f"login={login}&password=guess")[0]

    def call(self, name: str, key: str, path: str = "/api/x") -> http.client.HTTPResponse:
        return http_client.send_from(self.ports[name], CLIENT, headers={"x-api-key": key}, path=path)[0]

    def clean(self) -> None:
        self.assertEqual(self.daemon.errors(), {}, self.daemon.ask("show errors"))

    def test_a_user_who_is_guessed_from_many_addresses(self) -> None:
        self.serve()
        spellings = ("joe@example.org", "JOE@example.org")
        for number in range(10):
            name = NAMES[number % 2]
            self.assertEqual(self.log_in(name, "joe@example.org", f"203.0.113.{number}", fail=True).status, 401, number)
            self.assertEqual(self.log_in(name, "amy", f"203.0.113.{number}").status, 200, "one that succeeds")
        for name in NAMES:
            for spelling in spellings:
                answer = self.log_in(name, spelling)
                self.assertEqual((answer.status, answer.getheader("retry-after")), (429, "60"), name)
            self.assertEqual(self.log_in(name, "amy").status, 200, name)
        self.assertEqual(len(self.daemon.table("login_users")), 1, "who succeeds is not counted")
        self.clean()

    def test_an_address_that_tries_many_users(self) -> None:
        for source, again, other in ((CLIENT, CLIENT, OTHER), ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")):
            with self.subTest(source):
                if not hasattr(self, "daemon"):
                    self.serve()
                for number in range(20):
                    self.assertEqual(self.log_in(NAMES[number % 2], f"user{number}", source, fail=True).status, 401, number)
                for name in NAMES:
                    answer = self.log_in(name, "amy", again)
                    self.assertEqual((answer.status, answer.getheader("retry-after")), (429, "600"), name)
                    self.assertEqual(self.log_in(name, "amy", other).status, 200, name)
                    self.assertEqual(http_client.send_from(self.ports[name], source)[0].status, 200, "what is no login")
        self.assertNotIn("2001:db8:1:2::1", self.daemon.table("login_addresses"), "64 bits are one client")
        self.clean()

    def test_the_quota_of_a_key(self) -> None:
        self.serve(quota=5)
        for key in ("secret-1", "secret-3"):  # the second if a day, and with it a quota, ends meanwhile
            before = time.time()
            answers = [self.call(NAMES[number % 2], key) for number in range(7)]
            if time.gmtime(before).tm_mday == time.gmtime().tm_mday:
                break
        self.assertEqual([answer.status for answer in answers], [200] * 5 + [429] * 2)
        self.assertEqual([answer.getheader("x-quota-remaining") for answer in answers], ["4", "3", "2", "1", "0", None, None])
        until_midnight = 86400 - int(before) % 86400
        for answer in answers:
            reset = int(answer.getheader("x-quota-reset" if answer.status == 200 else "retry-after") or 0)
            self.assertTrue(until_midnight - (time.time() - before) - 1 <= reset <= until_midnight, (reset, until_midnight))
        for name in NAMES:
            self.assertEqual(self.call(name, "secret-2").status, 200, "another key")
            self.assertEqual(self.call(name, key, "/").status, 200, "what is not of the API")
        self.assertEqual(http_client.send_from(self.ports["lb1"], CLIENT, path="/api/x")[0].status, 401)
        self.assertNotIn("secret", self.daemon.ask("show table quota"))
        self.clean()

    def test_it_fails_open(self) -> None:
        self.serve(quota=1, processing="1s")
        self.wait_call(429)
        self.daemon.kill()
        self.wait_call(200)
        self.daemon.start()
        self.wait_call(429)

    def wait_call(self, status: int) -> None:
        for name in NAMES:
            wait.until(lambda: self.call(name, "k").status, lambda found: found == status, what=f"{name} answers {status}")


class QuotaTest(HooksTest):
    def test_the_argument_quota(self) -> None:
        self.agent(own_config("quota"))
        for quota, remaining in ((5, 4), ("5", 4), (None, 9999), ("many", 9999), (0, 0)):
            answer = self.ask("quota", api_key=repr(quota), quota=quota)
            self.assertEqual((answer["remaining"], answer["verdict"]), (remaining, "deny" if quota == 0 else "allow"), quota)
        self.assertEqual(self.ask("quota", api_key=None, quota=5), {}, "no key")
        self.assertEqual(self.ask("quota", api_key=repr(0), quota=0)["reason"], "quota")


class ScraperTest(SpoeTest):
    most = 300

    def pages(self, port: int, client: str, paths: list[str]) -> list[dict[str, str | None]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        answers: list[dict[str, str | None]] = []
        try:
            for path in paths:
                connection.request("GET", path, headers={"x-client": client})
                answer = connection.getresponse()
                answer.read()
                shown = {name: answer.getheader(f"x-{name}") for name in ("pages", "verdict", "reason")}
                answers.append({**shown, "status": str(answer.status)})
        finally:
            connection.close()
        return answers

    def test_many_pages_over_two_instances(self) -> None:
        self.agent(own_config("scraper"))
        rules = ("    http-request deny deny_status 429 hdr retry-after %[var(txn.stickmesh.retry_after)] "
                 "if { var(txn.stickmesh.verdict) -m str deny }\n")
        ports = [self.spoe_instance(name, {"page": "src=req.hdr(x-client) path=path"}, ["pages", "verdict", "reason"],
                                    rules=rules).http_port for name in NAMES]
        half = self.most // 2
        first = self.pages(ports[0], "203.0.113.9", [f"/{number}" for number in range(half)])
        self.assertEqual([answer["pages"] for answer in first], [str(number) for number in range(1, half + 1)])
        for port in ports:
            again = self.pages(port, "203.0.113.9", ["/0", "/1"] * 2)
            self.assertEqual({answer["pages"] for answer in again}, {str(half)}, "the same page counts once, at both")
        self.pages(ports[1], "203.0.113.9", [f"/{number}" for number in range(half, self.most)])
        for port in ports:
            self.assertEqual(self.pages(port, "203.0.113.9", ["/0"])[0],
                             {"pages": str(self.most), "verdict": "allow", "reason": None, "status": "200"})
        self.assertEqual([answer["status"] for answer in self.pages(ports[0], "203.0.113.9", ["/one-more"])], ["429"])
        for port in ports:
            self.assertEqual([answer["status"] for answer in self.pages(port, "203.0.113.9", ["/0", "/new"])], ["429"] * 2)
            self.assertEqual(self.pages(port, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ["/0"])[0]["pages"], "1", "another")
        self.assertEqual(self.daemon.errors(), {})


class BanTest(SpoeTest):
    expire = "10m"  # of bans

    def serve(self) -> None:
        agent_port = free_port()
        peers = {name: free_port() for name in NAMES}
        self.agent(own_config("ban").replace("expire 10m", f"expire {self.expire}"), peers=[PeerConfig(name) for name in NAMES])
        lines = dict(re.findall(r"^--   ((?:table|http-request) \S+) (.*)$", (HOOKS / "ban.lua").read_text(), re.M))
        lines["table bans"] = replaced(lines["table bans"], {"expire 10m": f"expire {self.expire}"})
        self.assertEqual(list(lines), ["table http", "table bans", "http-request deny", "http-request track-sc0"])
        rules = {kind: "".join(f"    {begin} {rest}\n" for begin, rest in lines.items() if begin.startswith(kind))
                 for kind in ("table", "http-request")}
        self.ports = {}
        for name in NAMES:
            asks = "    http-request send-spoe-group stickmesh ban if { path /honeypot }\n"
            layout = SpoeLayout({"ban": "src=src,ipmask(32,64) seconds=req.hdr(x-seconds)"}, [self.spoe_port], ["banned"],
                                rules=rules["http-request"] + asks, events={"ban": ""}, groups={"ban": "ban"}, origin=True)
            self.ports[name] = layout.http_port
            text = replaced(layout.config(self.directory, name), {
                f"bind 127.0.0.1:{layout.http_port}\n": f"bind 127.0.0.1:{layout.http_port} accept-proxy\n",
                "    http-request return status 200\n": "    http-request return status 404 if { path /none }\n"
                                                        "    http-request return status 200\n"})
            self.instances[name] = self.start_haproxy(
                name, f'peers mesh\n    bind 127.0.0.1:{peers[name]}\n    server "$HAPROXY_LOCALPEER"\n'
                      f"    server agent-1 127.0.0.1:{self.daemon.port}\n{rules['table']}" + text)
        for name in NAMES:
            self.wait_synchronised(self.daemon, name)
            self.wait_state(name, "UP")

    def get(self, name: str, source: str, path: str = "/", **headers: str) -> int:
        return http_client.send_from(self.ports[name], source, headers=headers, path=path)[0].status

    def wait_status(self, source: str, status: int) -> None:
        for name in NAMES:
            wait.until(lambda: self.get(name, source), lambda found: found == status, what=f"{name}: {source}: {status}")

    def banned(self, name: str, key: str) -> int:
        return int(self.instances[name].value("mesh/bans", key, "gpt0") or 0)

    def test_errors_at_all_instances_together(self) -> None:
        self.serve()
        clients = ((CLIENT, f"::ffff:{CLIENT}", CLIENT, OTHER),
                   ("2001:db8:1:2::1", "2001:db8:1:2::", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"))
        for source, key, again, other in clients:
            for number in range(50):
                self.assertEqual(self.get(NAMES[number % 2], source, "/none"), 404)
            wait.until(lambda: self.daemon.value("http.total", key, "http_err_rate"), lambda total: total == 50,
                       what="the agent has all errors")
            self.assertEqual(self.daemon.table("bans").get(key), None, "50 are not too many")
            self.assertEqual(self.get("lb1", source, "/none"), 404)
            self.wait_status(source, 403)
            self.wait_status(again, 403)
            self.wait_status(other, 200)
            for name in NAMES:
                self.assertEqual(self.banned(name, key), 1, name)
            left = int(self.daemon.table("bans")[key]["exp"])
            self.assertTrue(0 < left <= 600_000, left)
        self.assertIn("metric banned for errors: 2\n", self.daemon.ask("show lua"))
        self.assertRegex(self.daemon.log(), r"a hook blocks a key of table 'bans' for 600 s: 51 errors\n")
        self.assertNotIn("hook", self.daemon.errors(), self.daemon.ask("show errors"))

    def test_a_rule_bans(self) -> None:
        self.serve()
        source = "2001:db8:1:2::1"
        self.assertEqual(self.get("lb2", source, "/honeypot"), 200)
        self.wait_status(source, 403)
        for name in NAMES:
            self.assertEqual(self.get(name, "2001:db8:1:2:ffff::9"), 403, "64 bits are one client")
            self.assertEqual(self.get(name, "2001:db8:1:3::1"), 200, "another")
            left = int(self.instances[name].table("mesh/bans")["2001:db8:1:2::"]["exp"])
            self.assertTrue(0 < left <= 600_000, f"{name}: {left}")
        self.assertIn("metric banned by a rule: 1\n", self.daemon.ask("show lua"))
        self.assertIn("'bans' for 600 s: a rule\n", self.daemon.log())

    def test_a_ban_ends(self) -> None:
        self.expire = "4s"
        self.serve()
        source, key = "2001:db8:1:2::1", "2001:db8:1:2::"
        self.assertEqual(self.get("lb1", source, "/honeypot", **{"x-seconds": "4"}), 200)
        self.assertIn("'bans' for 4 s: a rule\n", self.daemon.log())
        # Asked of HAProxy without its table being dumped, which would remove what is over.
        for name in NAMES:
            wait.until(lambda: self.instances[name].used("mesh/bans"), lambda used: used == 0 and self.over(key),
                       what=f"it is over at {name}")
            self.assertEqual(self.get(name, source), 200, name)

    def over(self, key: str) -> bool:
        return key not in self.daemon.table("bans")

    def test_a_rule_bans_an_address_of_ipv4(self) -> None:
        self.serve()
        self.assertEqual(self.get("lb1", CLIENT, "/honeypot"), 200)
        self.assertNotIn("hook", self.daemon.errors(), self.daemon.ask("show errors"))
        self.wait_status(CLIENT, 403)
        self.wait_status(OTHER, 200)
