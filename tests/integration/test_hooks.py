"""Lua hooks in the agent: messages that a script answers, its limits, what it cannot reach, and its reload."""
from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

from support import spop, wait
from support.agent import Agent, AgentConfig, PeerConfig, check_config
from support.case import MeshTest
from support.layout import Layout
from support.ports import free_port

TABLES = ('\n[[table]]\nname = "clients"\ndefine = "type string len 64 size 100k expire 10m store gpt0,gpc0,gpc0_rate(10m)"\n'
          '\n[[table]]\nname = "addresses"\ndefine = "type ip size 100k expire 10m store gpt0"\n')


class HooksTest(MeshTest):
    needs_haproxy = False

    def hook(self, script: str, keys: str = "", name: str = "site") -> str:
        """The file, and its entry in the config. Sanitized, scripts are slow."""
        if "call-time" not in keys:
            keys += '\ncall-time = "1s"'
        path = self.directory / f"{name}.lua"
        path.write_text(script)
        return f"\n[[hook]]\nfile = {json.dumps(str(path))}\n{keys}\n"

    def agent(self, *hooks: str, **config: object) -> Agent:
        self.spoe_port = free_port()
        self.daemon = self.start_agent(AgentConfig(spoe=[f"127.0.0.1:{self.spoe_port}"], extra=TABLES + "".join(hooks),
                                                   **config))  # type: ignore[arg-type]
        self.client = spop.Client(self.spoe_port)
        self.addCleanup(self.client.close)
        return self.daemon

    def ask(self, name: str, **arguments: object) -> dict[str, object]:
        """What a message is answered, besides `ok`, which it must be."""
        answer = self.client.event(spop.message(name, **arguments))
        self.assertIs(answer.pop("ok"), True)
        return answer

    def shown(self, number: int = 0) -> dict[str, str]:
        """`show lua` of one hook."""
        part = self.daemon.ask("show lua").split("\n\n")[1 + number]
        return dict(line.split(": ", 1) for line in part.strip().splitlines())


