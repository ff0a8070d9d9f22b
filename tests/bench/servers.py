"""What is measured: one HAProxy or one stickmeshd, each with the same table, for scripted peers; an agent that only echoes
events; or redis-server."""
from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, ContextManager, Iterator

from support import agent, haproxy, redis, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.haproxy import HAProxy
from support.ports import free_port
from support.process import Process
from support.spoe_layout import SpoeLayout

TABLE = "type ip size 12m expire 1h store gpc0,http_req_cnt,http_req_rate(10s),bytes_in_cnt"
# A rate of 10 s runs out while it is measured, which makes a change that nobody asked for.
MIRRORED_TABLE = TABLE.replace("http_req_rate(10s)", "http_req_rate(1h)")
HAPROXY, STICKMESH, ECHO, REDIS = "haproxy", "stickmesh", "echo", "redis"
OFF, ON, AWAY = "off", "on", "away"  # the mirror
_BUILD = Path(os.environ.get("BUILD_DIR", agent.ROOT / "build")).resolve() / "release"


class Failed(Exception):
    """A measurement that did not come to its end; the message has the logs."""


def use_environment() -> None:
    """Which programs: the first of HAPROXY_BINARIES, and STICKMESHD or that of BUILD_DIR."""
    first = os.environ.get("HAPROXY_BINARIES", "").split(":")[0]
    if first:
        os.environ["STICKMESH_TEST_HAPROXY"] = first
    os.environ.setdefault("STICKMESHD", str(_BUILD / "agent/daemon/stickmeshd"))


_PROGRAMS = {"peers_load": "load", "spoe_load": "spoe", "spoe_echo": "spoe"}


def program(name: str) -> str:
    """One of ours, or what the environment says in its place: PEERS_LOAD and so on."""
    return os.environ.get(name.upper()) or str(_BUILD / "tests/bench" / _PROGRAMS[name] / name)


def missing(servers: list[str], tools: set[str]) -> str | None:
    """Why nothing can be measured here, or None."""
    for name in _PROGRAMS:
        if not os.access(program(name), os.X_OK):
            return f"{name} is not built ({program(name)})"
    for tool in tools:
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    if HAPROXY in servers and haproxy.binary() is None:
        return "haproxy is missing"
    return agent.missing() if STICKMESH in servers else None


@dataclasses.dataclass
class Server:
    """A running server, as the load programs need to know it. |instance| is the HAProxy that takes part, if one does."""
    kind: str
    process: Process
    name: str
    port: int
    instance: HAProxy | None = None
    daemon: Agent | None = None
    fellow: Server | None = None  # another agent
    spoe_port: int | None = None
    http_port: int | None = None  # of |instance|
    redis_server: redis.Redis | None = None
    define: str = TABLE

    def load(self, mode: list[str], *, names: str = "a", tables: str = "/http", settle_ms: int = 300) -> dict[str, Any]:
        """Runs peers_load against it, and returns its report."""
        return self._report([program("peers_load"), "--server", f"127.0.0.1:{self.port}", "--server-name", self.name,
                             "--name", names, "--table", tables, "--define", self.define, "--pid", str(self.process.pid),
                             "--settle-ms", str(settle_ms), *mode])

    def events(self, options: list[str], *, settle_ms: int = 300) -> dict[str, Any]:
        """Runs spoe_load against it, and returns its report."""
        return self._report([program("spoe_load"), "--server", f"127.0.0.1:{self.spoe_port}", "--pid",
                             str(self.process.pid), "--settle-ms", str(settle_ms), *options])

    def _report(self, command: list[str]) -> dict[str, Any]:
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
    """Its frontend answers every request itself."""
    port, http_port = free_port(), free_port()
    # Nobody listens at the addresses of the scripted peers: they dial.
    config = _peers_section(port, {"a": free_port(), "b": free_port()}, ["http"])
    config += f"frontend http\n    bind 127.0.0.1:{http_port}\n    http-request return status 200\n"
    instance = HAProxy(directory, "lb1", config).start()
    assert instance.process is not None
    try:
        yield Server(HAPROXY, instance.process, "lb1", port, instance, http_port=http_port)
    finally:
        instance.stop()


