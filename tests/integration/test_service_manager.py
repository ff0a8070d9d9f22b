"""The agent under a service manager: what it says to it, the sockets that it is given, and how it says what it cannot do.
Nothing here needs systemd: a stand-in hears the agent as systemd would."""
from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from integration.test_soft_restart import DIES_ONCE_IT_SERVES, own_program, replace
from support import peer, spop, wait, wire
from support.agent import Agent, AgentConfig, PeerConfig, control_path
from support.case import MeshTest, http_table
from support.ports import free_port
from support.process import Process
from support.service_manager import ServiceManager, handed

TABLE = '\n[[table]]\nname = "login"\ndefine = "type string len 32 size 1k expire 10m store gpc0"\n'
LIMIT = '\n[[limit]]\nname = "api"\ntable = "login"\ntype = "gpc0"\nabove = 100\n'


class ServiceTest(MeshTest):
    needs_haproxy = False

    def setUp(self) -> None:
        super().setUp()
        self.manager = ServiceManager(self.directory)
        self.addCleanup(self.manager.close)

    def config(self, **options: str) -> AgentConfig:
        options = {"extra": TABLE + LIMIT, **options}
        return AgentConfig(peers=[PeerConfig("lb1")], **options)  # type: ignore[arg-type]

    def serve(self, watchdog: int | None = None, **options: str) -> Agent:
        self.daemon = self.start_agent(self.config(**options), environment=self.manager.environment(watchdog))
        wait.until(lambda: self.manager.values("READY"), what="the service manager hears that it is ready")
        return self.daemon

    def pid(self) -> int:
        assert self.daemon.process is not None
        return self.daemon.process.pid

    def refused(self, daemon: Agent) -> str:
        """Why a start ended with 1."""
        daemon.write_config()
        process = Process("stickmeshd", [*daemon.prefix, daemon.program, "-f", str(daemon.config_path)],
                          daemon.log_path, daemon.environment, sockets=daemon.sockets)
        self.addCleanup(process.stop)
        self.assertEqual(process.wait(30), 1, daemon.log())
        self.assertEqual(self.manager.heard, [], "a process that does not start says that it does")
        return daemon.log()


