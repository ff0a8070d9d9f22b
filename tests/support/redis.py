"""A real redis-server on a port of its own, and a client that speaks its protocol."""
from __future__ import annotations

import re
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

from support import wait
from support.ports import free_port
from support.process import Process

Answer = Any  # str, int, None, a list of them, or an Error


class Error(str):
    """An answer that is an error."""


def missing() -> str | None:
    """Why no Redis can be started here, or None."""
    return None if shutil.which("redis-server") else "redis-server is not installed"


class Redis:
    """Without persistence. Its port, and so what the agent dials, stays the same over restarts."""

    def __init__(self, directory: Path, name: str = "redis", options: list[str] | None = None,
                 own_session: bool = False) -> None:
        self.directory = directory / name
        self.directory.mkdir()
        self.name = name
        self.port = free_port()
        self.options = options or []
        self.own_session = own_session
        self.password = ""
        self.authority: Path | None = None  # with TLS
        self.process: Process | None = None

    def start(self) -> "Redis":
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "-::1", "--save", "", "--dir", str(self.directory)]
        self.process = Process(self.name, argv + self.options, self.directory / "log",
                               own_session=self.own_session)
        wait.until(self._answers, what=f"{self.name} answers")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if not self.process.running():
            raise AssertionError(f"redis-server ended:\n{self.process.log()[-2000:]}")
        try:
            return self.ask("PING") == "PONG"
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def ask(self, *words: object) -> Answer:
        """One command over a connection of its own."""
        with self._connect() as connection:
            stream = connection.makefile("rb")
            if self.password:
                connection.sendall(command("AUTH", self.password))
                read(stream)
            connection.sendall(command(*words))
            return read(stream)

    def _connect(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10.0)
        if self.authority is None:
            return plain
        context = ssl.create_default_context(cafile=str(self.authority))
        context.check_hostname = False  # it is the agent who has to
        return context.wrap_socket(plain)

    def hash(self, key: str) -> dict[str, str]:
        fields = self.ask("HGETALL", key)
        return dict(zip(fields[::2], fields[1::2])) if isinstance(fields, list) else {}

    def keys(self, pattern: str = "*") -> set[str]:
        return set(self.ask("KEYS", pattern))

    def subscribe(self, channel: str) -> "Subscription":
        return Subscription(self._connect(), channel)

    def info(self, name: str) -> str:
        found = re.search(rf"^{name}:(.*?)\r?$", self.ask("INFO"), re.M)
        return found[1] if found else ""


class Subscription:
    """To one channel: what is published there, in order."""

    def __init__(self, connection: socket.socket, channel: str) -> None:
        self.connection = connection
        self._stream = connection.makefile("rb")
        connection.sendall(command("SUBSCRIBE", channel))
        read(self._stream)

    def next(self) -> bytes:
        return read(self._stream)[2].encode(errors="surrogateescape")

    def close(self) -> None:
        self._stream.close()
        self.connection.close()


class Sentinel(Redis):
    """One that watches the master on a port as `mymaster`."""

    def __init__(self, directory: Path, name: str, master: int) -> None:
        super().__init__(directory, name)
        self.master = master

    def start(self) -> "Sentinel":
        config = self.directory / "sentinel.conf"
        config.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\n"
                          f"sentinel monitor mymaster 127.0.0.1 {self.master} 2\n"
                          "sentinel down-after-milliseconds mymaster 60000\nsentinel failover-timeout mymaster 3000\n")
        self.process = Process(self.name, ["redis-server", str(config), "--sentinel"], self.directory / "log")
        wait.until(self._answers, what=f"{self.name} answers")
        return self

    def hurry(self) -> None:
        """Before the master is killed; until then one that only stands still is not down."""
        self.ask("SENTINEL", "SET", "mymaster", "down-after-milliseconds", 500)

    def knows(self) -> tuple[int, int]:
        """How many replicas, and how many other sentinels."""
        told = self.ask("SENTINEL", "MASTER", "mymaster")
        row = dict(zip(told[::2], told[1::2]))
        return int(row["num-slaves"]), int(row["num-other-sentinels"])


def command(*words: object) -> bytes:
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def read(stream: Any) -> Answer:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Redis closed the connection")
    kind, text = line[:1], line[1:-2].decode(errors="surrogateescape")
    if kind == b"+":
        return text
    if kind == b"-":
        return Error(text)
    if kind == b":":
        return int(text)
    if int(text) < 0:
        return None
    if kind == b"*":
        return [read(stream) for _ in range(int(text))]
    return stream.read(int(text) + 2)[:-2].decode(errors="surrogateescape")