@contextlib.contextmanager
def _echo(directory: Path, in_front: bool = False) -> Iterator[Server]:
    port = free_port()
    process = Process("spoe_echo", [program("spoe_echo"), f"127.0.0.1:{port}"], directory / "echo.log")
    try:
        wait.until(lambda: socket.create_connection(("127.0.0.1", port)).close(), lambda _: True, what="the echo listens")
        server = Server(ECHO, process, "echo", port, spoe_port=port)
        with _in_front(server, directory) if in_front else contextlib.nullcontext():
            yield server
    finally:
        process.stop()


@contextlib.contextmanager
def _redis(directory: Path) -> Iterator[Server]:
    server = redis.Redis(directory)
    try:
        server.start()
        assert server.process is not None
        yield Server(REDIS, server.process, "redis", server.port, redis_server=server)
    finally:
        server.stop()


@contextlib.contextmanager
def _in_front(server: Server, directory: Path, rules: str = "") -> Iterator[None]:
    """A HAProxy that asks the agent about every request, and refuses those that had no answer, or does what |rules| say. It
    makes the keys, because a load generator's clients have one address."""
    assert server.spoe_port is not None
    track = "table=str(http) key=rand(10000) http_req_cnt=int(1) http_req_rate=int(1)"
    rules = (rules or "    http-request return status 503 unless { var(txn.stickmesh.ok) -m bool }\n") + (
        "    http-request return status 200\n")
    shown = ["found", "ready", "verdict", "reason", "retry_after", "http_req_cnt", "http_req_rate"]
    layout = SpoeLayout({"track": track}, [server.spoe_port], shown, rules, check="",
                        general=f"    lua-load-per-thread {agent.ROOT}/lua/haproxy/stickmesh.lua\n" if "lua." in rules else "")
    instance = HAProxy(directory, "front", layout.config(directory, "front"))
    try:
        instance.start()
        server.instance, server.http_port = instance, layout.http_port
        yield
    finally:
        instance.stop()


@contextlib.contextmanager
def _stickmesh(directory: Path, publish_interval: str = "20ms", with_haproxy: bool = False, with_agent: bool = False,
               names: tuple[str, ...] = ("a", "b"), spoe: bool = False, in_front: bool | str = False,
               mirror: str = "", hook: str = "") -> Iterator[Server]:
    """|with_haproxy| adds an instance lb1 to it, |with_agent| another agent, which is told everything, |names| are those of
    the scripted peers. With |spoe| it takes events, |in_front| from a HAProxy (with those rules). |mirror| is ON with a redis-server, AWAY
    without one, or OFF, which is the same table and no mirror. |hook| is a Lua script."""
    define = MIRRORED_TABLE if mirror else TABLE
    config = AgentConfig(peers=[PeerConfig(name) for name in (*names, "lb1")], aggregates={"http": "http.total"},
                         level="notice", agent_section='max-memory = "8GiB"',
                         peers_section=f'publish-interval = "{publish_interval}"')
    if spoe or in_front:
        # On a busy machine some events would come too late for the usual deadline, and not be counted.
        config.spoe, config.spoe_section = [f"127.0.0.1:{free_port()}"], 'deadline = "10s"'
        config.extra = f'\n[[table]]\nname = "http"\ndefine = "{define}"\n'
    if isinstance(in_front, str):
        config.extra += '\n[[limit]]\nname = "high"\ntable = "http"\ntype = "http_req_rate"\nabove = 1000000000\n'
    if hook:
        (directory / "hook.lua").write_text(hook)
        config.extra += f'\n[[hook]]\nfile = "{directory}/hook.lua"\n'
    with contextlib.ExitStack() as stack:
        mirrored = stack.enter_context(_redis(directory)) if mirror == ON else None
        if mirror in (ON, AWAY):
            config.extra += f'\n[redis]\naddress = "127.0.0.1:{mirrored.port if mirrored else free_port()}"\n'
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
        server = Server(STICKMESH, daemon.process, config.name, daemon.port, daemon=daemon, define=define,
                        redis_server=mirrored.redis_server if mirrored else None)
        if mirrored:
            wait.until(lambda: daemon.ask("show redis"), lambda shown: "\nState: connected\n" in shown,
                       what="the agent's session with Redis")
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
        if config.spoe:
            server.spoe_port = int(config.spoe[0].rpartition(":")[2])
        if in_front:
            stack.enter_context(_in_front(server, directory, in_front if isinstance(in_front, str) else ""))
        yield server


def start(kind: str, directory: Path, **options: Any) -> ContextManager[Server]:
    return {HAPROXY: _haproxy, STICKMESH: _stickmesh, ECHO: _echo, REDIS: _redis}[kind](directory, **options)
