"""The base of the integration tests: a folder of its own, everything started is stopped, and a failure shows the end of
every log."""
from __future__ import annotations

import resource
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable

from support import agent, haproxy, peer, wait, wire
from support.agent import Agent, AgentConfig, PeerConfig
from support.haproxy import HAProxy
from support.layout import Layout
from support.ports import free_port
from support.relay import Relay

_LOG_END = 6000


class HaproxyTest(unittest.TestCase):
    """A test with real HAProxy. |seconds| bounds it, |alone| keeps other tests from running beside it."""
    seconds = 180
    alone = False
    needs_haproxy = True
    needs_agent = False

    def setUp(self) -> None:
        if self.needs_haproxy and haproxy.binary() is None:
            self.skipTest("no haproxy found")
        # Short, since a UNIX socket's path may not be longer than 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="sm-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self._sources: list[tuple[str, Callable[[], str]]] = []

    def tearDown(self) -> None:
        if self._failed():
            for name, text in self._sources:
                print(f"--- {name}\n{text()[-_LOG_END:]}")

    def _failed(self) -> bool:
        result = self._outcome.result  # type: ignore[attr-defined]
        return any(test is self for test, _ in result.failures + result.errors)

    def need_haproxy(self, major: int, minor: int, what: str) -> None:
        """Some things only exist from a version on."""
        if haproxy.version() < (major, minor):
            self.skipTest(f"{what} needs HAProxy {major}.{minor} or later")

    def need_open_files(self, count: int) -> None:
        """For as many connections: this process and the agent, which inherits the limit, each hold an end of them."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < count:
            self.skipTest(f"needs {count} open files, {hard} are allowed")
        if soft != resource.RLIM_INFINITY and soft < count:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))

    def start_haproxy(self, name: str, config: str, prefix: list[str] | None = None, threads: int = 1) -> HAProxy:
        instance = HAProxy(self.directory, name, config)
        instance.threads = threads
        instance.prefix = prefix or []
        self.addCleanup(instance.stop)
        self._sources.append((f"haproxy {name}", (self.directory / f"{name}.log").read_text))
        return instance.start()

    def relay(self, target: int) -> Relay:
        relay = Relay(target)
        self.addCleanup(relay.close)
        return relay

    def listener(self, *args: Any, **kwargs: Any) -> peer.Listener:
        listener = peer.Listener(*args, **kwargs)
        self.addCleanup(listener.close)
        return listener

    def dial(self, port: int, remote: str, local: str, *args: Any, **kwargs: Any) -> peer.Session:
        session = peer.dial(port, remote, local, *args, **kwargs)
        self.addCleanup(session.close)
        return session


class MeshTest(HaproxyTest):
    """A test with an agent as well."""
    needs_agent = True

    def setUp(self) -> None:
        if reason := agent.missing():
            self.skipTest(reason)
        super().setUp()
        self.layouts: dict[str, Layout] = {}
        self.instances: dict[str, HAProxy] = {}

    def start_agent(self, config: AgentConfig, port: int | None = None, directory: Path | None = None,
                    prefix: list[str] | None = None, environment: dict[str, str] | None = None) -> Agent:
        """Each of several agents needs a |directory| of its own."""
        daemon = Agent(directory or self.directory, config, port)
        daemon.prefix = prefix or []
        daemon.environment = environment or {}
        self.adopt_agent(daemon)
        return daemon.start()

    def adopt_agent(self, daemon: Agent) -> None:
        """It is ended with the test, and a failure shows its log."""
        self.addCleanup(self._end_agent, daemon)
        self._sources.append((f"stickmeshd {daemon.config.name}", daemon.log))

    def _end_agent(self, daemon: Agent) -> None:
        if daemon.process is not None and daemon.process.running():
            code = daemon.stop()
            self.assertEqual(code, 0, "exit code of stickmeshd after SIGTERM")
        daemon.check_sanitizers()

    def add_instance(self, name: str, agent_port: int, **options: Any) -> HAProxy:
        layout = Layout(name, agent_port, **options)
        self.layouts[name] = layout
        self.instances[name] = self.start_haproxy(name, layout.config())
        return self.instances[name]

    def mesh(self, names: list[str], *, dial: str = "haproxy", agent: dict[str, Any] | None = None,
             **options: Any) -> Agent:
        """Instances |names| around one agent; |dial| says who opens the connections: haproxy, agent or both."""
        return self.mesh_of({name: options for name in names}, dial=dial, agent=agent)

    def mesh_of(self, instances: dict[str, dict[str, Any]], *, dial: str = "haproxy",
                agent: dict[str, Any] | None = None) -> Agent:
        """As `mesh`, with options of `Layout` for each instance."""
        agent_port = free_port()
        ports = {name: free_port() for name in instances}
        peers = [PeerConfig(name, None if dial == "haproxy" else port) for name, port in ports.items()]
        config = AgentConfig(peers=peers, **(agent or {}))
        # Whoever dials is started last: its first attempt succeeds, and no test waits 5 s for HAProxy's second.
        if dial != "agent":
            daemon = self.start_agent(config, agent_port)
        for name, options in instances.items():
            self.add_instance(name, free_port() if dial == "agent" else agent_port, peers_port=ports[name], **options)
        if dial == "agent":
            daemon = self.start_agent(config, agent_port)
        self.wait_sessions(*instances)
        return daemon

    def wait_sessions(self, *names: str, timeout: float = 40.0) -> None:
        """Until HAProxy itself says that its session with the agent is up. HAProxy redials after 5 s."""
        for name in names:
            other = self.layouts[name].agent_name
            wait.until(lambda: self.instances[name].peer_state(other), lambda state: state == "ESTA",
                       timeout=timeout, what=f"{name} has a session with {other}")

    def wait_synchronised(self, daemon: Agent, name: str) -> None:
        """Until the agent has all that the present process of |name| has."""
        process = self.instances[name].process
        assert process is not None
        wait.until(lambda: daemon.peers()[name], timeout=90, what=f"the new process of {name} is synchronised",
                   accept=lambda row: row["pid"] == str(process.pid) and row["state"] == "synchronised")

    def wait_peer(self, daemon: Agent, peer: str, state: str = "synchronised") -> None:
        """Until |daemon| shows |peer| like that, whichever process of it that is."""
        wait.until(lambda: daemon.peers()[peer]["state"], lambda seen: seen == state, what=f"{peer} is {state} at {daemon.config.name}")

    def wait_total(self, key: str, data_type: str, expected: int, *names: str, table: str = "mesh/http.total",
                   timeout: float = 40.0) -> None:
        """Until every one of |names| (all by default) has that total in its own table."""
        for name in names or self.instances:
            wait.until(lambda: self.instances[name].value(table, key, data_type), lambda value: value == expected,
                       timeout=timeout, what=f"{data_type} of {key} in {table} of {name} == {expected}")


def http_table(name: str = "/http", number: int = 1) -> wire.Table:
    """The scripted peer's counterpart of `Layout`'s table."""
    return wire.Table(name, [wire.DataType("http_req_cnt"), wire.DataType("http_req_rate", period=10_000)],
                      number=number)
