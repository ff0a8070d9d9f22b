"""stickmesh.lua in real HAProxy: what it enforces, limits and reports, with the agent up, down and frozen."""
from __future__ import annotations

import concurrent.futures
import http.client
import re
import subprocess
import time
import uuid

from integration.test_event_lines import TABLES
from integration.test_spoe import CLIENTS, TRACK, SpoeTest
from support import agent, haproxy, http_client, wait
from support.agent import Agent, AgentConfig
from support.case import HaproxyTest, MeshTest
from support.haproxy import HAProxy
from support.layout import Layout
from support.lua_layout import SCRIPT, SHOWN, general, reporting, sums, threads
from support.ports import free_port
from support.spoe_layout import SpoeLayout


def get(port: int, path: str = "/", **headers: str) -> dict[str, str]:
    """One request: its status, and the headers that matter here."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
    try:
        connection.request("GET", path, headers={f"x-{name}": value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        names = ("x-enforced", "x-reported", "retry-after")
        shown = {name.removeprefix("x-"): answer.headers[name] for name in names if answer.headers.get(name)}
        return {"status": str(answer.status), **shown}
    finally:
        connection.close()


def without_lua() -> bool:
    out = subprocess.run([haproxy.binary() or "haproxy", "-vv"], capture_output=True, text=True, check=True).stdout
    return "Built with Lua version" not in out


class LuaTest(MeshTest):
    def setUp(self) -> None:
        super().setUp()
        if without_lua():
            self.skipTest("this HAProxy is built without Lua")


AFTER = "    setenv STICKMESH_AFTER_RESPONSE 1\n"


def wait_sums(instance: HAProxy, **expected: int) -> None:
    """Threads other than the one that answers tell their numbers once a second."""
    wait.until(lambda: sums(instance), lambda now: {name: now[name] for name in expected} == expected,
               what=f"{instance.name} says {expected}")


class FilesTest(HaproxyTest):
    def setUp(self) -> None:
        super().setUp()
        if without_lua():
            self.skipTest("this HAProxy is built without Lua")

    def test_it_loads_without_a_word_where_a_ruleset_is_missing(self) -> None:
        """http-after-response has actions from 2.9 on; every version has those that it can have."""
        rules = "".join(f"    {rule}\n" for rule in (
            "tcp-request content lua.stickmesh_enforce open", "tcp-request content lua.stickmesh_report login",
            "tcp-request content lua.stickmesh_limit mesh/http gpc0 5 key shadow",
            "http-request lua.stickmesh_enforce closed", "http-request lua.stickmesh_limit mesh/http gpc0 api key open",
            "http-request lua.stickmesh_report login", "http-response lua.stickmesh_report errors"))
        after = rules + "    http-after-response lua.stickmesh_report errors\n"
        for text in (general() + reporting(free_port(), rules, free_port()),
                     general(lines=AFTER) + reporting(free_port(), after if haproxy.version() >= (2, 9) else rules, 1)):
            done = self.check(text)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotRegex(done.stdout + done.stderr, "ALERT|WARNING")
        self.assertEqual(self.check(general() + reporting(free_port(), after, free_port())).returncode, 1, "it is asked for")

    def check(self, text: str) -> subprocess.CompletedProcess[str]:
        path = self.directory / "a.cfg"
        path.write_text("defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n" + text)
        return subprocess.run([haproxy.binary() or "haproxy", "-c", "-f", str(path)], capture_output=True, text=True,
                              timeout=20)

    def test_the_example_loads(self) -> None:
        path = self.directory / "example.cfg"
        text = (agent.ROOT / "conf/examples/haproxy-lua.cfg").read_text()
        for place, own in (("/usr/share/stickmesh/haproxy/stickmesh.lua", SCRIPT), ("/etc/stickmesh", agent.ROOT / "conf")):
            self.assertIn(place, text)
            text = text.replace(place, str(own))
        path.write_text(text)
        done = subprocess.run([haproxy.binary() or "haproxy", "-c", "-L", "lb1", "-f", str(path)], capture_output=True,
                              text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_it_defines_nothing_global(self) -> None:
        before, after = self.directory / "before.lua", self.directory / "after.lua"
        before.write_text("names_before = {}\nfor name in pairs(_G) do names_before[name] = true end\n")
        after.write_text("for name in pairs(_G) do\n"
                         "  if not names_before[name] then error('global: ' .. name) end\nend\n")
        done = self.check("".join(f"global\n    lua-load-per-thread {script}\n" for script in (before, SCRIPT, after)) +
                          reporting(free_port(), "", free_port()))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class EnforceTest(LuaTest, SpoeTest):
    limit = '\n[[limit]]\nname = "few"\ntable = "clients"\ntype = "http_req_cnt"\nabove = 3\n'
    rules = "".join(f"    http-request lua.stickmesh_enforce {mode} if {{ path /{mode} }}\n"
                    for mode in ("open", "closed", "shadow")) + SHOWN

    def serve(self, use: str = "api", rules: str = "", scripts: str = "", threads: int = 1, lines: str = "",
              **options: object) -> int:
        self.agent(extra=CLIENTS + self.limit)
        # A busy machine may need longer than usual for an answer, and to tell that the agent is there.
        options = {"check": "check inter 2s fall 3 rise 1", **options}
        prefix = f"{use}." if use else ""
        layout = SpoeLayout({f"track-{use}" if use else "track": TRACK}, [self.spoe_port],
                            [f"{prefix}{name}" for name in ("verdict", "retry_after", "reason", "http_req_cnt")],
                            rules=rules or self.rules, **options)  # type: ignore[arg-type]
        text = layout.config(self.directory, "lb1")
        script = self.directory / "second.lua"
        script.write_text(scripts)
        self.instances["lb1"] = self.start_haproxy("lb1", general(1, script, lines=lines) + text, threads=threads)
        self.wait_state("lb1", "UP")
        return layout.http_port

    def wait_enforced(self, port: int, path: str, status: str, word: str) -> None:
        # Each by another client: what HAProxy gives up may be counted.
        wait.until(lambda: get(port, path, client=str(uuid.uuid4())), what=f"{path} is {word}",
                   accept=lambda seen: (seen["status"], seen.get("enforced")) == (status, word))

    def check_verdicts(self, port: int) -> None:
        for mode in ("open", "closed"):
            for _ in range(3):
                self.assertEqual(get(port, f"/{mode}", client=mode), {"status": "200", "enforced": "allowed"})
            denied = get(port, f"/{mode}", client=mode)
            self.assertEqual((denied["status"], denied["enforced"]), ("429", "denied"))
            self.assertIn(int(denied["retry-after"]), range(1, 601))
        self.assertEqual([get(port, "/shadow", client="joe")["enforced"] for _ in range(4)],
                         ["allowed"] * 3 + ["would-deny"])
        self.assertEqual(get(port, "/shadow", client="joe")["status"], "200")

    def test_the_verdict_of_a_use(self) -> None:
        self.check_verdicts(self.serve())

    def test_the_verdict_of_a_message_without_a_use(self) -> None:
        self.check_verdicts(self.serve(use=""))

    def test_a_limit_in_shadow_mode_refuses_nobody(self) -> None:
        port = self.serve()
        self.daemon.ask("set limit few shadow")
        self.assertEqual([get(port, "/closed", client="joe") for _ in range(5)], [{"status": "200", "enforced": "allowed"}] * 5)

    def test_without_an_answer_the_rule_says_what_happens(self) -> None:
        port = self.serve(processing="2s")
        self.wait_enforced(port, "/closed", "200", "allowed")
        assert self.daemon.process is not None
        # Frozen: requests wait for as long as the engine says.
        self.daemon.process.freeze()
        self.check_unanswered(port)
        self.daemon.process.thaw()
        self.wait_enforced(port, "/closed", "200", "allowed")
        self.daemon.kill()
        self.check_unanswered(port)
        self.daemon.start()
        self.wait_enforced(port, "/closed", "200", "allowed")

    def check_unanswered(self, port: int) -> None:
        self.assertEqual(get(port, "/open"), {"status": "200", "enforced": "noagent-open"})
        self.assertEqual(get(port, "/closed"), {"status": "503", "enforced": "noagent-closed"})
        self.assertEqual(get(port, "/shadow"), {"status": "200", "enforced": "noagent-shadow"})

    def test_a_rule_behind_it_refuses_when_the_script_fails(self) -> None:
        """HAProxy goes on with the next rule after an error in Lua."""
        plain = "    http-request deny deny_status 503 unless { var(txn.stickmesh.enforced) -m found } || { path /bare }\n"
        rules = "    http-request lua.stickmesh_enforce closed\n" + plain + SHOWN
        port = self.serve(rules=rules, scripts="ipairs = function() error('injected') end\n")
        self.assertEqual(get(port, "/bare"), {"status": "200"}, "the error is there")
        self.assertEqual(get(port), {"status": "503"})
        assert self.instances["lb1"].process is not None
        self.assertIn("injected", self.instances["lb1"].process.log())

    def test_a_word_that_is_none_is_taken_for_closed(self) -> None:
        port = self.serve(rules="    http-request lua.stickmesh_enforce opne\n" + SHOWN)
        self.assertEqual(get(port), {"status": "200", "enforced": "allowed"})
        self.daemon.kill()
        self.wait_enforced(port, "/", "503", "noagent-closed")

    def test_a_report_of_what_was_refused_leaves_the_answer_alone(self) -> None:
        """An action without a word of its own would have the one of the action before it, and make a 500 of it; and Lua in
        a reply of Lua would cut that short."""
        self.need_haproxy(2, 9, "an action in http-after-response")
        denied = "if { var(txn.stickmesh.enforced) -m str denied } { var(txn.limited) -m found }"
        port = self.serve(lines=AFTER, rules="    http-request set-var(txn.limited) int(1) if { path /open }\n" + self.rules +
                          f"    http-after-response set-status 429 {denied}\n"
                          "    http-after-response lua.stickmesh_report errors\n")
        for path, status in (("/closed", "403"), ("/open", "429")):
            answers = [get(port, path, client=path) for _ in range(5)]
            self.assertEqual([answer["status"] for answer in answers], ["200"] * 3 + [status] * 2)
        wait_sums(self.instances["lb1"], queued=4)
        process = self.instances["lb1"].process
        assert process is not None
        self.assertNotIn("Lua", process.log())

    def test_four_threads(self) -> None:
        port = self.serve(threads=4)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda number: get(port, "/closed", client=f"c{number % 16}"), range(80)))
        self.assertEqual(sorted((answer["status"], answer["enforced"]) for answer in answers),
                         [("200", "allowed")] * 48 + [("429", "denied")] * 32)


TABLE = "    table limits type string len 64 size 1k expire 2s store gpt0,gpc0"
LIMIT = '\n[[limit]]\nname = "api"\ntable = "http"\ntype = "http_req_cnt"\nabove = 20\n'


class LimitTest(LuaTest):
    ways = {"number": "mesh/http http_req_cnt 20 key open", "closed": "mesh/http http_req_cnt 20 txn.key closed",
            "shadow": "mesh/http http_req_cnt 20 key shadow", "name": "mesh/http http_req_cnt api key open",
            "name-closed": "mesh/http http_req_cnt api key closed", "none": "mesh/http http_req_cnt nobody key closed",
            "no-table": "mesh/https http_req_cnt 20 key closed", "no-type": "mesh/http gpc0 20 key closed",
            "odd-type": "mesh/http odd 20 key open"}

    def start(self) -> Agent:
        rules = ("    http-request set-var(txn.key) req.hdr(x-client)\n" +
                 "".join(f"    http-request lua.stickmesh_limit {words} if {{ path /{path} }}\n"
                         for path, words in self.ways.items()) + SHOWN)
        self.daemon = self.start_agent(AgentConfig(aggregates={"*": "*.total"}, extra=LIMIT, peers_section="accept-unknown = true"))
        for name in ("lb1", "lb2"):
            self.layouts[name] = layout = Layout(name, self.daemon.port, status=True, extra_peers=TABLE, frontend=rules)
            self.instances[name] = self.start_haproxy(name, general() + layout.config())
        self.wait_sessions("lb1", "lb2")
        for name in ("lb1", "lb2"):
            self.wait_row(name, "stickmesh", "http.total", gpc1=2)
            self.wait_row(name, "limits", "api", gpt0=20)
        return self.daemon

    def wait_row(self, name: str, table: str, key: str, **values: int) -> None:
        wait.until(lambda: self.instances[name].entry(f"mesh/{table}", key) or {},
                   accept=lambda row: {kind: row.get(kind) for kind in values} == values, what=f"{key} of {table} at {name}")

    def ask(self, path: str, client: str = "joe", name: str = "lb1") -> tuple[str, str]:
        answer = get(self.layouts[name].http_port, f"/{path}", client=client)
        return answer["status"], answer.get("enforced", "")

    def ask_marked(self, path: str, name: str) -> tuple[str, str]:
        """An answer that was given while the total of `name` was marked as current."""
        def marked_until() -> int:
            return int((self.instances[name].entry("mesh/stickmesh", "http.total") or {}).get("gpt0", 0))  # type: ignore
        while True:
            until = wait.until(marked_until, lambda end: end > time.time(), what=f"a current mark at {name}")
            seen = self.ask(path, name=name)
            if time.time() < until:
                return seen

    def wait_asked(self, path: str, expected: tuple[str, str], **options: str) -> None:
        wait.until(lambda: self.ask(path, **options), lambda seen: seen == expected, what=f"/{path} is {expected}",
                   interval=0.3)

    def over_the_limit(self, before: int = 0) -> None:
        """joe has 22 of 20 more, 11 at each."""
        for layout in self.layouts.values():
            self.assertEqual(http_client.send(layout.http_port, "joe", 11), [200] * 11)
        for name, instance in self.instances.items():
            wait.until(lambda: instance.value("mesh/http.total", "joe", "http_req_cnt"), what=f"{name} has the total",
                       accept=lambda count: count == before + 22)

    def test_a_number(self) -> None:
        self.start()
        self.assertEqual(self.ask("number"), ("200", "allowed"), "the key is not in the total's table")
        self.assertEqual(http_client.send(self.layouts["lb1"].http_port, "amy", 20), [200] * 20)
        self.assertEqual(self.ask("number", "amy"), ("429", "denied"), "its own count, on its way or not")
        self.over_the_limit(before=1)
        for name in self.instances:
            self.assertEqual(self.ask_marked("number", name), ("429", "denied"))
            self.assertEqual(self.ask_marked("closed", name), ("429", "denied"))
            self.assertEqual(self.ask_marked("shadow", name), ("200", "would-deny"))
            self.assertEqual(self.ask("number", "eve", name=name), ("200", "allowed"))
        self.daemon.kill()
        # Not by asking: what is refused is counted, too.
        wait.until(lambda: self.instances["lb2"].table("mesh/stickmesh"), lambda marks: marks == {}, what="marks run out")
        self.assertEqual(self.ask("closed", name="lb2"), ("200", "allowed"))
        total = self.instances["lb2"].value("mesh/http.total", "joe", "http_req_cnt")
        assert isinstance(total, int)
        self.assertGreater(total, 20, "the stale total")
        self.daemon.start()
        self.wait_asked("closed", ("429", "denied"), name="lb2")

    def test_a_name(self) -> None:
        daemon = self.start()
        self.wait_asked("name", ("200", "allowed"), client="amy")
        self.over_the_limit()
        self.assertEqual(self.ask_marked("name", "lb2"), ("429", "denied"))
        daemon.ask("set limit api shadow")
        self.wait_asked("name", ("200", "would-deny"), name="lb2")
        daemon.ask("set limit api 1000")
        daemon.ask("set limit api enforce")
        self.wait_asked("name", ("200", "allowed"), name="lb2")
        self.assertEqual(self.ask("none"), ("503", "nodata-closed"))
        daemon.kill()
        self.wait_asked("name-closed", ("503", "nodata-closed"))
        self.assertEqual(self.ask("name"), ("200", "nodata-open"))

    def test_what_cannot_be_read(self) -> None:
        self.start()
        for path in ("none", "no-table", "no-type"):
            self.assertEqual(self.ask(path), ("503", "nodata-closed"), path)
        self.assertEqual(self.ask("odd-type"), ("200", "nodata-open"))
        port = self.layouts["lb1"].http_port
        for path, expected in (("number", ("200", "nodata-open")), ("closed", ("503", "nodata-closed")),
                               ("shadow", ("200", "nodata-shadow"))):
            answer = get(port, f"/{path}")
            self.assertEqual((answer["status"], answer["enforced"]), expected, "without a key")
        process = self.instances["lb1"].process
        assert process is not None
        self.assertEqual(process.log().count("table mesh/https, http_req_cnt"), 1, "told once")

    def test_an_address_in_a_table_of_ipv6(self) -> None:
        rules = ("    http-request track-sc1 src table mesh/ip\n    http-request set-var(txn.key) src,ipmask(32,64)\n"
                 "    http-request lua.stickmesh_limit mesh/ip http_req_cnt 3 key closed\n" + SHOWN)
        layout = Layout("lb1", free_port(), frontend=rules, status=True, tables={
            "http": "type string len 64 size 1k expire 1m store http_req_cnt",
            "ip": "type ipv6 size 1k expire 1m store http_req_cnt"})
        self.start_haproxy("lb1", general() + layout.config())
        answers = [get(layout.http_port)["status"] for _ in range(5)]
        self.assertEqual(answers, ["200"] * 3 + ["429"] * 2)


LOGIN = "    http-response lua.stickmesh_report login\n"
ME = "127.0.0.1"


class ReportTest(LuaTest):
    def agent(self) -> Agent:
        self.events_port = free_port()
        self.daemon = self.start_agent(AgentConfig(
            extra=f'\n[events]\nlisten = ["127.0.0.1:{self.events_port}"]\n{TABLES}'))
        return self.daemon

    def instance(self, name: str = "lb1", rules: str = LOGIN, threads: int = 1) -> HAProxy:
        self.port = free_port()
        text = general(self.events_port) + reporting(self.port, rules, free_port())
        self.instances[name] = self.start_haproxy(name, text, threads=threads)
        return self.instances[name]

    def provoke(self, count: int, path: str = "/401", port: int | None = None) -> None:
        self.assertEqual(http_client.send(port or self.port, count=count, path=path), [int(path[1:])] * count)

    def info(self) -> dict[str, int]:
        return {name: int(value) for name, value in re.findall(r"^(Event_\w+): (\d+)$", self.daemon.ask("show info"), re.M)}

    def wait_count(self, table: str, key: str, data_type: str, expected: int) -> None:
        """And no more than that: whatever else is under way comes before what the agent says now."""
        wait.until(lambda: self.daemon.value(table, key, data_type), lambda value: value is not None and value >= expected,
                   what=f"{data_type} of {key} in {table} is {expected}")
        self.assertEqual(self.daemon.value(table, key, data_type), expected)

    def wait_state(self, *states: str) -> None:
        wait.until(lambda: {row["state"] for row in threads(self.instances["lb1"])}, lambda seen: seen <= set(states),
                   what=f"the connections are {states}")

    def test_failures_of_two_instances_and_eight_threads_add_up(self) -> None:
        self.agent()
        ports = []
        for name in ("lb1", "lb2"):
            self.instance(name, threads=4)
            ports.append(self.port)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self.provoke(5, port=ports[number % 2]), range(40)))
        self.assertEqual(get(ports[0]), {"status": "200"}, "there is nothing to report")
        self.wait_count("login", ME, "gpc0", 200)
        self.assertEqual(self.daemon.value("login", ME, "gpc0_rate"), 200)
        for instance in self.instances.values():
            wait_sums(instance, queued=0, sent=100, dropped=0, lost=0, failures=0)
            wait.until(lambda: {row["thread"] for row in threads(instance)}, lambda seen: seen == {"1", "2", "3", "4"},
                       what="a state for each thread")
        numbers = self.info()
        self.assertEqual((numbers["Event_lines_total"], numbers["Event_lines_counted_total"]), (200, 200))
        wait.until(lambda: sum(sums(one)["connects"] for one in self.instances.values()), what="each connection is counted",
                   accept=lambda count: count == numbers["Event_connections_total"])
        self.assertEqual(self.daemon.errors(), {})

    def test_errors_by_status(self) -> None:
        self.agent()
        self.instance(rules="    http-response lua.stickmesh_report errors\n")
        for path in ("/400", "/404", "/401", "/500", "/503"):
            self.provoke(1, path)
        self.assertEqual(get(self.port, "/404")["reported"], "queued")
        self.assertNotIn("reported", get(self.port))
        self.wait_count("errors", f"::ffff:{ME}", "http_err_cnt", 4)
        self.wait_count("errors", f"::ffff:{ME}", "http_fail_cnt", 2)

    def test_what_a_rule_says_is_reported(self) -> None:
        self.agent()
        rules = ('    http-request set-var(txn.stickmesh.report) str("own gpc0=2 bytes_out_cnt=70") if { path /404 }\n'
                 '    http-request set-var(txn.stickmesh.report) req.hdr(x-report) if { req.hdr(x-report) -m found }\n'
                 "    http-request set-var(txn.stickmesh.report_key) req.hdr(x-key) if { req.hdr(x-key) -m found }\n"
                 "    http-request lua.stickmesh_report any\n" + LOGIN.replace("login", "any"))
        self.instance(rules=rules)
        self.assertEqual(get(self.port, "/404", key="a b%/\u00fc=")["reported"], "queued")
        wait.until(lambda: self.daemon.table("own").get("a b%/\u00fc=", {}), what="both rules have reported it",
                   accept=lambda entry: (entry.get("gpc0"), entry.get("bytes_out_cnt")) == (4, 140))
        self.assertEqual(get(self.port, report="mesh/own gpc0=1")["reported"], "queued")
        self.wait_count("own", ME, "gpc0", 2)
        self.assertEqual(len(self.daemon.table("own")), 2)
        for wrong in ("own", "own gpc0=1\ttrack", "own gpc0=1%0a", "a b c;"):
            self.assertEqual(get(self.port, report=wrong)["reported"], "invalid", wrong)
        self.assertEqual(self.info()["Event_lines_total"], 4)
        self.assertEqual(self.daemon.errors(), {})

    def test_an_agent_that_comes_back_has_what_was_reported_meanwhile(self) -> None:
        self.agent()
        self.instance()
        self.provoke(3)
        self.wait_count("login", ME, "gpc0", 3)
        self.daemon.kill()
        # The end of the connection is noticed without an event.
        self.wait_state("idle")
        self.provoke(50)
        wait.until(lambda: sums(self.instances["lb1"])["failures"], what="it tries to connect")
        wait_sums(self.instances["lb1"], queued=50)
        self.daemon.start()
        self.wait_count("login", ME, "gpc0", 50)  # the killed one had no time to keep its own
        wait_sums(self.instances["lb1"], sent=53, dropped=0, lost=0, connects=2)

    def test_without_an_agent_requests_go_on_and_the_newest_events_are_dropped(self) -> None:
        self.events_port = free_port()
        instance = self.instance()
        self.provoke(4300)
        self.assertEqual(get(self.port, "/401")["reported"], "dropped")
        wait_sums(instance, queued=4096, dropped=205, sent=0)
        self.daemon = self.start_agent(AgentConfig(extra=f'\n[events]\nlisten = ["127.0.0.1:{self.events_port}"]\n{TABLES}'))
        self.wait_count("login", ME, "gpc0", 4096)
        self.provoke(1)
        self.wait_count("login", ME, "gpc0", 4097)

    def test_a_frozen_agent_delays_events_and_no_requests(self) -> None:
        self.agent()
        self.instance()
        self.provoke(1)
        self.wait_count("login", ME, "gpc0", 1)
        assert self.daemon.process is not None
        self.daemon.process.freeze()
        self.provoke(500)
        self.daemon.process.thaw()
        self.wait_count("login", ME, "gpc0", 501)
        wait_sums(self.instances["lb1"], sent=501, lost=0)

    def test_a_soft_restart_counts_nothing_twice(self) -> None:
        self.agent()
        self.instance()
        expected = 0
        for _ in range(3):
            self.provoke(40)
            expected += 40
            self.wait_count("login", ME, "gpc0", expected)
            self.assertIn("is in charge", self.daemon.reload())
            self.wait_state("idle")
        self.provoke(40)
        self.wait_count("login", ME, "gpc0", expected + 40)
        self.assertEqual(self.info()["Event_lines_total"], 40, "of this process")

    def test_a_reload_of_haproxy(self) -> None:
        self.agent()
        instance = self.instance(threads=2)
        old = instance.process
        assert old is not None
        self.provoke(10)
        # What the old process has not sent yet ends with it.
        self.wait_count("login", ME, "gpc0", 10)
        instance.reload()
        self.provoke(10)
        self.wait_count("login", ME, "gpc0", 20)
        self.assertEqual(old.wait(30), 0, "the old process does not stay because of its connections")

    def test_a_connection_without_events_is_closed_and_made_anew(self) -> None:
        self.agent()
        self.instance()
        self.provoke(1)
        self.wait_count("login", ME, "gpc0", 1)
        self.assertEqual(self.info()["Event_connections_total"], 1)
        wait.until(lambda: self.info()["Event_connections"], lambda count: count == 0, what="it is closed")
        self.provoke(1)
        self.wait_count("login", ME, "gpc0", 2)
        self.assertEqual(self.info()["Event_connections_total"], 2)
