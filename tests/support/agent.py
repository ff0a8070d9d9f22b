"""A real stickmeshd: its config is written, it is started, asked over its runtime socket, and ended."""
from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Sequence

from support import haproxy, wait
from support.ports import free_port
from support.process import Adopted, Process

ROOT = Path(__file__).resolve().parents[2]
_SANITIZER = re.compile(r"(ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer)")


def daemon_path() -> str:
    return os.environ.get("STICKMESHD") or str(ROOT / "build/release/agent/daemon/stickmeshd")


def control_path() -> str:
    return os.environ.get("STICKMESHCTL") or str(ROOT / "build/release/agent/ctl/stickmeshctl")


def missing() -> str | None:
    """Why no agent can be started here, or None."""
    path = daemon_path()
    return None if os.access(path, os.X_OK) else f"stickmeshd is not built ({path})"


def sanitized() -> bool:
    """Whether the daemon carries AddressSanitizer, whose own memory makes bounds on the daemon's meaningless."""
    return b"__asan_init" in Path(daemon_path()).read_bytes()


@dataclasses.dataclass
class PeerConfig:
    """A [[peer]] table. Without |port| the agent only accepts it."""
    name: str
    port: int | None = None
    host: str = "127.0.0.1"
    kind: str = "haproxy"

    def toml(self) -> str:
        address = "" if self.port is None else f'address = "{self.host}:{self.port}"\n'
        return f'\n[[peer]]\nname = "{self.name}"\nkind = "{self.kind}"\n{address}'


@dataclasses.dataclass
class AgentConfig:
    """What a test usually wants; |extra| is appended as it is, |peers_section| goes into [peers]."""
    peers: list[PeerConfig] = dataclasses.field(default_factory=list)
    aggregates: dict[str, str] = dataclasses.field(default_factory=lambda: {"*": "*.total"})
    name: str = "agent-1"
    peers_section: str = ""
    agent_section: str = ""
    aggregate_keys: str = ""
    allow_from: str = '["127.0.0.0/8"]'
    level: str = "debug"
    extra: str = ""
    host: str = "127.0.0.1"  # on which it listens
    # Where it takes events: addresses, or a socket's path with its group and mode.
    spoe: Sequence[str | dict[str, str]] = dataclasses.field(default_factory=list)
    switch_timeout: str = "10s"  # of a soft restart: the default is too short for a busy machine
    spoe_section: str = 'deadline = "10s"'  # on a busy machine events wait for longer than the default

    def toml(self, directory: Path, port: int) -> str:
        parts = [f'[agent]\nname = "{self.name}"\nstate-dir = "{directory}/state"\n'
                 f'switch-timeout = "{self.switch_timeout}"\n{self.agent_section}\n',
                 f'[log]\nlevel = "{self.level}"\ntarget = "stderr"\n',
                 f'[admin]\nsocket = "{directory}/admin.sock"\n',
                 f'[peers]\nlisten = ["{self.host}:{port}"]\nallow-from = {self.allow_from}\n{self.peers_section}\n']
        parts.append(f"[spoe]\nlisten = [{', '.join(map(_address, self.spoe))}]\n{self.spoe_section}\n")
        parts += [peer.toml() for peer in self.peers]
        parts += [f'\n[[aggregate]]\nfrom = "{source}"\nto = "{target}"\n{self.aggregate_keys}\n'
                  for source, target in self.aggregates.items()]
        return "\n".join(parts) + self.extra


def _address(of: str | dict[str, str]) -> str:
    if isinstance(of, str):
        return json.dumps(of)
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in of.items()) + " }"


