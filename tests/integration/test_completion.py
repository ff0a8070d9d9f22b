"""Completion for bash, in an interactive one, beside a running agent."""
from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from support import manual, wait, wire
from support.agent import Agent, AgentConfig, PeerConfig, control_path, daemon_path
from support.bash_line import BashLine
from support.case import MeshTest

_COMPLETION = manual.ROOT / "packaging/completion"

# Where `hit` would appear if one of them were run.
_ODD = ["$(touch${IFS}hit)", "`touch${IFS}hit`", "<(touch${IFS}hit)", "{a,b}", "~root", "\"'", "!!", "-s", "&|>x[ab]*"]
_NOT_OFFERED = ["$(touch hit)", "a b", "x;reload", "y\\;reload", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "z\\"]

_TABLES = """
[[table]]
name = "login"
define = "type string len 64 size 1k expire 10m store gpc0,gpc0_rate(1m)"

[[table]]
name = "shop:one"
define = "type string len 64 size 1k expire 10m store gpc0"

[[table]]
name = "arrays"
define = "type string len 64 size 1k expire 10m store gpt(2),gpc(2),gpc_rate(2,1m),server_key"

[[limit]]
name = "api"
table = "login"
type = "gpc0_rate"
above = 10

[[limit]]
name = "logins"
table = "login"
type = "gpc0"
above = 10
"""


