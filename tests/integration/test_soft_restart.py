"""A soft restart: a new process takes over with everything that the old one held, and nobody loses anything by it."""
from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest.mock
from pathlib import Path
from typing import Iterator

from support import http_client, relay, wait
from support.agent import Agent, AgentConfig, PeerConfig, control_path, daemon_path
from support.case import MeshTest
from support.layout import HTTP
from support.ports import free_port


# A new process that says all that is expected of it, and knows nothing.
DIES_ONCE_IT_SERVES = """
import os, socket, threading
channel, lesson = socket.socket(fileno=3), socket.socket(fileno=4)
for end in (channel, lesson):
    end.setblocking(True)
while not lesson.recv(4096).endswith(b"\\n"):
    pass
lesson.sendall(b"200\\n" + bytes([0, 0]))
def read():
    while lesson.recv(65536):
        pass
threading.Thread(target=read, daemon=True).start()
for said, heard in (("learned", b"switch"), ("ready", b"go"), ("running", b"retired")):
    channel.send(said.encode())
    while not channel.recv(4096).startswith(heard):
        pass
# At once: the old process waits for little.
os._exit(1)
"""


@contextlib.contextmanager
def own_program(directory: Path) -> Iterator[Path]:
    """Within, an agent is started from a file of its own, which can be replaced by another one."""
    program = directory / "stickmeshd"
    program.write_bytes(Path(daemon_path()).read_bytes())
    program.chmod(0o755)
    with unittest.mock.patch.dict(os.environ, {"STICKMESHD": str(program)}):
        yield program


def replace(program: Path, script: str) -> None:
    program.unlink()
    program.write_text(script)
    program.chmod(0o755)

TABLE = '\n[[table]]\nname = "login"\ndefine = "type string len 32 size 1k expire 10m store gpc0"\n'


class Watcher:
    """Asks |probe| again and again in a thread of its own, and keeps what it says."""

    def __init__(self, probe: object) -> None:
        self._probe = probe
        self._done = threading.Event()
        self.seen: list[object] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._done.wait(0.02):
            try:
                self.seen.append(self._probe())  # type: ignore[operator]
            except Exception as error:  # pylint: disable=broad-except
                self.seen.append(error)

    def stop(self) -> list[object]:
        self._done.set()
        self._thread.join(20)
        return self.seen


class SoftRestartTest(MeshTest):
    def pair(self, *, dial: str = "agent", config: dict[str, object] | None = None, **options: object) -> Agent:
        self.daemon = self.mesh(["lb1", "lb2"], dial=dial, agent=config, **options)
        for name in self.instances:
            self.wait_peer(self.daemon, name)
        return self.daemon

    def send(self, name: str, key: str, times: int) -> None:
        self.assertEqual(http_client.send(self.layouts[name].http_port, key, times), [200] * times)

    def reloaded(self) -> None:
        self.assertRegex(self.daemon.reload(), r"^done: process \d+ is in charge")

    def charge_stays(self, answer: str, why: str) -> None:
        """The process that was asked goes on, and counts."""
        self.assertTrue(answer.startswith("error: reload-failed: "), answer)
        self.assertIn(why, answer)
        self.assertIn("this process stays in charge", answer)
        assert self.daemon.process is not None
        self.assertTrue(self.daemon.process.running())
        self.assertEqual(self.daemon.errors().get("reload-failed"), 1)
        self.send("lb1", "after", 2)
        self.send("lb2", "after", 3)
        self.wait_total("after", "http_req_cnt", 5)