class MessageTest(HooksTest):
    def test_arguments_and_variables_of_each_kind(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_message("all", function(event, answer, message)
              answer.kinds = type(event.text) .. type(event.number) .. type(event.yes) .. type(event.none) .. type(event.other)
              answer.text, answer.number, answer.yes, answer.none = event.text, event.number + 1, not event.yes, event.none
              answer.float, answer.message = 3.0, message
            end)"""))
        self.assertEqual(self.ask("all", text="x y", number=-7, yes=True, none=None), {
            "kinds": "stringnumberbooleannilnil", "text": "x y", "number": -6, "yes": False, "none": None, "float": 3,
            "message": "all"})
        self.assertEqual(self.ask("all-use", text="", number=2**40, yes=False), {
            "use.kinds": "stringnumberbooleannilnil", "use.text": "", "use.number": 2**40 + 1, "use.yes": True,
            "use.none": None, "use.float": 3, "use.message": "all-use"})
        self.assertEqual(self.shown()["calls"], "2")
        self.assertIn("Hook_messages_total: 2\n", self.daemon.ask("show spoe"))

    def test_the_whole_name_comes_before_the_kind(self) -> None:
        self.agent(self.hook("""
            for _, name in ipairs({ "page", "page-a" }) do
              stickmesh.on_message(name, function(_, answer) answer.by = name end)
            end"""))
        self.assertEqual(self.ask("page-a"), {"a.by": "page-a"})
        self.assertEqual(self.ask("page-b"), {"b.by": "page"})
        self.assertEqual(self.ask("pages"), {})
        self.assertIn("nothing handles it", self.daemon.ask("show errors"))

    def test_frontends_choose_the_hook(self) -> None:
        self.agent(self.hook('stickmesh.on_message("m", function(_, answer) answer.by = "shop" end)',
                             'frontends = ["shop", "api-*"]', "shop"),
                   self.hook('stickmesh.on_message("m", function(_, answer) answer.by = "all" end)', "", "all"))
        for frontend, by in (("shop", "shop"), ("api-1", "shop"), ("shops", "all"), (None, "all")):
            self.assertEqual(self.ask("m", fe=frontend), {"by": by}, frontend)
        self.assertEqual(self.ask("m"), {"by": "all"})

    def test_tables(self) -> None:
        self.agent(self.hook("""
            local clients = stickmesh.table("clients")
            stickmesh.on_message("count", function(event, answer)
              local before = clients:lookup(event.key)
              local now = clients:track(event.key, { gpc0 = event.by, gpc0_rate = event.by })
              answer.before, answer.gpc0, answer.rate = before and before.gpc0, now.gpc0, now.gpc0_rate
            end)
            stickmesh.on_message("tag", function(event, answer)
              answer.gpt0 = clients:set(event.key, { gpt0 = event.tag }, event.seconds).gpt0
            end)
            stickmesh.on_message("block", function(event)
              stickmesh.block("addresses", event.key, event.seconds, "because")
            end)"""))
        self.assertEqual(self.ask("count", key="joe", by=2), {"before": None, "gpc0": 2, "rate": 2})
        self.assertEqual(self.ask("count", key="joe", by=3), {"before": 2, "gpc0": 5, "rate": 5})
        self.assertEqual(self.ask("tag", key="joe", tag=7), {"gpt0": 7})
        self.assertEqual(self.ask("tag", key="amy", tag=8, seconds=60), {"gpt0": 8})
        self.assertEqual({key: values["gpt0"] for key, values in self.daemon.table("clients").items()}, {"joe": 7, "amy": 8})
        self.assertLessEqual(self.daemon.table("clients")["amy"]["exp"], 60_000)
        self.ask("block", key="192.0.2.1", seconds=60)
        self.assertEqual(self.daemon.value("addresses", "192.0.2.1", "gpt0"), 1)
        self.assertLessEqual(self.daemon.table("addresses")["192.0.2.1"]["exp"], 60_000)

    def test_what_a_table_refuses_is_an_error_of_the_script(self) -> None:
        self.agent(self.hook("""
            local clients, addresses, none = stickmesh.table("clients"), stickmesh.table("addresses"), stickmesh.table("none")
            local tries = {
              function() clients:track(nil, { gpc0 = 1 }) end, function() clients:track("k", { gpc9 = 1 }) end,
              function() clients:track("k", { gpt0 = 1 }) end, function() clients:track("k", { gpc0 = -1 }) end,
              function() clients:track("k", { gpc0 = 1.5 }) end, function() clients:track("k", {}) end,
              function() clients:set("k", { gpt0 = 2^40 }) end, function() clients:set("k", { gpt0 = 1 }, 0) end,
              function() clients:set("k", { gpt0 = 1 }, 0 / 0) end, function() none:lookup("k") end,
              function() addresses:lookup("no address") end, function() clients.track("clients", "k", {}) end,
              function() stickmesh.block("clients", "k") end, function() stickmesh.block("none", "k", 1) end,
              function() clients:set("k", { gpt0 = 1 }, 601) end, function() clients:track({}, { gpc0 = 1 }) end, function() clients:track("k", { 1 }) end,
            }
            stickmesh.on_message("all", function(_, answer)
              for number, try in ipairs(tries) do
                local done, why = pcall(try)
                if done or type(why) ~= "string" then answer["wrong" .. number] = tostring(why) end
                answer.last, answer.count = why, number
              end
            end)"""))
        answer = self.ask("all")
        self.assertRegex(str(answer.pop("last")), r"site\.lua:\d+: a data type's name is wanted")
        self.assertEqual(answer, {"count": 17})
        self.assertEqual(self.daemon.table("clients"), {})

    def test_wrong_answers_are_errors_and_leave_nothing(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_message("m", function(event, answer)
              answer.first = 1
              answer[event.of] = event.value
            end)
            stickmesh.on_message("table", function(event, answer) answer.first = {} end)
            stickmesh.on_message("read", function(event, answer) answer.first = answer.second end)
            stickmesh.on_message("write", function(event) event.first = 1 end)
            stickmesh.on_message("many", function(_, answer) for i = 1, 65 do answer["n" .. i] = i end end)"""))
        self.assertEqual(self.ask("m", of="second", value=2), {"first": 1, "second": 2})
        wrong = ({"of": "a b", "value": 1}, {"of": "", "value": 1}, {"of": "x" * 50, "value": 1}, {"value": 1},
                 {"of": "verdict", "value": "maybe"}, {"of": "verdict", "value": 1}, {"of": "ok", "value": False}, {"of": "retry_after", "value": "soon"},
                 {"of": "long", "value": "x" * 4097})
        for arguments in wrong:
            self.assertEqual(self.ask("m", **arguments), {}, arguments)
        for name in ("table", "read", "write", "many"):
            self.assertEqual(self.ask(name), {}, name)
        self.assertEqual(self.shown()["errors"], str(len(wrong) + 4))
        self.assertEqual(self.daemon.errors()["hook"], len(wrong) + 4)

    def test_a_full_frame_has_room_for_the_verdict(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_message("m", function(event, answer)
              for _, name in ipairs({ "a", "b", "c", "d" }) do answer[name] = event.text end
              answer.verdict, answer.reason, answer.retry_after = "deny", "long", 5
            end)"""))
        verdict = {"verdict": "deny", "reason": "long", "retry_after": 5}
        self.assertEqual(self.ask("m", text="x"), {**verdict, **dict.fromkeys("abcd", "x")})
        answer = self.ask("m", text="x" * 4090)
        self.assertEqual({name: answer[name] for name in verdict}, verdict)
        self.assertLess(set(answer) - set(verdict), set("abcd"))
        self.assertIn("the frame has no room for all variables", self.shown()["Last error"])

    def test_a_message_is_over_when_it_is_answered(self) -> None:
        self.agent(self.hook("""
            local kept
            stickmesh.on_message("keep", function(event, answer) kept = { event, answer } end)
            stickmesh.on_message("read", function(_, answer) answer.x = kept[1].x end)
            stickmesh.every(0.05, function()
              local read, why = pcall(function() return kept[1].x end)
              if kept and not read then stickmesh.metric(why:match("answered already") or why) end
            end)"""))
        self.ask("keep", x=1)
        self.assertEqual(self.ask("read", x=2), {"x": 2}, "it is the message at hand")
        wait.until(self.shown, lambda shown: "metric answered already" in shown, what="the timer finds it over")

    def test_other_functions(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_message("all", function(_, answer)
              answer.time, answer.date, answer.then_ = stickmesh.time(), stickmesh.date("%Y"), stickmesh.date("%F %T", 86399)
              answer.hash, answer.same = stickmesh.hash("joe"), stickmesh.hash("joe") == stickmesh.hash("joe")
              answer.ready = stickmesh.ready()
              stickmesh.metric("calls") stickmesh.metric("twos", 2)
              stickmesh.log.warning("a line\\nof two")
            end)"""))
        wait.until(lambda: self.ask("all")["ready"], bool, what="the agent has learned")
        answer = self.ask("all")
        self.assertRegex(str(answer["hash"]), "^[0-9a-f]{16}$")
        self.assertEqual((answer["then_"], answer["same"]), ("1970-01-01 23:59:59", True))
        self.assertGreater(int(str(answer["time"])), 1_700_000_000)
        shown = self.shown()
        self.assertEqual(int(shown["metric twos"]), 2 * int(shown["metric calls"]))
        self.assertRegex(self.daemon.log(), r"site\.lua:\d+: a line.of two")