class Agent:
    """One agent living in |directory|. Its port stays the same over restarts."""

    def __init__(self, directory: Path, config: AgentConfig, port: int | None = None) -> None:
        self.directory = directory
        self.config = config
        self.port = port or free_port()
        self.config_path = directory / "stickmesh.toml"
        self.socket_path = directory / "admin.sock"
        self.log_path = directory / "agent.log"
        self.process: Process | None = None
        self.program = daemon_path()
        self.environment: dict[str, str] = {}
        self.prefix: list[str] = []  # of the command, such as one that enters a network namespace
        self.sockets: Sequence[int] = ()  # that the process has under the same numbers
        (directory / "state").mkdir(parents=True, exist_ok=True)

    def write_config(self) -> None:
        self.config_path.write_text(self.config.toml(self.directory, self.port))

    def start(self) -> "Agent":
        self.write_config()
        self.process = Process("stickmeshd", [*self.prefix, self.program, "-f", str(self.config_path)],
                               self.log_path, self.environment, sockets=self.sockets)
        wait.until(self._answers, what="stickmeshd answers on its runtime socket")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if not self.process.running():
            raise AssertionError(f"stickmeshd ended with {self.process.exit_code}:\n{self.process.log()[-4000:]}")
        return self.ask("show info").startswith("Name: stickmesh")

    def stop(self) -> int:
        """SIGTERM; the exit code. A sanitizer's report fails the test, whatever the code."""
        assert self.process is not None
        code = self.process.stop()
        self.check_sanitizers()
        return code

    def reload(self) -> str:
        """A soft restart with the config as it is now, and what `reload` says of it. Once a new process is in charge, and
        the old one has ended, this is it."""
        self.write_config()
        answer = self.ask("reload", timeout=60.0)
        if (found := re.match(r"done: process (\d+) is in charge", answer)) is not None:
            self.follow(int(found[1]))
        return answer

    def follow(self, pid: int) -> None:
        """Another process has taken over."""
        assert self.process is not None
        code = self.process.wait()
        if code != 0:
            raise AssertionError(f"the old stickmeshd ended with {code}:\n{self.log()[-4000:]}")
        self.process = Adopted("stickmeshd", pid, self.log_path)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def check_sanitizers(self) -> None:
        found = _SANITIZER.search(self.log())
        if found is not None:
            raise AssertionError(f"stickmeshd: {self.log()[max(0, found.start() - 200):][:4000]}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ask(self, command: str, timeout: float = 30.0) -> str:
        """One runtime command; the answer ends when the agent closes."""
        answer = bytearray()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.socket_path))
            connection.sendall(command.encode() + b"\n")
            while chunk := connection.recv(1 << 18):
                answer += chunk
        return answer.decode(errors="replace")

    def table(self, name: str) -> haproxy.Table:
        return haproxy.parse_table(self.ask(f"show table {name}"))

    def value(self, table: str, key: str, data_type: str) -> haproxy.Value | None:
        return haproxy.parse_table(self.ask(f"show table {table} key {key}")).get(key, {}).get(data_type)

    def used(self, table: str) -> int:
        """The entries that the agent counts in |table|, from the header line."""
        found = re.search(r"^# table: .*\bused:(\d+)", self._head(table), re.M)
        return int(found[1]) if found else -1

    def _head(self, table: str) -> str:
        """Only the start of the answer: a table of 200 k entries need not be read to count them."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30.0)
            connection.connect(str(self.socket_path))
            connection.sendall(f"show table {table}\n".encode())
            return connection.recv(4096).decode(errors="replace")

    def peers(self) -> dict[str, dict[str, str]]:
        """`show peers` by name."""
        return {row.get("name", ""): row for row in columns(self.ask("show peers"))}

    def peer(self, name: str) -> tuple[dict[str, str], dict[tuple[str, str], dict[str, str]]]:
        """`show peers NAME`: its fields, and its tables by name and direction."""
        fields, _, tables = self.ask(f"show peers {name}").partition("# table")
        rows = columns("# table" + tables) if tables else []
        return (dict(line.split(": ", 1) for line in fields.splitlines() if ": " in line),
                {(row["table"], row["direction"]): row for row in rows})

    def tables(self) -> list[dict[str, str]]:
        return columns(self.ask("show tables"))

    def errors(self) -> dict[str, int]:
        """The counts of `show errors`."""
        return {reason: int(count)
                for reason, count in re.findall(r"^([a-z][a-z-]*)\t(\d+)\s*$", self.ask("show errors"), re.M)}


def columns(text: str) -> list[dict[str, str]]:
    """A tab-separated answer with a header line that begins with '#'."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("#"):
        raise LookupError(f"no header line in: {wait.shorten(text)}")
    names = lines[0].lstrip("# ").split("\t")
    return [dict(zip(names, line.split("\t"))) for line in lines[1:]]


def check_config(text: str, directory: Path, name: str = "checked.toml") -> tuple[int, str]:
    """`stickmeshd -c`: the exit code, and what it says on both outputs."""
    path = directory / name
    path.write_text(text)
    done = subprocess.run([daemon_path(), "-c", "-f", str(path)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr
