"""stickmeshd -c: what is valid, what is not, and where."""
from __future__ import annotations

import subprocess
from pathlib import Path

from support import agent, wait
from support.agent import AgentConfig, PeerConfig, check_config
from support.case import MeshTest
from support.ports import free_port

GOOD = """[agent]
name = "agent-1"
state-dir = "{dir}"

[admin]
socket = "{dir}/admin.sock"

[peers]
listen = ["127.0.0.1:10300"]

[[peer]]
name = "lb1"
address = "192.0.2.11:10000"

[[aggregate]]
from = "http"
to = "http.total"
"""

# Changed text, what it becomes, the line of the finding, and words that its message must have.
BAD: dict[str, tuple[str, str, int, list[str]]] = {
    "a syntax error": ('name = "agent-1"', 'name = "agent-1', 2, []),
    "an unknown key": ('name = "lb1"', 'name = "lb1"\ncolour = "red"', 13, ["colour"]),
    "an unknown section": ("[[aggregate]]", "[[agregate]]", 15, ["agregate"]),
    "a number for a name": ('name = "lb1"', "name = 7", 12, ["name"]),
    "a text for a list": ('listen = ["127.0.0.1:10300"]', 'listen = "127.0.0.1:10300"', 9, ["listen"]),
    "an address without a port": ("127.0.0.1:10300", "127.0.0.1", 9, ["listen"]),
    "a port that is none": ("127.0.0.1:10300", "127.0.0.1:99999", 9, ["listen"]),
    "a bad address of a peer": ("192.0.2.11:10000", "192.0.2.11", 13, ["address"]),
    "a peer without a name": ('name = "lb1"\n', "", 11, ["name"]),
    "an empty peer name": ('name = "lb1"', 'name = ""', 12, ["name"]),
    "a peer twice": ("[[aggregate]]", '[[peer]]\nname = "lb1"\n\n[[aggregate]]', 16, ["lb1"]),
    "a peer with the agent's own name": ('name = "lb1"', 'name = "agent-1"', 12, ["agent-1"]),
    "an unknown kind": ('name = "lb1"', 'name = "lb1"\nkind = "nginx"', 13, ["kind"]),
    "a time without a unit that is one": ("[[peer]]", 'away-after = "10 parsecs"\n\n[[peer]]', 11, ["away-after"]),
    "a number for a time": ("[[peer]]", "away-after = true\n\n[[peer]]", 11, ["away-after"]),
    "a bad size": ('name = "agent-1"', 'name = "agent-1"\nmax-memory = "lots"', 3, ["max-memory"]),
    "an unknown log level": ("[admin]", '[log]\nlevel = "loud"\n\n[admin]', 6, ["level"]),
    "a rule without its target": ('to = "http.total"\n', "", 15, ["to"]),
    "a rule onto itself": ('to = "http.total"', 'to = "http"', 17, ["to"]),
    "a * that carries nothing over": ('to = "http.total"', 'to = "*.total"', 17, ["to"]),
    "an unknown data type in a function": ('to = "http.total"', 'to = "http.total"\nfunction = { gpc9 = "max" }', 18,
                                           ["gpc9"]),
    "an unknown function": ('to = "http.total"', 'to = "http.total"\nfunction = { gpc0 = "median" }', 18, ["median"]),
    "a bad CIDR": ("[[peer]]", 'allow-from = ["10.0.0.0/64"]\n\n[[peer]]', 11, ["allow-from"]),
    "a table definition that HAProxy would refuse": ("[[aggregate]]",
                                                     '[[table]]\nname = "x"\ndefine = "type strung len 5"\n\n'
                                                     "[[aggregate]]", 17, ["define"]),
}

# Of what the contract has and this version has not.
ADMIN, NOT_BUILT_YET = "[admin]\n", '[admin]\nhttp = "127.0.0.1:10303"\n'


class _WithHttp(AgentConfig):
    def toml(self, directory: Path, port: int) -> str:
        return super().toml(directory, port).replace(ADMIN, NOT_BUILT_YET)


class CheckTest(MeshTest):
    needs_haproxy = False

    def check(self, text: str) -> tuple[int, str]:
        return check_config(text.replace("{dir}", str(self.directory)), self.directory)

    def test_a_valid_config(self) -> None:
        code, output = self.check(GOOD)
        self.assertEqual(code, 0, output)

    def test_every_default(self) -> None:
        """An empty file is a config: every key has a default."""
        code, output = self.check("")
        self.assertEqual(code, 0, output)

    def test_bad_ones_name_file_line_and_key(self) -> None:
        wrong = []
        for what, (old, new, line, words) in BAD.items():
            self.assertIn(old, GOOD)
            code, output = self.check(GOOD.replace(old, new, 1))
            place = f"checked.toml:{line}: "
            findings = [text for text in output.splitlines() if place in text]
            if code != 1:
                wrong.append(f"{what}: exit code {code}: {output.strip()}")
            elif not findings and "syntax" not in what:
                wrong.append(f"{what}: nothing about line {line} in: {output.strip()}")
            elif "checked.toml:" not in output:
                wrong.append(f"{what}: no FILE:LINE in: {output.strip()}")
            elif not all(word in " ".join(findings) for word in words):
                wrong.append(f"{what}: {words} not named in: {' '.join(findings)}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_several_findings_are_all_shown(self) -> None:
        code, output = self.check(GOOD.replace('name = "lb1"', "name = 7").replace("127.0.0.1:10300", "nowhere"))
        self.assertEqual(code, 1)
        self.assertIn("checked.toml:9: ", output)
        self.assertIn("checked.toml:12: ", output)

    def test_parts_that_are_not_built_yet_are_checked(self) -> None:
        code, output = self.check(GOOD.replace(ADMIN, NOT_BUILT_YET))
        self.assertEqual(code, 0, output)
        code, output = self.check(GOOD.replace(ADMIN, NOT_BUILT_YET.replace(":10303", "")))
        self.assertEqual(code, 1, output)
        self.assertIn("admin.http", output)

    def test_a_missing_file(self) -> None:
        done = subprocess.run([agent.daemon_path(), "-c", "-f", str(self.directory / "none.toml")],
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.toml", done.stdout + done.stderr)

    def test_the_daemon_does_not_start_with_a_bad_config(self) -> None:
        path = self.directory / "bad.toml"
        path.write_text(GOOD.replace("{dir}", str(self.directory)).replace('name = "lb1"', "name = 7"))
        done = subprocess.run([agent.daemon_path(), "-f", str(path)], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bad.toml:12: ", done.stdout + done.stderr)

    def test_the_version(self) -> None:
        done = subprocess.run([agent.daemon_path(), "-v"], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"stickmesh.*\d+\.\d+\.\d+")

    def test_a_port_that_is_taken(self) -> None:
        port = free_port()
        self.listener(port=port)
        (self.directory / "state").mkdir()
        config = AgentConfig(peers=[PeerConfig("lb1")])
        path = self.directory / "taken.toml"
        path.write_text(config.toml(self.directory, port))
        done = subprocess.run([agent.daemon_path(), "-f", str(path)], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(port), done.stdout + done.stderr)

    def test_what_is_not_built_yet_is_logged_once(self) -> None:
        daemon = self.start_agent(_WithHttp())

        def lines() -> list[str]:
            return [line for line in daemon.log().splitlines() if "not in this build" in line]
        self.assertEqual(sum(" admin.http: " in line for line in lines()), 1, daemon.log())
        count = len(lines())
        wait.holds(lambda: len(lines()), lambda now: now == count, seconds=1.0)