class WatchTest(HooksTest):
    def test_updates_and_thresholds_and_timers(self) -> None:
        self.agent(self.hook("""
            local last = {}
            stickmesh.on_update("clients", function(key, totals) last[key] = totals.gpc0 end)
            stickmesh.on_threshold("clients", "gpc0", 10, function(key, totals)
              stickmesh.metric("above") stickmesh.block("addresses", key, 60, totals.gpc0 .. " times")
            end)
            stickmesh.every(0.02, function() stickmesh.metric("ticks") end)
            stickmesh.on_message("last", function(event, answer) answer.gpc0 = last[event.key] end)"""))
        track = spop.message("track", table="clients", key="192.0.2.1", gpc0=1)
        for _ in range(10):
            self.client.event(track)
        wait.until(lambda: self.ask("last", key="192.0.2.1"), lambda answer: answer == {"gpc0": 10}, what="it is told")
        self.assertEqual(self.daemon.table("addresses"), {})
        for _ in range(10):
            self.client.event(track)
        wait.until(lambda: self.daemon.value("addresses", "192.0.2.1", "gpt0"), lambda value: value == 1, what="it is blocked")
        wait.until(lambda: self.ask("last", key="192.0.2.1"), lambda answer: answer == {"gpc0": 20}, what="it is told")
        self.assertEqual(self.shown()["metric above"], "1", "once, while it stays above")
        wait.until(lambda: int(self.shown()["metric ticks"]), lambda ticks: ticks > 3, what="the timer runs")
        # It falls, and comes above again.
        self.daemon.ask("set table clients key 192.0.2.1 data.gpc0 1")
        wait.until(lambda: self.ask("last", key="192.0.2.1"), lambda answer: answer == {"gpc0": 1}, what="it has fallen")
        self.daemon.ask("set table clients key 192.0.2.1 data.gpc0 30")
        wait.until(lambda: self.shown()["metric above"], lambda above: above == "2", what="it is above again")

    def test_peers(self) -> None:
        self.needs_haproxy = True
        self.agent(self.hook("""
            stickmesh.on_peer(function(name, up) stickmesh.metric(name .. (up and " up" or " down")) end)"""),
            peers=[PeerConfig("lb1")])
        layout = Layout("lb1", self.daemon.port)
        instance = self.start_haproxy("lb1", layout.config())
        wait.until(self.shown, lambda shown: shown.get("metric lb1 up") == "1", what="it is there")
        instance.kill()
        wait.until(self.shown, lambda shown: shown.get("metric lb1 down") == "1", what="it is away")


class LimitsTest(HooksTest):
    def test_time(self) -> None:
        escapes = {
            "loop": "while true do end",
            "pcall": "while true do pcall(function() while true do end end) end",
            "recursion": "local function f() return pcall(f) end while true do f() end",
            "sort": "local t = {} for i = 1, 10000 do t[i] = i end while true do table.sort(t, function() return false end) end",
            "pattern": 'while true do pcall(string.find, ("a"):rep(3000), ".-.-.-.-b") end',
            "gsub": '("x"):rep(1000):gsub("x", function() while true do end end)',
            "tostring": "local t = setmetatable({}, { __tostring = function() while true do end end }) tostring(t)",
            "index": "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
            "close": "do local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x') end",
            "repetition": 'local s = (""):rep(2^53) while true do s = ("x"):rep(1000) end',
        }
        script = "".join(f'stickmesh.on_message("{name}", function(event, answer) answer.begun = 1 {code} end)\n'
                         for name, code in escapes.items())
        self.agent(self.hook(script + 'stickmesh.on_message("fine", function(_, answer) answer.x = 1 end)',
                             'call-time = "5ms"\non-error = "deny"'))
        for number, name in enumerate(escapes, 1):
            if number % 4 == 0:
                self.reload()  # or it would be bypassed for what it has done
            self.assertEqual(self.ask(name), {"verdict": "deny", "reason": "hook-failed"}, name)
            self.assertIn("hook", self.daemon.errors(), name)
            self.assertEqual(self.ask("fine"), {"x": 1}, name)
        self.assertEqual(int(self.shown()["out_of_time"]), len(escapes), self.shown())

    def reload(self) -> None:
        generation = int(self.shown()["generation"])
        os.kill(self.daemon.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
        wait.until(lambda: int(self.shown()["generation"]), lambda now: now == generation + 1, what="it is loaded anew")

    def test_memory(self) -> None:
        self.agent(self.hook("""
            stickmesh.on_message("table", function() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end)
            stickmesh.on_message("text", function() local s = "x" while true do s = s .. s end end)
            stickmesh.on_message("long", function() return ("x"):rep(2^40) end)
            stickmesh.on_message("fine", function(_, answer) answer.x = 1 end)""",
                             'call-time = "1s"\nmemory = "1MiB"\non-error = "allow"'))
        for name in ("table", "text", "long"):
            self.assertEqual(self.ask(name), {"verdict": "allow", "reason": "hook-failed"}, name)
            self.assertEqual(self.ask("fine"), {"x": 1}, name)
        shown = self.shown()
        self.assertEqual((shown["out_of_memory"], shown["errors"]), ("2", "3"))
        self.assertLess(int(shown["memory"]), 1 << 20)

    def test_what_reaches_out_is_not_there(self) -> None:
        absent = ["io", "os", "package", "require", "debug", "coroutine", "load", "loadstring", "loadfile", "dofile",
                  "collectgarbage", "print", "xpcall", "string.dump", "string.pack", "table.move", "math.randomseed"]
        refused = ["setmetatable({}, { __gc = function() end })", "table.concat(setmetatable({}, { __len = function() return 2^53 end }))",
                   "table.remove(setmetatable({}, { __len = function() return 2^53 end }), 1)", 'stickmesh.on_message("x", print)',
                   'getmetatable(stickmesh.table("clients")).x()', 'getmetatable(event).x()', 'error()']
        self.agent(self.hook(
            'stickmesh.on_message("absent", function(event, answer)\n' +
            "".join(f'if {name} ~= nil then answer.there = "{name}" end\n' for name in absent) + "end)\n" +
            'stickmesh.on_message("refused", function(event, answer)\n' +
            "".join(f"if pcall(function() {code} end) then answer.done = {number} end\n" for number, code in enumerate(refused)) +
            "end)"))
        self.assertEqual(self.ask("absent"), {})
        self.assertEqual(self.ask("refused"), {})
        self.assertEqual(self.shown()["errors"], "0")

    def test_one_that_keeps_failing_is_bypassed(self) -> None:
        self.agent(self.hook("""stickmesh.on_message("m", function(event) error("no") end)
            stickmesh.on_threshold("clients", "gpc0", 5, function() stickmesh.metric("above") end)
            stickmesh.on_threshold("clients", "gpc7", 5, function() end)""", 'on-error = "deny"'))
        # At once: what fails only now and then is not bypassed.
        self.client.send(b"".join(spop.notify(number, 1, spop.message("m")) for number in range(60)))
        for answer in self.client.acks(60):
            self.assertEqual(spop.variables(answer.payload), {"ok": True, "verdict": "deny", "reason": "hook-failed"})
        self.client.event(spop.message("track", table="clients", key="joe", gpc0=6))
        wait.until(self.shown, lambda shown: shown.get("metric above") == "1", what="thresholds go on")
        self.assertIn("on_threshold: table 'clients' stores no gpc7", self.daemon.ask("show errors"))
        shown = self.shown()
        self.assertEqual((shown["calls"], shown["errors"], shown["bypassed"]), ("51", "50", "10"))
        self.assertRegex(shown["State"], r"^messages: bypassed for \d+ s$")
        self.assertRegex(shown["Last error"], r"site\.lua:1: no$")
        self.assertIn("its functions of messages are bypassed for 30 s", self.daemon.log())


class LoadTest(HooksTest):
    def test_a_reload_and_a_bad_script(self) -> None:
        path = self.directory / "site.lua"
        self.agent(self.hook('stickmesh.on_message("m", function(_, answer) answer.generation = 1 end)'))
        self.assertEqual(self.ask("m"), {"generation": 1})
        path.write_text('stickmesh.on_message("m", function(_, answer) answer.generation = 2 end)')
        self.hang_up("2")
        self.assertEqual(self.ask("m"), {"generation": 2})
        for bad, words in (("\nthis is no Lua", "site.lua:2: syntax error"), ("\n\nerror('no')", "site.lua:3: no"),
                           ("while true do end", "it ran longer than call-time"), ("\x1bLua", "attempt to load a binary chunk"),
                           ('stickmesh.on_message("track", function() end)', "'track' is built in"),
                           ('for i = 1, 2 do stickmesh.on_message("m", function() end) end', "has a function already"),
                           ('stickmesh.every(0, function() end)', "not between 0.01 and 86400"),
                           ('stickmesh.on_message("m", 1)', "function expected")):
            path.write_text(bad)
            os.kill(self.daemon.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
            wait.until(lambda: self.shown().get("Not loaded", ""), lambda shown: words in shown, what=words)
            self.assertEqual(self.ask("m"), {"generation": 2}, bad)
        path.unlink()
        os.kill(self.daemon.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
        wait.until(lambda: self.shown().get("Not loaded", ""), lambda shown: "No such file" in shown, what="it is gone")
        path.write_text('stickmesh.on_message("m", function(_, answer) answer.generation = 3 end)')
        self.hang_up("3")
        self.assertNotIn("Not loaded", self.shown())
        self.assertEqual(self.ask("m"), {"generation": 3})

    def hang_up(self, generation: str) -> None:
        os.kill(self.daemon.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
        wait.until(lambda: self.shown()["generation"], lambda shown: shown == generation, what=f"generation {generation}")

    def test_a_soft_restart_loads_it_anew_or_fails(self) -> None:
        path = self.directory / "site.lua"
        self.agent(self.hook('stickmesh.on_message("m", function(_, answer) answer.generation = 1 end)'))
        path.write_text("no Lua")
        self.assertIn("site.lua:1:", self.daemon.ask("reload"))
        self.assertEqual(self.ask("m"), {"generation": 1})
        path.write_text('stickmesh.on_message("m", function(_, answer) answer.generation = 2 end)')
        self.assertRegex(self.daemon.reload(), "^done: ")
        self.assertEqual(self.ask("m"), {"generation": 2}, "the connection goes on")

    def test_a_check_loads_the_scripts(self) -> None:
        good = self.hook('stickmesh.on_message("m", function() end)')
        self.assertEqual(check_config(good, self.directory)[0], 0)
        code, output = check_config(self.hook("x = = 1"), self.directory)
        self.assertEqual(code, 1)
        self.assertRegex(output, r"(?m)^\S+\.toml:\d+: hook\.file: \S+site\.lua:1: unexpected symbol near '='")
        both = '[[hook]]\nfile = "/nowhere/x.lua"\n[[hook]]\nfile = "/nowhere/y.lua"\n[redis]\npassword-file = "/nowhere/z"\n'
        code, output = check_config(both, self.directory)
        self.assertEqual(code, 1)
        found = re.findall(r"(?m)^\S+\.toml:(\d+): (\S+): (\S+): No such file", output)
        self.assertEqual([(key, path) for _, key, path in found],
                         [("hook.file", "/nowhere/x.lua"), ("hook.file", "/nowhere/y.lua"),
                          ("redis.password-file", "/nowhere/z")], output)
        lines = [int(line) for line, _, _ in found]
        self.assertEqual([line - lines[0] for line in lines], [0, 2, 4], "each at its table")
