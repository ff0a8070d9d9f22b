"""What is measured: one HAProxy or one stickmeshd, each with the same table, for scripted peers `a` and `b`."""
from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
from pathlib import Path
from typing import Any, ContextManager, Iterator

from support import agent, haproxy, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.haproxy import HAProxy
from support.ports import free_port
from support.process import Process

TABLE = "type ip size 12m expire 1h store gpc0,http_req_cnt,http_req_rate(10s),bytes_in_cnt"
HAPROXY, STICKMESH = "haproxy", "stickmesh"
_BUILD = Path(os.environ.get("BUILD_DIR", agent.ROOT / "build")).resolve() / "release"


class Failed(Exception):
    """A measurement that did not come to its end; the message has the logs."""


def use_environment() -> None:
    """Which programs: the first of HAPROXY_BINARIES, and STICKMESHD or that of BUILD_DIR."""
    first = os.environ.get("HAPROXY_BINARIES", "").split(":")[0]
    if first:
        os.environ["STICKMESH_TEST_HAPROXY"] = first
    os.environ.setdefault("STICKMESHD", str(_BUILD / "agent/daemon/stickmeshd"))


def load_path() -> str:
    return os.environ.get("PEERS_LOAD") or str(_BUILD / "tests/bench/load/peers_load")


def missing(servers: list[str]) -> str | None:
    """Why nothing can be measured here, or None."""
    if not os.access(load_path(), os.X_OK):
        return f"peers_load is not built ({load_path()})"
    if HAPROXY in servers and haproxy.binary() is None:
        return "haproxy is missing"
    return agent.missing() if STICKMESH in servers else None


@dataclasses.dataclass
class Server:
    """A running server, as peers_load needs to know it. |instance| is the HAProxy that takes part, if one does."""
    kind: str
    process: Process
    name: str
    port: int
    instance: HAProxy | None = None
    daemon: Agent | None = None
    fellow: Server | None = None  # another agent

    def load(self, mode: list[str], *, names: str = "a", tables: str = "/http", settle_ms: int = 300) -> dict[str, Any]:
        """Runs peers_load against it, and returns its report."""
        command = [load_path(), "--server", f"127.0.0.1:{self.port}", "--server-name", self.name, "--name", names,
                   "--table", tables, "--define", TABLE, "--pid", str(self.process.pid), "--settle-ms", str(settle_ms),
                   *mode]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}\n{done.stderr}--- end of the log of {self.kind}\n"
                         f"{self.process.log()[-3000:]}")
        return json.loads(done.stdout)


def _peers_section(port: int, peers: dict[str, int], tables: list[str]) -> str:
    lines = ["peers mesh", f"    bind 127.0.0.1:{port}", '    server "$HAPROXY_LOCALPEER"']
    lines += [f"    server {name} 127.0.0.1:{peer_port}" for name, peer_port in peers.items()]
    lines += [f"    table {table} {TABLE}" for table in tables]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _haproxy(directory: Path) -> Iterator[Server]:
    port = free_port()
    # Nobody listens at the addresses of the scripted peers: they dial.
    config = _peers_section(port, {"a": free_port(), "b": free_port()}, ["http"])
    instance = HAProxy(directory, "lb1", config).start()
    assert instance.process is not None
    try:
        yield Server(HAPROXY, instance.process, "lb1", port, instance)
    finally:
        instance.stop()


@contextlib.contextmanager
def _stickmesh(directory: Path, publish_interval: str = "20ms", with_haproxy: bool = False,
               with_agent: bool = False) -> Iterator[Server]:
    """|with_haproxy| adds an instance lb1 to it, |with_agent| another agent, which is told everything."""
    config = AgentConfig(peers=[PeerConfig(name) for name in ("a", "b", "lb1")], aggregates={"http": "http.total"},
                         level="notice", agent_section='max-memory = "8GiB"\nswitch-timeout = "10s"',
                         peers_section=f'publish-interval = "{publish_interval}"')
    with contextlib.ExitStack() as stack:
        daemon = Agent(directory, config)
        if with_agent:
            other = Agent(directory / "other", AgentConfig(
                peers=[*config.peers, PeerConfig(config.name, daemon.port, kind="agent")], aggregates=config.aggregates,
                name="agent-2", level="notice", agent_section=config.agent_section, peers_section=config.peers_section))
            config.peers.append(PeerConfig(other.config.name, other.port, kind="agent"))
            other.start()
            stack.callback(other.stop)
        daemon.start()
        stack.callback(daemon.stop)
        if with_agent:
            wait.until(lambda: daemon.peers()["agent-2"]["state"], lambda state: state == "synchronised", timeout=30.0,
                       what="the session of the two agents")
        assert daemon.process is not None
        server = Server(STICKMESH, daemon.process, config.name, daemon.port, daemon=daemon)
        if with_agent:
            assert other.process is not None
            server.fellow = Server(STICKMESH, other.process, other.config.name, other.port, daemon=other)
        if with_haproxy:
            section = _peers_section(free_port(), {config.name: daemon.port}, ["http", "http.total"])
            server.instance = HAProxy(directory, "lb1", section)
            stack.callback(server.instance.stop)
            server.instance.start()
            wait.until(lambda: server.instance.peer_state(config.name), lambda state: state == "ESTA",
                       what="HAProxy's session with the agent", timeout=30.0)
        yield server


def start(kind: str, directory: Path, **options: Any) -> ContextManager[Server]:
    return _haproxy(directory) if kind == HAPROXY else _stickmesh(directory, **options)