class JournalTest(ServiceTest):
    """systemd names the journal in JOURNAL_STREAM; whoever sends stderr elsewhere leaves the variable as it is."""

    def log(self, at: int) -> str:
        path = self.directory / "agent.log"
        path.touch()
        found = path.stat()
        daemon = self.start_agent(self.config(), environment={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + at}"})
        # Expected, and nobody is there.
        daemon.ask("set peer lb1 maint")
        self.assertRegex(daemon.reload(), "^done: ")
        self.assertEqual(daemon.stop(), 0)
        return daemon.log()

    def test_lines_have_a_priority_and_no_time(self) -> None:
        lines = self.log(at=0).splitlines()
        words = {"6": "info", "5": "notice", "4": "warning"}
        for line in lines:
            found = re.match(r"<(\d)>(\w+): ", line)
            self.assertTrue(found and words.get(found[1]) == found[2], line)
        self.assertTrue(any(line.startswith("<5>notice: soft restart") for line in lines), lines)

    def test_elsewhere_they_have_a_time_and_no_priority(self) -> None:
        for line in self.log(at=1).splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\S+ \w+: ")


class WatchdogTest(ServiceTest):
    def test_a_process_that_goes_round_says_so(self) -> None:
        self.serve(watchdog=200_000)
        self.manager.wait_beats(self.pid())
        assert self.daemon.process is not None
        self.daemon.process.freeze()
        wait.until(lambda: Path(f"/proc/{self.pid()}/stat").read_text().rsplit(")", 1)[1].split()[0],
                   lambda state: state == "T", what="the agent is stopped")
        self.manager.settled()
        seen = self.manager.beats()
        wait.holds(self.manager.beats, lambda count: count == seen, seconds=1.0, what="a stopped process is silent")
        self.daemon.process.thaw()
        self.manager.wait_beats(self.pid())

    def test_the_one_in_charge_says_so(self) -> None:
        self.serve(watchdog=1_000_000)
        old = self.pid()
        for _ in range(2):
            self.manager.wait_beats(old)
            self.assertRegex(self.daemon.reload(), "^done: ")
            self.manager.wait_beats(self.pid())
            self.assertNotEqual(self.pid(), old)
            old = self.pid()
        self.manager.settled()
        self.assertEqual(self.manager.ignored, [], "somebody spoke who was not in charge")
        self.assertEqual(self.daemon.stop(), 0)

    def test_a_successor_that_dies_at_once_gives_it_back(self) -> None:
        with own_program(self.directory) as program:
            self.serve(watchdog=1_000_000)
        replace(program, f"#!{sys.executable}\n{DIES_ONCE_IT_SERVES}")
        # Who takes the place of the main process is not the main process. The unit says so.
        self.manager.hears_all = True
        self.daemon.ask("reload")
        wait.until(self.manager.status, lambda status: status.startswith("soft restart failed"),
                   what="the old process says that it is in charge")
        self.assertEqual(self.manager.main_pid, self.pid())
        successor, again = self.manager.values("MAINPID")
        self.assertNotEqual(successor, again)
        self.manager.wait_beats(self.pid())

    def test_what_another_process_should_answer(self) -> None:
        """Such as a shell within a service: the variables are about its parent."""
        environment = {**self.manager.environment(200_000), "WATCHDOG_PID": "1"}
        self.daemon = self.start_agent(self.config(), environment=environment)
        wait.until(lambda: self.manager.values("READY"), what="it is ready")
        self.assertRegex(self.daemon.reload(), "^done: ")
        wait.until(lambda: self.manager.values("STATUS", self.pid()), what="the new process is in charge")
        self.manager.settled()
        self.assertEqual(self.manager.beats(), 0)

    def test_an_interval_that_is_none(self) -> None:
        for text in ("soon", "-5", "0", "99999999999999999999"):
            with self.subTest(text):
                environment = {**self.manager.environment(), "WATCHDOG_USEC": text}
                daemon = self.start_agent(self.config(), environment=environment)
                self.assertIn(f'WATCHDOG_USEC="{text}"', daemon.log())
                self.assertIn("the watchdog is not answered", daemon.log())
                self.assertEqual(daemon.stop(), 0)
        self.manager.settled()
        self.assertEqual(self.manager.beats(), 0)


class StatusTest(ServiceTest):
    def test_from_start_to_end(self) -> None:
        self.serve()
        first = self.manager.heard[0]
        self.assertEqual((first[0], first[1][0]), (self.pid(), "READY=1"))
        self.assertRegex(self.manager.status(), r"^agent-1 serves with the config of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, "
                                                rf"peers at 127\.0\.0\.1:{self.daemon.port}$")
        self.assertEqual(self.daemon.stop(), 0)
        self.manager.settled()
        self.assertEqual(self.manager.values("STOPPING"), ["1"])
        self.assertEqual(self.manager.status(), "writing the snapshot")
        self.assertGreaterEqual(int(self.manager.values("EXTEND_TIMEOUT_USEC")[0]), 10_000_000)

    def test_draining(self) -> None:
        port = free_port()
        config = self.config(agent_section='drain-timeout = "10m"')
        config.spoe = [f"127.0.0.1:{port}"]
        daemon = self.start_agent(config, environment=self.manager.environment(1_000_000))
        assert daemon.process is not None
        self.assertIn(f", SPOE at 127.0.0.1:{port}", wait.until(self.manager.status, what="a status"))
        client = spop.Client(port)
        self.addCleanup(client.close)
        track = spop.message("track", table="login", key="joe", gpc0=1)
        client.event(track)

        def heard() -> int:
            found = re.search(r"^Bytes_in_total: (\d+)", daemon.ask("show spoe"), re.M)
            return int(found[1]) if found else 0
        before = heard()
        # A frame that has begun: it is waited for.
        client.send(spop.Frame(spop.NOTIFY, spop.FIN, 1, 1, track).encode()[:4])
        wait.until(heard, lambda count: count == before + 4, what="the agent has the beginning")
        daemon.process.send_signal(signal.SIGTERM)
        wait.until(self.manager.status,
                   lambda status: status == "events are answered until HAProxy goes elsewhere, for 10m at most",
                   what="the status says what is waited for")
        self.assertGreater(int(self.manager.values("EXTEND_TIMEOUT_USEC")[0]), 600_000_000)
        self.manager.wait_beats(daemon.process.pid)
        done = subprocess.run([control_path(), "-s", str(daemon.socket_path), "reload"], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (3, "error: stopping: this process was told to stop\n"))
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(30), 0)
        self.manager.settled()
        self.assertEqual(self.manager.status(), "writing the snapshot")

    def test_ready_comes_when_all_can_connect(self) -> None:
        answers: list[str] = []

        class Connects(ServiceManager):
            def _take(self, pid: int, lines: list[str]) -> None:
                if "READY=1" in lines:
                    with socket.socket() as connection:
                        connection.connect(("127.0.0.1", port))
                        answers.append("taken")
                super()._take(pid, lines)

        port = free_port()
        directory = self.directory / "other"
        directory.mkdir()
        manager = Connects(directory)
        self.addCleanup(manager.close)
        self.start_agent(self.config(), port, environment=manager.environment())
        wait.until(lambda: answers, what="the port answers")

    def test_a_soft_restart_that_fails(self) -> None:
        self.serve(watchdog=1_000_000)
        good = self.manager.status()
        self.daemon.config.peers_section = 'away-afer = "20s"\nforget-afer = "x\\nREADY=1"'
        self.daemon.write_config()
        done = subprocess.run([control_path(), "-s",
                               str(self.daemon.socket_path), "reload"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("away-afer", done.stdout + done.stderr)
        status = wait.until(self.manager.status, lambda text: "failed" in text, what="the status names the failure")
        self.assertRegex(status, r"^soft restart failed at [-\d]+ [:\d]+: .*stickmesh\.toml:\d+.*away-afer.*; "
                                 r"still serving with the config of [-\d]+ [:\d]+$")
        self.assertEqual(self.manager.values("READY"), ["1"], "what stands in a config gives no orders")
        self.manager.wait_beats(self.pid())

        self.daemon.config.peers_section = ""
        self.assertRegex(self.daemon.reload(), "^done: ")
        status = wait.until(self.manager.status, lambda text: "failed" not in text, what="the status is good again")
        self.assertEqual(re.sub(r"of .*?, ", "", status), re.sub(r"of .*?, ", "", good))
        self.assertEqual(self.manager.values("STATUS", self.pid()), [status])
        self.assertEqual(self.manager.values("MAINPID")[0], str(self.pid()))
        self.assertEqual(self.manager.ignored, [])

    def test_nobody_listens(self) -> None:
        """The log says so once, whatever the watchdog has to say."""
        path = self.directory / "gone.sock"
        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "20000"}
        daemon = self.start_agent(self.config(), environment=environment)
        wait.until(lambda: "cannot notify systemd" in daemon.log(), what="the log says so")
        wait.holds(lambda: daemon.log().count("cannot notify systemd"), lambda count: count == 1, seconds=0.5,
                   what="once")

    def test_a_service_manager_that_does_not_read(self) -> None:
        path = self.directory / "full.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
            full.bind(str(path))
            environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000"}
            daemon = self.start_agent(self.config(), environment=environment)
            wait.until(lambda: "cannot notify systemd" in daemon.log(), what="its queue is full")
            self.assertIn("done", daemon.ask("set table login key amy data.gpc0 5"))
            self.assertEqual(daemon.stop(), 0)


class DescriptorsTest(ServiceTest):
    def test_none_is_left_and_the_last_snapshot_is_written(self) -> None:
        most = 64
        self.daemon = self.start_agent(self.config(), prefix=["prlimit", f"--nofile={most}:{most}"])
        process = self.daemon.process
        assert process is not None
        self.assertIn("done", self.daemon.ask("set table login key amy data.gpc0 5"))
        with contextlib.ExitStack() as held:
            def take() -> int:
                client = held.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(self.daemon.socket_path))
                return process.open_files()
            wait.until(take, lambda count: count == most, what="no descriptor is left", interval=0.005)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(30), 0, self.daemon.log())
        self.daemon.prefix = []
        self.daemon.start()
        self.assertEqual(self.daemon.value("login", "amy", "gpc0"), 5)


