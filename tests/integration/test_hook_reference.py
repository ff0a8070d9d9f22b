"""lua/hooks/README.md: each example does what its first line says, and the page lacks nothing that a script can call."""
from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Callable

from integration.test_hooks import TABLES, HooksTest
from support import agent, spop, wait
from support.agent import AgentConfig, PeerConfig, check_config
from support.case import HaproxyTest
from support.ports import free_port

PAGE = agent.ROOT / "lua/hooks/README.md"


def blocks(language: str) -> list[tuple[str, str]]:
    """The code in that language, each with the heading that it stands under."""
    found, heading = [], ""
    for line, code in re.findall(rf"^(#+ [^\n]+)$|^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        if code:
            found.append((heading, code))
        else:
            heading = line.lstrip("# ")
    return found


def section(title: str) -> str:
    """What stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    if found is None:
        raise LookupError(title)
    return found[1]


def headings() -> list[str]:
    return re.findall(r"^### (.+)$", section("Functions"), re.M)


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def source(path: str) -> str:
    return (agent.ROOT / path).read_text()


def registered() -> set[str]:
    """What a script can call, as the page's headings have it."""
    functions, log = re.findall(r"kFunctions\[\] = \{(.*?)\};|kLog\[\] = \{(.*?)\};", source("agent/hooks/api.cc"), re.S)
    names = set(re.findall(r'\{"(\w+)"', functions[0])) | {f"log.{name}" for name in re.findall(r'\{"(\w+)"', log[1])}
    own, plain = source("agent/hooks/table_functions.cc").split('"__index"')
    added = r'\badd\(state, host, "(\w+)"'
    return names | {f"TABLE:{name}" for name in re.findall(added, own)} | set(re.findall(added, plain))


class PageTest(HaproxyTest):
    needs_haproxy = False

    def test_every_function_is_on_the_page_and_no_other(self) -> None:
        named = {name for heading in headings() for name in re.findall(r"(?:TABLE:|log\.)?\w+(?=\(|, log|$)", heading)
                 if not heading.startswith(("event.", "answer."))}
        self.assertGreater(len(registered()), 15)
        self.assertEqual(named, registered())
        self.assertLessEqual({"event.NAME", "answer.NAME = value"}, set(headings()))

    def test_every_function_has_one_example(self) -> None:
        self.assertEqual([heading for heading, _ in blocks("lua")], headings())
        self.assertEqual(PAGE.read_text().count("```lua\n"), len(headings()))

    def test_every_key_of_the_config_is_on_the_page(self) -> None:
        read = re.search(r"void read_hook\(.*?\n\}", source("agent/config/sections_spoe.cc"), re.S)
        assert read is not None
        keys = re.findall(r'section\.(?:require|read)\("([\w-]+)"', read[0])
        self.assertEqual(re.findall(r"^\| `([\w-]+)` \|", section("Config"), re.M), keys)

    def test_what_the_sandbox_takes_away_is_on_the_page(self) -> None:
        gone = set()
        names = {"LUA_GNAME": "", "LUA_STRLIBNAME": "string.", "LUA_TABLIBNAME": "table.", "LUA_MATHLIBNAME": "math."}
        for table, removed in re.findall(r"remove\(state, (\w+),\s*\{(.*?)\}\)", source("agent/lua/sandbox.cc"), re.S):
            gone |= {names[table] + name for name in re.findall(r'"(\w+)"', removed)}
        self.assertGreater(len(gone), 10)
        self.assertLessEqual(gone - {"_VERSION"}, set(quoted(section("What there is of Lua"))))


class ExamplesTest(HooksTest):
    """One agent with all of them, each a hook of its own."""

    def setUp(self) -> None:
        super().setUp()
        tables = next(code for heading, code in blocks("toml") if "[[table]]" in code)
        hooks = []
        for number, (_, code) in enumerate(blocks("lua")):
            path = self.directory / f"{number}.lua"
            path.write_text(code)
            hooks.append(f"\n[[hook]]\nfile = {json.dumps(str(path))}\ncall-time = \"1s\"\n")
        self.spoe_port = free_port()
        self.daemon = self.start_agent(AgentConfig([PeerConfig("lb1")], spoe=[f"127.0.0.1:{self.spoe_port}"],
                                                   extra=f"\n{tables}" + "".join(hooks)))
        self.client = spop.Client(self.spoe_port)
        self.addCleanup(self.client.close)

    def test_each_does_what_it_says(self) -> None:
        tests: dict[str, Callable[[], None]] = {
            "on_message(name, function)": self._on_message, "event.NAME": self._event, "answer.NAME = value": self._answer,
            "table(name)": self._table, "TABLE:track(key, values)": self._track, "TABLE:lookup(key)": self._lookup,
            "TABLE:set(key, values [, seconds])": self._set, "block(table, key, seconds [, reason])": self._block,
            "on_update(table, function)": self._on_update, "on_threshold(table, type, above, function)": self._on_threshold,
            "on_peer(function)": self._on_peer, "every(seconds, function)": self._every, "metric(name [, more])": self._metric,
            "time()": self._time, "date(format [, time])": self._date, "hash(text)": self._hash, "ready()": self._ready,
            "log.debug(value), log.info, log.notice, log.warning, log.error": self._log}
        self.assertEqual([heading for heading, _ in blocks("lua")], list(tests), "what each promises is tested here")
        for number, test in enumerate(tests.values()):
            self.number = number
            with self.subTest(list(tests)[number]):
                test()
        self.number = 0
        self.assertNotIn("hook", self.daemon.errors(), self.daemon.ask("show errors"))

    def _wait_metric(self, name: str, value: int) -> None:
        wait.until(lambda: self.shown(self.number).get(f"metric {name}"), lambda shown: shown == str(value), what=name)

    def _on_message(self) -> None:
        self.assertEqual(self.ask("m", who="joe"), {"greeting": "hello joe"})
        self.assertEqual(self.ask("m-x"), {"x.greeting": "hello nobody"})

    def _event(self) -> None:
        self.assertEqual(self.ask("types", n=1, yes=True, s="text", none=None), {"types": "integer boolean string nil"})

    def _answer(self) -> None:
        self.assertEqual(self.ask("size", bytes=2000), {"verdict": "deny", "reason": "too-large", "retry_after": 60})
        self.assertEqual(self.ask("size", bytes=10), {"verdict": "allow"})

    def _table(self) -> None:
        self.assertEqual(self.ask("known", table="clients"), {"known": True})
        self.assertEqual(self.ask("known", table="other"), {"known": False})

    def _track(self) -> None:
        self.assertEqual([self.ask("count", who="joe") for _ in range(2)], [{"gpc0": 2}, {"gpc0": 4}])
        self.assertEqual(self.daemon.value("clients", "joe", "gpc0_rate"), 4)

    def _lookup(self) -> None:
        self.assertEqual(self.ask("seen", who="new"), {"seen": False, "count": 0})
        self.assertEqual(self.ask("seen", who="joe"), {"seen": True, "count": 4})

    def _set(self) -> None:
        self.assertEqual(self.ask("tag", who="joe", tag=7), {"gpt0": 7})
        self.assertLessEqual(self.daemon.table("clients")["joe"]["exp"], 60_000)
        self.assertEqual(self.daemon.value("clients", "joe", "gpc0"), 4, "what is not named stays")

    def _block(self) -> None:
        self.assertEqual(self.ask("ban", src="192.0.2.1"), {})
        entry = self.daemon.table("bans")["192.0.2.1"]
        self.assertEqual(entry["gpt0"], 1)
        self.assertTrue(60_000 < int(entry["exp"]) <= 600_000, entry)
        self.assertRegex(self.daemon.log(), "a hook blocks a key of table 'bans' for 600 s: asked for")

    def _on_update(self) -> None:
        self.client.event(spop.message("track", table="clients", key="amy", gpc0=1))
        wait.until(lambda: self.ask("latest"), lambda answer: answer == {"who": "amy"}, what="it is told of amy")

    def _on_threshold(self) -> None:
        self.client.event(spop.message("track", table="clients", key="max", gpc0=11))
        self._wait_metric("above 10", 1)

    def _on_peer(self) -> None:
        session = self.dial(self.daemon.port, "agent-1", "lb1")
        self._wait_metric("lb1 came", 1)
        session.close()
        self._wait_metric("lb1 went", 1)

    def _every(self) -> None:
        wait.until(lambda: int(self.shown(self.number).get("metric ticks", 0)), lambda ticks: ticks > 2, what="ticks")

    def _metric(self) -> None:
        for _ in range(2):
            self.ask("order", amount=5)
        self._wait_metric("orders", 2)
        self._wait_metric("amount", 10)

    def _time(self) -> None:
        before = int(time.time())
        answer = self.ask("now")
        self.assertTrue(before <= int(str(answer["now"])) <= time.time())
        self.assertEqual((int(str(answer["now"])) + int(str(answer["left"]))) % 86400, 0)

    def _date(self) -> None:
        self.assertEqual(self.ask("day", at=86400), {"day": "1970-01-02 00:00"})

    def _hash(self) -> None:
        self.assertEqual(self.ask("hash", text="joe"), {"hash": "45926168cefb65d5"})
        self.assertIn("45926168cefb65d5", PAGE.read_text())

    def _ready(self) -> None:
        wait.until(lambda: self.ask("ready"), lambda answer: answer == {"ready": True}, what="the agent is ready")

    def _log(self) -> None:
        self.ask("note", text="hi")
        self.assertRegex(self.daemon.log(), rf"notice: hook \S+/{self.number}\.lua:3: somebody says hi\n")


class FactsTest(HooksTest):
    """What the page says beside its examples, and test_hooks does not see."""

    def test_its_config_is_valid(self) -> None:
        script = self.directory / "login.lua"
        script.write_text("")
        text = "".join(code for _, code in blocks("toml"))
        self.assertIn("/etc/stickmesh/hooks.d/login.lua", text)
        code, output = check_config(text.replace("/etc/stickmesh/hooks.d/login.lua", str(script)), self.directory)
        self.assertEqual(code, 0, output)

    def test_variables_and_uses(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_message("m", function(_, answer)
              answer.x, answer.gone = 1, nil
              answer.x = 2
            end)
            stickmesh.on_message("long", function(event, answer) answer[("x"):rep(event.size)] = 1 end)"""))
        self.assertEqual(self.ask("m-a-b.c"), {"a_b.c.x": 2, "a_b.c.gone": None})
        self.assertEqual(self.ask("long-use", size=45), {"use." + "x" * 45: 1})
        self.assertEqual(self.ask("long-use", size=46), {})

    def test_the_first_hook_decides(self) -> None:
        self.agent(self.hook('stickmesh.on_message("m", function(_, answer) answer.by = "kind" end)', "", "first"),
                   self.hook('stickmesh.on_message("m-x", function(_, answer) answer.by = "name" end)', "", "second"),
                   self.hook('stickmesh.on_message("e", function(_, answer) error("no") end)', "", "third"),
                   self.hook('stickmesh.on_message("e", function(_, answer) answer.by = "fourth" end)', "", "fourth"))
        self.assertEqual(self.ask("m-x"), {"x.by": "kind"})
        self.assertEqual(self.ask("e"), {}, "no other is asked when it fails")

    def test_no_table_while_the_file_is_loaded(self) -> None:
        code, output = check_config(TABLES + self.hook('stickmesh.table("clients"):lookup("k")'), self.directory)
        self.assertEqual(code, 1)
        self.assertIn("tables are for functions", output)

    def test_what_a_failed_call_leaves(self) -> None:
        self.agent(self.hook("""
            count = 0
            stickmesh.on_message("m", function(event, answer)
              count = count + 1
              answer.x = count
              stickmesh.table("clients"):track("k", { gpc0 = 1 })
              if event.fail then error("no") end
            end)"""))
        answers = self.client.event(spop.message("m", fail=True), spop.message("m-other"))
        self.assertEqual(answers, {"ok": True, "other.x": 2}, "the event's other message is answered")
        self.assertEqual(self.daemon.value("clients", "k", "gpc0"), 2)

    def test_a_threshold_whose_call_has_failed_is_told_again(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_threshold("clients", "gpc0", 5, function(key)
              stickmesh.metric("called")
              if key == "joe" then error("no") end
            end)
            stickmesh.on_update("clients", function() stickmesh.metric("updates") end)"""))
        for key, updates in (("joe", 1), ("joe", 2), ("amy", 3)):
            self.client.event(spop.message("track", table="clients", key=key, gpc0=6))
            for name in ("updates", "called"):
                wait.until(lambda: self.shown().get(f"metric {name}"), lambda count: count == str(updates),
                           what=f"{name}: {updates}")
        self.assertEqual(self.shown()["errors"], "2")

    def test_lines_of_the_log(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_message("m", function()
              stickmesh.log.info(("x"):rep(2000))
              for number = 1, 30 do stickmesh.log.info(number) end
            end)"""))
        self.ask("m")
        self.assertEqual(re.findall(r"site\.lua:4: (\d+)\n", self.daemon.log()), [str(number) for number in range(1, 10)])
        self.assertEqual(self.shown()["metric log lines left out"], "21")
        long = re.search(r"site\.lua:3: (x+)", self.daemon.log())
        self.assertEqual(len(long[1]) if long else 0, 1024)

    def test_a_reload_keeps_tables_metrics_and_counters(self) -> None:
        self.agent(self.hook("""
            count = 0
            stickmesh.on_message("m", function(_, answer)
              count = count + 1
              stickmesh.metric("asked")
              answer.count, answer.gpc0 = count, stickmesh.table("clients"):track("k", { gpc0 = 1 }).gpc0
            end)"""))
        self.ask("m")
        self.assertEqual(self.ask("m"), {"count": 2, "gpc0": 2})
        os.kill(self.daemon.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
        wait.until(self.shown, lambda shown: shown["generation"] == "2", what="it is loaded anew")
        self.assertEqual(self.ask("m"), {"count": 1, "gpc0": 3})
        self.assertEqual((self.shown()["metric asked"], self.shown()["calls"]), ("3", "3"))
        self.daemon.reload()
        self.assertEqual(self.ask("m"), {"count": 1, "gpc0": 4})
        self.assertEqual((self.shown()["metric asked"], self.shown()["generation"]), ("1", "1"))

    def test_a_bad_script_at_the_start(self) -> None:
        bad = self.hook("\nx = = 1")
        with self.assertRaisesRegex(AssertionError, r"ended with 1:(.*\n)+.*site\.lua:2: unexpected symbol near '='"):
            self.agent(bad)

    def test_what_there_is(self) -> None:
        """The names of the page are those of a script, and `show lua` has the lines of the page."""
        self.agent(self.hook("""
            stickmesh.on_message("names", function(_, answer)
              local names = {}
              for name in pairs(_G) do names[#names + 1] = name end
              answer.names = table.concat(names, " ")
              stickmesh.metric("x")
            end)
            stickmesh.on_message("fail", function() error("no") end)"""))
        there = set(str(self.ask("names")["names"]).split()) - {"_G", "stickmesh"}
        self.assertEqual(set(quoted(section("What there is of Lua").split("\n- ")[0])), there)
        self.ask("fail")
        Path(self.directory / "site.lua").write_text("no Lua")
        os.kill(self.daemon.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
        wait.until(self.shown, lambda shown: "Not loaded" in shown, what="it is not loaded")
        rows = [name for line in re.findall(r"^\| (`.+?) \|", section("show lua"), re.M) for name in quoted(line)]
        self.assertEqual(rows, [re.sub("^metric .*", "metric NAME", name) for name in self.shown()])