class UnderLoadTest(SoftRestartTest):
    alone = True

    def test_no_count_is_lost_and_no_mark_runs_out(self) -> None:
        self.pair(status=True)
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        lb1 = self.instances["lb1"]
        wait.until(lambda: lb1.value("mesh/stickmesh", "http.total", "gpt0"), what="lb1 has a mark")
        marks = Watcher(lambda: lb1.value("mesh/stickmesh", "http.total", "gpt0"))
        totals = Watcher(lambda: lb1.value("mesh/http.total", "joe", "http_req_cnt"))
        sent = {"lb1": 0, "lb2": 0}
        done = threading.Event()

        def load(name: str) -> None:
            while not done.is_set():
                sent[name] += http_client.send(self.layouts[name].http_port, "joe", 20).count(200)

        senders = [threading.Thread(target=load, args=(name,)) for name in sent]
        for sender in senders:
            sender.start()
        for _ in range(5):
            self.reloaded()
            for name in self.instances:
                self.wait_peer(self.daemon, name)
        done.set()
        for sender in senders:
            sender.join()
        self.wait_total("joe", "http_req_cnt", 7 + sum(sent.values()))
        seen = totals.stop()
        self.assertEqual(seen, sorted(seen, key=int), "lb1's total went back")  # type: ignore[arg-type]
        self.assertNotIn(None, marks.stop(), "a mark ran out")
        self.assertEqual(self.daemon.value("http", "joe", "http_req_cnt"), 7 + sum(sent.values()))

    def test_nobody_is_refused(self) -> None:
        self.pair()

        def call(connection: socket.socket, address: object) -> str:
            with connection:
                connection.connect(address)
            return "taken"

        admin = Watcher(lambda: call(socket.socket(socket.AF_UNIX), str(self.daemon.socket_path)))
        peers = Watcher(lambda: call(socket.socket(), ("127.0.0.1", self.daemon.port)))
        for _ in range(5):
            self.reloaded()
        self.assertEqual(set(admin.stop()), {"taken"})
        self.assertEqual(set(peers.stop()), {"taken"})


class WhatGoesOnTest(SoftRestartTest):
    def test_without_instances(self) -> None:
        """All of it comes from the old process: nobody else is there to tell it."""
        # No rate may change within the test.
        self.pair(dial="haproxy", tables={"http": HTTP.replace("(10s)", "(10m)")}, config={
            "extra": '[[table]]\nname = "login"\ndefine = "type string len 32 size 1k expire 10m store gpc0"\n'})
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        self.assertIn("done", self.daemon.ask("set table login key amy data.gpc0 5"))
        for instance in self.instances.values():
            instance.kill()
        wait.until(lambda: [row["state"] for row in self.daemon.peers().values()],
                   lambda states: "synchronised" not in states, what="both instances are away")
        before = self.contents("http"), self.contents("login")
        self.reloaded()
        after = self.contents("http"), self.contents("login")
        self.assertEqual(before, after)
        self.assertIn("gpc0=5", str(after[1]))
        self.assertIn("done", self.daemon.ask("set table login key amy data.gpc0 6"))
        answer = self.daemon.ask("show table login origins")
        self.assertEqual(answer.count("origin="), 1, "the new process counts as the same incarnation")
        self.assertIn("gpc0=6", answer)

    def contents(self, table: str) -> list[str]:
        """Each entry and contribution, but for what is left of their lives."""
        return sorted(re.sub(r" exp=\d+", "", line) for line in self.daemon.ask(f"show table {table} origins").splitlines())

    def test_instances_that_only_dial(self) -> None:
        self.pair(dial="haproxy")
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        self.reloaded()
        self.assertEqual(self.daemon.value("http.total", "joe", "http_req_cnt"), 7)
        self.send("lb1", "joe", 1)
        self.send("lb2", "amy", 2)
        self.wait_total("joe", "http_req_cnt", 8)
        self.wait_total("amy", "http_req_cnt", 2)

    def test_a_cleared_key_of_an_instance_that_is_away(self) -> None:
        self.pair(dial="haproxy")
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        lb2 = self.instances["lb2"]
        assert lb2.process is not None
        relay_state = lambda: self.daemon.peers()["lb2"]["state"]  # noqa: E731
        lb2.process.freeze()
        wait.until(relay_state, lambda state: state != "synchronised", what="lb2 is away")
        self.daemon.ask("clear table http key joe")
        self.reloaded()
        lb2.process.thaw()
        wait.until(relay_state, lambda state: state == "synchronised", what="lb2 is back")
        wait.until(lambda: lb2.value("mesh/http", "joe", "http_req_cnt"), lambda value: value == 0,
                   what="lb2 was told that joe was cleared")
        self.wait_total("joe", "http_req_cnt", 0)

    def test_a_changed_config(self) -> None:
        self.pair()
        self.send("lb1", "joe", 3)
        self.wait_total("joe", "http_req_cnt", 3)
        port = free_port()
        old_socket = self.daemon.socket_path
        self.daemon.config.peers.append(PeerConfig("lb3", free_port()))
        self.daemon.config.peers_section = 'away-after = "20s"\n'
        self.daemon.config.extra = '\n[status]\ntable = "marks"\n'
        moved = self.directory / "other.sock"
        text = self.daemon.config.toml(self.directory, self.daemon.port)
        text = text.replace(f'"127.0.0.1:{self.daemon.port}"', f'"127.0.0.1:{self.daemon.port}", "127.0.0.1:{port}"')
        text = text.replace(str(old_socket), str(moved))
        self.daemon.config_path.write_text(text)
        answer = self.daemon.ask("reload")
        self.assertIn("is in charge", answer)
        self.daemon.socket_path = moved
        self.daemon.follow(int(answer.split()[2]))
        self.assertIn("lb3", self.daemon.peers())
        with socket.socket() as connection:
            connection.connect(("127.0.0.1", port))
        self.assertFalse(old_socket.exists(), "the socket that nobody serves any more is gone")
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)

    def test_maintenance(self) -> None:
        self.pair()
        self.daemon.ask("set peer lb2 maint")
        self.reloaded()
        self.assertEqual(self.daemon.peers()["lb2"]["expected"], "maint (runtime)")
        self.daemon.ask("set peer lb2 ready")
        self.reloaded()
        self.assertEqual(self.daemon.peers()["lb2"]["expected"], "yes")

    def test_signal(self) -> None:
        self.pair()
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGUSR2)
        old = str(self.daemon.process.pid)

        def pid() -> str:
            found = re.search(r"^Pid: (\d+)", self.daemon.ask("show info"), re.M)
            return found[1] if found else old  # it goes, and answers no more

        new = wait.until(pid, lambda found: found != old, what="another process answers")
        self.daemon.follow(int(new))
        self.send("lb1", "joe", 2)
        self.wait_total("joe", "http_req_cnt", 2)