class ActivationTest(ServiceTest):
    def setUp(self) -> None:
        super().setUp()
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.tcp.close)
        self.port = self.tcp.getsockname()[1]

    def local(self, address: str | bytes) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(address)
        listening.listen()
        return listening

    def activated(self, sockets: list[socket.socket], config: AgentConfig | None = None, **variables: str) -> Agent:
        """Not started yet."""
        self.daemon = Agent(self.directory, config or self.config(), self.port)
        self.given = contextlib.ExitStack()
        self.addCleanup(self.given.close)
        self.daemon.sockets, self.daemon.prefix = self.given.enter_context(handed(sockets))
        self.daemon.environment = {**self.manager.environment(), **variables}
        return self.daemon

    def start_activated(self, sockets: list[socket.socket], config: AgentConfig | None = None,
                        **variables: str) -> Agent:
        daemon = self.activated(sockets, config, **variables)
        self.adopt_agent(daemon)
        daemon.start()
        daemon.sockets, daemon.prefix = (), []
        return daemon

    def session(self, connection: socket.socket, name: str = "lb1") -> None:
        """|name| says hello on it, and that it has counted joe."""
        table = http_table()
        table.change("joe", http_req_cnt=7)
        connection.settimeout(30)
        connection.sendall(wire.hello("agent-1", name, 1, "2.1"))
        self.assertEqual(peer.read_line(connection), b"200\n")
        self.addCleanup(peer.Session(connection, [table]).close)

    def wait_joe(self) -> None:
        wait.until(lambda: self.daemon.value("http", "joe", "http_req_cnt"), lambda value: value == 7,
                   what="what the waiting connection says is taken")

    def test_a_connection_from_before_the_start_is_served(self) -> None:
        early = socket.create_connection(("127.0.0.1", self.port))
        self.start_activated([self.tcp])
        self.session(early)
        self.wait_joe()
        self.assertNotIn("nobody is accepted", self.daemon.log())

    def test_paths_and_abstract_names(self) -> None:
        path = self.directory / "peers.sock"
        name = f"stickmesh-test-{os.getpid()}"
        # HAProxy's abns@ fills the name up with zeros.
        sockets = [self.tcp, self.local(str(path)), self.local(b"\0" + name.encode().ljust(107, b"\0"))]
        os.chmod(path, 0o600)
        config = self.config()
        config.peers.append(PeerConfig("lb2"))
        text = config.toml

        def everywhere(directory: Path, port: int) -> str:
            listen = f'["127.0.0.1:{port}", "{path}", "abns@{name}"]'
            return text(directory, port).replace(f'["127.0.0.1:{port}"]', listen)

        config.toml = everywhere  # type: ignore[method-assign]
        early = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for connection, address in zip(early, (str(path), b"\0" + name.encode().ljust(107, b"\0"))):
            self.addCleanup(connection.close)
            connection.connect(address)
        self.start_activated(sockets, config)
        for connection, instance in zip(early, ("lb1", "lb2")):
            self.session(connection, instance)
        wait.until(lambda: self.daemon.value("http.total", "joe", "http_req_cnt"), lambda value: value == 14,
                   what="what both waiting connections say is taken")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600, "the service manager says who may use its socket")

        inode = path.stat().st_ino
        self.assertRegex(self.daemon.reload(), "^done: ")
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(path.stat().st_ino, inode)
        with socket.socket(socket.AF_UNIX) as later:
            later.connect(str(path))

    def test_both_families_at_once(self) -> None:
        """What ListenStream=PORT makes."""
        try:
            both = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        except (OSError, ValueError) as error:
            self.skipTest(f"no IPv6: {error}")
        self.addCleanup(both.close)
        self.port = both.getsockname()[1]
        config = self.config()
        config.peers.append(PeerConfig("lb2"))
        config.host = "[::]"
        config.allow_from = '["127.0.0.0/8", "::1/128"]'
        self.start_activated([both], config)
        self.assertNotIn("nobody is accepted", self.daemon.log())
        self.session(socket.create_connection(("127.0.0.1", self.port)), "lb1")
        self.session(socket.create_connection(("::1", self.port)), "lb2")

    def test_a_soft_restart_hands_them_on(self) -> None:
        self.start_activated([self.tcp])
        for _ in range(2):
            self.assertRegex(self.daemon.reload(), "^done: ")
        variables = Path(f"/proc/{self.pid()}/environ").read_bytes()
        self.assertNotIn(b"LISTEN_", variables)
        self.session(socket.create_connection(("127.0.0.1", self.port)))
        self.wait_joe()

    def test_a_listener_that_the_config_drops(self) -> None:
        """Its file is the service manager's, and stays."""
        path = self.directory / "peers.sock"
        config = self.config()
        text = config.toml
        with_path = lambda directory, port: text(directory, port).replace(  # noqa: E731
            f'["127.0.0.1:{port}"]', f'["127.0.0.1:{port}", "{path}"]')
        config.toml = with_path  # type: ignore[method-assign]
        self.start_activated([self.local(str(path)), self.tcp], config)
        config.toml = text  # type: ignore[method-assign]
        self.assertRegex(self.daemon.reload(), "^done: ")
        notice = f"nobody is accepted on {path}, which the service manager has opened: add this address to a `listen`"
        wait.until(lambda: notice in self.daemon.log(), what="the log says so")
        self.assertTrue(path.exists())
        config.toml = with_path  # type: ignore[method-assign]
        self.assertRegex(self.daemon.reload(), "^done: ")
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))
        self.session(client)
        self.wait_joe()

    def test_one_that_no_listen_names(self) -> None:
        other = socket.create_server(("127.0.0.1", 0))
        path = self.directory / "other.sock"
        unpadded = f"stickmesh-short-{os.getpid()}"
        with other:
            self.start_activated([other, self.tcp, self.local(str(path)), self.local(b"\0" + unpadded.encode())])
            log = self.daemon.log()
            for address in (f"127.0.0.1:{other.getsockname()[1]}", str(path)):
                self.assertIn(f"nobody is accepted on {address}, which the service manager has opened: add this address "
                              "to a `listen` and reload, or remove it from the socket unit", log)
            self.assertIn(f"abns@{unpadded}, which the service manager has opened: HAProxy cannot connect", log)
            self.assertTrue(path.exists())

    def test_what_is_no_listening_stream_socket(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as silent:
            datagrams.bind(("127.0.0.1", 0))
            self.start_activated([datagrams, silent, self.tcp])
        for number in (3, 4):
            self.assertIn(f"descriptor {number} of the service manager is closed: it is no listening stream socket",
                          self.daemon.log())
        self.session(socket.create_connection(("127.0.0.1", self.port)))
        self.wait_joe()

    def test_counts_that_are_none(self) -> None:
        for count, why in (("-1", 'LISTEN_FDS="-1"'), ("many", 'LISTEN_FDS="many"'),
                           ("18446744073709551615", "descriptor 4 is not open"), ("2", "descriptor 4 is not open")):
            with self.subTest(count):
                log = self.refused(self.activated([self.tcp], LISTEN_FDS=count))
                self.assertIn(why, log.splitlines()[-1])
                self.given.close()

    def test_another_process_was_meant(self) -> None:
        self.tcp.close()
        self.port = free_port()
        environment = {**self.manager.environment(), "LISTEN_PID": "1", "LISTEN_FDS": "99"}
        self.daemon = self.start_agent(self.config(), self.port, environment=environment)
        socket.create_connection(("127.0.0.1", self.port)).close()

    def test_the_same_port_at_a_wider_address(self) -> None:
        wide = socket.create_server(("", 0))
        with wide:
            self.port = wide.getsockname()[1]
            log = self.refused(self.activated([wide]))
        self.assertIn(f"[peers] listen: cannot listen on 127.0.0.1:{self.port}", log)
        self.assertIn(f"the service manager has given 0.0.0.0:{self.port}: write the same in both", log)


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class BadInputTest(ServiceTest):
    def agent(self, **options: str) -> Agent:
        daemon = Agent(self.directory, self.config(**options))
        daemon.environment = self.manager.environment()
        return daemon

    def need_root(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("another user and a file system of its own need root")

    def test_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            daemon = self.agent()
            daemon.port = other.getsockname()[1]
            log = self.refused(daemon)
        self.assertIn(f"[peers] listen: cannot listen on 127.0.0.1:{daemon.port}: Address already in use: another process "
                      "listens there; stop it, or choose another address", log)

    def test_a_state_directory_that_is_missing(self) -> None:
        daemon = self.agent()
        (self.directory / "state").rmdir()
        self.assertRegex(self.refused(daemon), r'\[agent\] state-dir = ".*/state" cannot be used: No such file or '
                                               r"directory: create it, as a directory of the user \w+")

    def test_a_state_directory_that_is_a_file(self) -> None:
        daemon = self.agent()
        (self.directory / "state").rmdir()
        (self.directory / "state").touch()
        self.assertIn("cannot be used: Not a directory", self.refused(daemon))

    def test_a_state_directory_on_a_file_system_that_is_not_written(self) -> None:
        self.need_root()
        daemon = self.agent()
        daemon.prefix = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"',
                         str(self.directory / "state")]
        self.assertIn("cannot be used: Read-only file system: mount it writable; a service needs StateDirectory= or "
                      "ReadWritePaths= for it", self.refused(daemon))

    def test_a_state_directory_of_somebody_else(self) -> None:
        self.need_root()
        self.directory.chmod(0o777)
        daemon = self.agent()
        daemon.prefix = NOBODY
        self.assertIn("cannot be used: Permission denied: the user nobody must be allowed to write there (chown nobody "
                      f"{self.directory}/state)", self.refused(daemon))
        (self.directory / "state").chmod(0o777)
        self.adopt_agent(daemon)
        daemon.start()

    def test_a_soft_restart_with_a_state_directory_of_somebody_else(self) -> None:
        self.need_root()
        self.directory.chmod(0o777)
        (self.directory / "state").mkdir()
        (self.directory / "state").chmod(0o777)
        closed = self.directory / "closed"
        closed.mkdir(mode=0o755)
        daemon = self.start_agent(self.config(), prefix=NOBODY, environment=self.manager.environment())
        text = daemon.config_path.read_text()
        daemon.config_path.write_text(text.replace(f'state-dir = "{self.directory}/state"', f'state-dir = "{closed}"'))
        answer = daemon.ask("reload")
        self.assertIn("Permission denied: the user nobody must be allowed to write there", answer)
        self.assertIn("this process stays in charge", answer)
        wait.until(self.manager.status, lambda text: "Permission denied" in text, what="the status says so")
        self.assertIn("done", daemon.ask("set table login key amy data.gpc0 5"))

    def test_a_snapshot_of_a_later_version(self) -> None:
        daemon = self.agent()
        snapshot = self.directory / "state" / "snapshot.msgpack"
        later = b"\xb2stickmesh-snapshot\x63" + bytes(64)
        snapshot.write_bytes(later)
        self.adopt_agent(daemon)
        daemon.start()
        aside = snapshot.with_name("snapshot.msgpack.refused")
        self.assertIn(f"{snapshot} is refused: it has format 99, and this version knows formats up to 1: a later version "
                      f"wrote it; it lies now in {aside}, and the agent starts without it", daemon.log())
        self.assertEqual(aside.read_bytes(), later)

    def test_a_process_of_another_version_is_not_followed(self) -> None:
        """Its own words are not understood, so it stays."""
        for words, version in ((b"state 99 0 agent-1", "99"), (b"state agent-1", r"\?")):
            with self.subTest(words):
                daemon = self.agent()
                daemon.write_config()
                channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                lesson, their_lesson = socket.socketpair()
                theirs.setblocking(False)
                with channel, theirs, lesson, their_lesson, handed([theirs, their_lesson], False) as (numbers, prefix):
                    process = Process("stickmeshd", [*prefix, daemon.program, "-f", str(daemon.config_path), "--take-over"],
                                      daemon.log_path, sockets=numbers)
                    self.addCleanup(process.stop)
                    channel.send(words)
                    channel.settimeout(30)
                    self.assertRegex(channel.recv(65536).decode(),
                                     rf"^failed the process in charge is another version, whose soft restart \({version}\) "
                                     r"this one \(1\) does not understand: restart the service")
                    self.assertEqual(process.wait(30), 1)


_KEEPS_A_FILE_SYSTEM = 'mount -t tmpfs -o size=64k tmpfs "$0" && echo mounted && exec sleep 1000'


class FullDiskTest(ServiceTest):
    """The state directory lies on a small file system of its own, which is full."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("a file system of its own needs root")
        state = self.directory / "state"
        state.mkdir()
        keeper = Process("mount", ["unshare", "--mount", "sh", "-c", _KEEPS_A_FILE_SYSTEM, str(state)],
                         self.directory / "mount.log")
        self.addCleanup(keeper.stop)
        wait.until(lambda: "mounted" in keeper.log() or not keeper.running(), what="the file system is there")
        if not keeper.running():
            self.skipTest(f"no file system of its own: {keeper.log()}")
        self.enter = ["nsenter", f"--mount=/proc/{keeper.pid}/ns/mnt"]
        self.state = Path(f"/proc/{keeper.pid}/root{state}")
        self.snapshot = self.state / "snapshot.msgpack"
        self.daemon = self.start_agent(self.config(agent_section='snapshot-interval = "1s"'), prefix=self.enter,
                                       environment=self.manager.environment())
        self.assertIn("done", self.daemon.ask("set table login key amy data.gpc0 5"))
        before = self.written()
        for _ in range(2):
            wait.until(self.written, lambda when: when != before, what="a snapshot with it")
            before = self.written()

    def written(self) -> int:
        return self.snapshot.stat().st_mtime_ns if self.snapshot.exists() else 0

    def fill(self) -> None:
        """Until nothing more can be written, also of what a snapshot that was under way gives back."""
        with open(self.state / "filler", "ab", buffering=0) as filler:
            for size in (4096, 1):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    pass

    def full(self) -> bytes:
        """The snapshot that stays."""
        def fails() -> int:
            self.fill()
            return self.daemon.errors().get("system", 0)
        wait.until(fails, what="a snapshot fails")
        return self.snapshot.read_bytes()

    def test_the_snapshot_before_stays_and_the_next_one_is_written_again(self) -> None:
        kept = self.full()
        wait.until(lambda: self.daemon.errors().get("system"), lambda count: count >= 4, timeout=60,
                   what="snapshots fail again and again")
        self.assertEqual(self.snapshot.read_bytes(), kept)
        wait.until(lambda: sorted(os.listdir(self.state)), lambda names: names == ["filler", "snapshot.msgpack"],
                   what="nothing is left over")
        lines = re.findall(r"warning: snapshot: the one of .* stays.*No space left on device.*", self.daemon.log())
        # After 1, 2, 4, 8 and so on of them.
        self.assertLessEqual(len(lines), self.daemon.errors()["system"].bit_length(), "the log would fill up as well")
        self.assertIn("check [agent] state-dir", lines[0])
        self.assertIn("failed 2 times", lines[1])

        (self.state / "filler").unlink()
        wait.until(self.snapshot.read_bytes, lambda now: now != kept, what="another snapshot")
        wait.until(lambda: "snapshot: written again, after" in self.daemon.log(), what="the log says so")
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(self.daemon.value("login", "amy", "gpc0"), 5)

    def test_at_stop(self) -> None:
        kept = self.full()
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(30), 1, "what could not be kept shows in the exit code")
        self.assertRegex(self.daemon.log(), r"error: snapshot at stop: .*No space left on device.*: the one of .* stays; "
                                            "what was counted since")
        self.assertEqual(self.snapshot.read_bytes(), kept)
        self.assertEqual(sorted(os.listdir(self.state)), ["filler", "snapshot.msgpack"])
        self.daemon.start()
        self.assertEqual(self.daemon.value("login", "amy", "gpc0"), 5)
        (self.state / "filler").unlink()

    def test_what_an_operator_changes(self) -> None:
        self.full()
        unsaved = "not kept over a restart or reload of this agent: "
        for command in ("set peer lb1 maint", "set peer lb1 maint"):
            answer = self.daemon.ask(command)
            self.assertIn("in maintenance", answer)
            self.assertIn(unsaved, answer)
            self.assertIn("No space left on device", answer)
        answer = self.daemon.ask("set limit api 200")
        self.assertIn("above 200", answer)
        self.assertIn(unsaved, answer)
        self.assertNotIn("also after a restart", answer)
        (self.state / "filler").unlink()
        self.assertNotIn(unsaved, self.daemon.ask("set peer lb1 maint"))
        self.assertIn("also after a restart", self.daemon.ask("set limit api 300"))
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(self.daemon.peers()["lb1"]["expected"], "maint (runtime)")