class CompletionTest(MeshTest):
    needs_haproxy = False

    def setUp(self) -> None:
        super().setUp()
        self.ctl = f"stickmeshctl -s {self.directory}/admin.sock "

    def start(self) -> Agent:
        peers = [PeerConfig("lb1"), PeerConfig("lb2"), PeerConfig("agent-2", kind="agent")]
        return self.start_agent(AgentConfig(peers=peers, extra=_TABLES))

    def tools(self) -> Path:
        """A folder with a `timeout` that is as patient as a busy machine needs it, unless a test is about the real one: the
        completion gives the agent a second."""
        folder = self.directory / "tools"
        folder.mkdir()
        program = folder / "timeout"
        program.write_text(f'#!/bin/sh\n[ -e {folder}/as-it-is ] || {{ shift; set -- 30 "$@"; }}\n'
                           f'exec {shutil.which("timeout")} "$@"\n')
        program.chmod(0o755)
        return folder

    def bash(self) -> BashLine:
        folders = [str(self.tools()), *(str(Path(program).resolve().parent) for program in (control_path(), daemon_path()))]
        bash = BashLine(self.directory, {"PATH": ":".join([*folders, os.environ["PATH"]]), "HOME": str(self.directory)})
        self.addCleanup(bash.close)
        self._sources.append(("bash", bash.output))
        bash.run(f"source {_COMPLETION}/stickmeshctl; source {_COMPLETION}/stickmeshd")
        return bash

    def offered(self, bash: BashLine, line: str) -> set[str]:
        """Everything that could stand where |line| ends."""
        before = line[:len(line) - len(line.split(" ")[-1])]
        text = bash.inserted(line)
        self.assertTrue(text.startswith(before), text)
        found = set(shlex.split(text[len(before):]))
        return found - {""} if line.endswith(" ") or text != line else set()

    def test_commands_and_their_words_are_those_of_help(self) -> None:
        usages = manual.usages(self.start().ask("help"))
        bash = self.bash()
        first = {usage.split()[0] for usage in usages}
        self.assertEqual(self.offered(bash, self.ctl), first)
        for word in first - {"whatif"}:
            self.assertEqual(self.offered(bash, f"{self.ctl}{word} "),
                             {usage.split()[1] for usage in usages if usage.startswith(f"{word} ")}, word)
        values = {"NAME": "login", "TABLE": "login", "K": "joe", "TYPE": "gpc0", "OP": "gt", "VALUE": "1", "V": "1",
                  "LIMIT": "10", "TIME": "10s", "data.TYPE": "data.gpc0"}
        for usage in usages:
            line = self.ctl
            for word in usage.replace("[", "").replace("]", "").replace(" ...", "").split():
                fixed = {part for part in word.split("|") if part.islower() and part.isalpha()}
                if word == "OP":
                    fixed = {"eq", "ne", "lt", "le", "gt", "ge"}
                elif word == "data.TYPE":
                    fixed = {"data.gpc0", "data.gpc0_rate"}
                if fixed:
                    self.assertLessEqual(fixed, self.offered(bash, line), f"{usage}: {line}")
                line += values.get(word, word) + " "

    def test_names_and_data_types_are_those_of_the_agent(self) -> None:
        daemon, bash = self.start(), self.bash()
        names = {"login", "shop:one", "arrays"}
        both = names | {f"{name}.total" for name in names}
        for command in ("show table", "set table", "clear table", "whatif"):
            self.assertEqual(self.offered(bash, f"{self.ctl}{command} "), both, command)
        for command, peers in (("show peers", {"lb1", "lb2", "agent-2"}), ("set peer", {"lb1", "lb2"}),
                               ("forget peer", {"lb1", "lb2"}), ("set limit", {"api", "logins"})):
            self.assertEqual(self.offered(bash, f"{self.ctl}{command} "), peers, command)
        self.assertEqual(bash.completed(f"{self.ctl}show table shop:one.t"), f"{self.ctl}show table shop:one.total ")
        self.assertEqual(bash.completed(f"{self.ctl}show table shop:"), f"{self.ctl}show table shop:one")
        self.assertEqual(self.offered(bash, f"{self.ctl}whatif login "), {"gpc0", "gpc0_rate"})
        self.assertEqual(self.offered(bash, f"{self.ctl}show table login.total "),
                         {"key", "origins", "json", "data.gpc0", "data.gpc0_rate"})
        self.assertEqual(self.offered(bash, f"{self.ctl}set table login key joe "),
                         {"expire", "data.gpc0", "data.gpc0_rate"})
        self.assertEqual(self.offered(bash, f"{self.ctl}set table login key joe expire 10s data.gpc0 1 "),
                         {"data.gpc0", "data.gpc0_rate"})
        types = self.offered(bash, f"{self.ctl}whatif arrays ")
        self.assertEqual(types, {"gpt0", "gpt1", "gpc0", "gpc1", "gpc0_rate", "gpc1_rate", "server_key"})
        for name in types - {"server_key"}:
            self.assertTrue(daemon.ask(f"whatif arrays {name} 1").startswith("# key"), name)
        for line in ("set table login key ", "set table login key joe expire ", "set table login key joe data.gpc0 ",
                     "show table login key ", "show table login data.gpc0 gt ", "clear table login key ",
                     "whatif login gpc0 ", "whatif login gpc0 1 since ", "show info ", "reload ", "nonsense "):
            self.assertEqual(self.offered(bash, self.ctl + line), set(), line)

    def test_options(self) -> None:
        self.start()
        bash = self.bash()
        for program, path in (("stickmeshctl", control_path()), ("stickmeshd", daemon_path())):
            self.assertEqual(self.offered(bash, f"{program} -"),
                             {form for pair in manual.options(path) for form in pair}, program)
        for option in ("-s ", "--socket ", "--socket="):
            self.assertEqual(bash.completed(f"stickmeshctl {option}{self.directory}/adm"),
                             f"stickmeshctl {option}{self.directory}/admin.sock ", option)
        for option in ("-f ", "--config ", "--config="):
            self.assertEqual(bash.completed(f"stickmeshd {option}{self.directory}/stick"),
                             f"stickmeshd {option}{self.directory}/stickmesh.toml ", option)
        for option in ("--socket=", "-s ~/../../", "-v -s "):
            self.assertIn("login", self.offered(bash, f"stickmeshctl {option}{self.directory}/admin.sock show table "))

    def test_names_that_the_shell_would_run_are_quoted(self) -> None:
        daemon = self.start()
        names = enumerate(_ODD + _NOT_OFFERED, 1)
        session = self.dial(daemon.port, "agent-1", "lb1",
                            [wire.Table(f"/{name}", [wire.DataType("gpc0")], number=number) for number, name in names])
        for table in session.tables:
            session.define(table)
        wait.until(lambda: {row["name"] for row in daemon.tables()}, lambda names: names >= set(_ODD + _NOT_OFFERED),
                   what="the agent has all tables")
        bash = self.bash()
        offered = self.offered(bash, f"{self.ctl}show table ")
        offered = {name for name in offered if not name.endswith(".total")}
        self.assertEqual(offered - {"login", "shop:one", "arrays"}, set(_ODD))
        for name in _ODD:
            begun = f"{self.ctl}show table {name[0] if name[0] in '-~' else chr(92) + name[0]}"
            words = {shlex.split(word)[0]: word for word in bash.inserted(begun).split("show table ")[1].split()}
            self.assertIn(name, words)
            # From what is before the suffix on, the total is the only one left.
            total = words[f"{name}.total"]
            completed = bash.completed(f"{self.ctl}show table {total.removesuffix('otal')}")
            self.assertEqual(completed, f"{self.ctl}show table {total} ")
            bash.run(f"{completed} >answer")
            self.assertEqual((self.directory / "answer").read_text().split(", type:")[0], f"# table: {name}.total")
            self.assertFalse((self.directory / "hit").exists(), name)

    def test_an_agent_that_does_not_answer_is_not_waited_for(self) -> None:
        daemon, bash = self.start(), self.bash()
        assert daemon.process is not None
        (self.directory / "tools/as-it-is").touch()
        daemon.process.freeze()
        self.assertEqual(self.offered(bash, f"{self.ctl}show table "), set())
        self.assertIn("table", self.offered(bash, f"{self.ctl}show "))
        daemon.process.thaw()
        (self.directory / "tools/as-it-is").unlink()
        self.assertIn("login", self.offered(bash, f"{self.ctl}show table "))
        daemon.stop()
        self.assertEqual(self.offered(bash, f"{self.ctl}show table "), set())
        self.assertIn("table", self.offered(bash, f"{self.ctl}show "))
        self.assertNotIn("is stickmeshd running", bash.output())