class RefusedTest(SoftRestartTest):
    """The old process stays in charge, and says why."""

    def test_a_config_with_a_mistake(self) -> None:
        self.pair()
        self.daemon.config.peers_section = 'away-afer = "20s"'
        self.charge_stays(self.daemon.reload(), "stickmesh.toml:")

    def test_another_name(self) -> None:
        self.pair()
        self.daemon.config.name = "agent-9"
        self.charge_stays(self.daemon.reload(), "[agent] name")

    def test_an_address_that_is_taken(self) -> None:
        self.pair()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            self.daemon.write_config()
            text = self.daemon.config_path.read_text()
            port = other.getsockname()[1]
            self.daemon.config_path.write_text(text.replace(f'["127.0.0.1:{self.daemon.port}"]',
                                                            f'["127.0.0.1:{self.daemon.port}", "127.0.0.1:{port}"]'))
            self.charge_stays(self.daemon.ask("reload"), f"cannot listen on 127.0.0.1:{port}")

    def test_a_listener_that_widens_at_its_port(self) -> None:
        self.pair()
        self.daemon.config.host = "0.0.0.0"
        self.charge_stays(self.daemon.reload(),
                          f"this agent itself has 127.0.0.1:{self.daemon.port} until it is restarted")

    def replaced_binary(self, script: str | None, **config: object) -> None:
        """The agent's file is another one by now, or gone."""
        with own_program(self.directory) as program:
            self.pair(config=config)
        if script is None:
            program.unlink()
        else:
            replace(program, script)

    def test_a_binary_that_is_gone(self) -> None:
        self.replaced_binary(None)
        self.charge_stays(self.daemon.reload(), "cannot be started: No such file or directory")

    def test_a_binary_that_ends(self) -> None:
        self.replaced_binary("#!/bin/sh\nexit 3\n")
        self.charge_stays(self.daemon.reload(), "it ended with code 3")

    def test_what_a_service_manager_tells_all_processes_ends_none(self) -> None:
        """From its first moment on: `systemctl kill -s USR2` signals a process that has just been started, too."""
        self.replaced_binary("#!/bin/sh\ngrep SigIgn: /proc/self/status\nexit 3\n")
        self.charge_stays(self.daemon.reload(), "it ended with code 3")
        ignored = int(re.search(r"SigIgn:\s+(\w+)", self.daemon.log())[1], 16)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            self.assertTrue(ignored >> (number - 1) & 1, f"{number!r} would end it")

    def test_a_binary_that_dies(self) -> None:
        self.replaced_binary("#!/bin/sh\nkill -9 $$\n")
        self.charge_stays(self.daemon.reload(), "it was ended by signal 9")

    def test_a_switch_that_takes_too_long(self) -> None:
        """The new process says that it has learned, and nothing more; counting goes on between the tries."""
        self.replaced_binary(f"#!{sys.executable}\nimport socket, time\n"
                             "channel = socket.socket(fileno=3)\nchannel.send(b'learned')\ntime.sleep(60)\n",
                             switch_timeout="200ms")
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(self.daemon.reload()))
        asking.start()
        self.send("lb1", "joe", 2)
        self.send("lb2", "joe", 3)
        self.wait_total("joe", "http_req_cnt", 5)
        asking.join(60)
        self.charge_stays(answers[0], "the switch took longer than [agent] switch-timeout = 200ms")
        self.assertEqual(self.daemon.log().count("it is tried again in"), 3)

    def test_a_binary_that_dies_as_soon_as_it_serves(self) -> None:
        """The old process has not gone yet, and takes its place again, whatever it has said of the restart."""
        self.replaced_binary(f"#!{sys.executable}\n{DIES_ONCE_IT_SERVES}")
        self.daemon.ask("reload")
        wait.until(lambda: self.daemon.errors().get("reload-failed"), lambda count: count == 1,
                   what="the old process is in charge")
        wait.holds(lambda: self.daemon.process is not None and self.daemon.process.running(), seconds=1.0,
                   what="the old process stays")
        self.send("lb1", "after", 2)
        self.send("lb2", "after", 3)
        self.wait_total("after", "http_req_cnt", 5)

    def test_the_agent_is_told_to_stop_meanwhile(self) -> None:
        self.replaced_binary(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
        with (self.directory / "reload").open("w") as said:
            asked = subprocess.Popen([control_path(), "-s", str(self.daemon.socket_path), "reload"], stdout=said,
                                     stderr=said)
        self.addCleanup(asked.kill)
        wait.until(self.daemon.log, lambda log: "soft restart: process" in log, what="the new process was started")
        self.assertIn("error: reload-failed: a soft restart is under way", self.daemon.ask("reload"))
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(asked.wait(30), 3, "who asked is told apart from whom it refused")
        child = int(self.daemon.log().split("soft restart: process ")[1].split()[0])
        self.assertFalse(Path(f"/proc/{child}").exists(), "the new process goes with it")


class AmongAgentsTest(MeshTest):
    needs_haproxy = False

    def test_what_a_dead_successor_may_have_said_is_not_gone_on_with(self) -> None:
        """An interrupted session of two agents goes on where it was, unless one of them has had a successor meanwhile."""
        other = self.start_agent(AgentConfig(name="agent-b", peers=[PeerConfig("agent-a", kind="agent")], extra=TABLE),
                                 directory=self.folder("b"))
        link = relay.Relay(other.port)
        self.addCleanup(link.close)
        with own_program(self.folder("a")) as program:
            daemon = self.start_agent(AgentConfig(name="agent-a", peers=[PeerConfig("agent-b", link.port, kind="agent")],
                                                  extra=TABLE), directory=self.folder("a"))

        for key in range(20):
            self.assertIn("done", daemon.ask(f"set table login key u{key} data.gpc0 1"))
        wait.until(lambda: other.table("login"), lambda entries: len(entries) == 20, what="the other one has all")

        def learns() -> str:
            found = re.search(r"^Learns: (.*)", other.ask("show peers agent-a"), re.M)
            return found[1] if found else ""

        def cut() -> None:
            sessions = other.peers()["agent-a"]["sessions"]
            link.drop()
            wait.until(lambda: other.peers()["agent-a"]["sessions"], lambda count: count > sessions, what="another session")

        # Not before it has been taught all is there anything to go on from.
        self.wait_peer(other, "agent-a")
        replace(program, "#!/bin/sh\nexit 3\n")
        self.assertIn("it ended with code 3", daemon.reload())
        cut()
        wait.until(learns, lambda what: what == "what was not acknowledged before", what="it goes on: nobody else has served")
        replace(program, f"#!{sys.executable}\n{DIES_ONCE_IT_SERVES}")
        daemon.ask("reload")
        wait.until(lambda: daemon.errors().get("reload-failed"), lambda count: count == 2, what="the old process is in charge")
        cut()
        wait.until(learns, lambda what: what == "everything", what="it learns anew")

    def folder(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path
