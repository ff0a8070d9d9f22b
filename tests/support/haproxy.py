"""A real HAProxy: started from a config text, watched and driven through its stats socket."""
from __future__ import annotations

import functools
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Iterable

from support import wait
from support.process import Process

Value = int | str
Entry = dict[str, Value]
Table = dict[str, Entry]

# The CLI reads one request line of at most a buffer (16 kB); this many characters leave room.
_CLI_LINE = 12000

_GLOBAL = """global
    stats socket {socket} mode 600 level admin
    nbthread {threads}
defaults
    mode http
    timeout client 60s
    timeout server 10s
    timeout connect 2s
    balance roundrobin
"""


def binary() -> str | None:
    """The HAProxy under test: the runner sets it, for each of HAPROXY_BINARIES in turn."""
    return os.environ.get("STICKMESH_TEST_HAPROXY") or shutil.which("haproxy") or _outside_path()


def _outside_path() -> str | None:
    """Debian installs it in sbin, which is not in every user's PATH."""
    return "/usr/sbin/haproxy" if os.access("/usr/sbin/haproxy", os.X_OK) else None


@functools.cache
def version(path: str | None = None) -> tuple[int, int]:
    """(major, minor), for what a version can or cannot do."""
    first = version_line(path)
    found = re.search(r"version (\d+)\.(\d+)", first)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@functools.cache
def version_line(path: str | None = None) -> str:
    out = subprocess.run([path or binary() or "haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    return out.splitlines()[0]


def parse_table(text: str) -> Table:
    """`show table NAME` as key -> values. Periods are dropped: `http_req_rate(10000)=5` is found as http_req_rate."""
    table: Table = {}
    for line in text.splitlines():
        found = re.match(r"0x[0-9a-f]+: key=(.*?) use=\d+ exp=(\d+)(.*)$", line)
        if found is None:
            continue
        entry: Entry = {"exp": int(found[2])}
        for name, value in re.findall(r"(\w+)(?:\(\d+\))?=(\S*)", found[3]):
            entry[name] = _value(name, value)
        table[unescape(found[1]) if "\\" in found[1] else found[1]] = entry
    return table


def _value(name: str, text: str) -> Value:
    if not re.fullmatch(r"-?\d+", text):
        return text
    # HAProxy 2.4 prints the counters of 64 bits as signed numbers.
    return int(text) % 2**64 if name.startswith("bytes_") else int(text)


def unescape(text: str) -> str:
    """A key as it is, from how HAProxy prints it: `a\\=b`, `\\x07`, `\\n`."""
    letters = {"n": "\n", "r": "\r", "t": "\t", "e": "\x1b"}

    def plain(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 3 else letters.get(code, code)
    return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", plain, text)


def parse_used(text: str) -> int:
    """The number of entries that the header of `show table` claims."""
    found = re.search(r"^# table: .*\bused:(\d+)", text, re.M)
    if found is None:
        raise LookupError(f"no table header in: {wait.shorten(text)}")
    return int(found[1])


def parse_peers(text: str) -> dict[str, dict[str, str]]:
    """`show peers` as peer name -> its own fields (not those of its tables), and `local`/`remote` under "kind"."""
    peers: dict[str, dict[str, str]] = {}
    for block in re.split(r"\n(?=\s+0x[0-9a-f]+: id=)", text)[1:]:
        own = block.split("shared tables:")[0]
        head = re.search(r"id=(.+?)\((\w+),", own)
        if head is not None:
            peers[head[1]] = {"kind": head[2], **dict(re.findall(r"(\w+)=(\S+)", own))}
    return peers


class HAProxy:
    """One instance. It lives in |directory|; |name| is its peer name (-L)."""

    def __init__(self, directory: Path, name: str, config: str) -> None:
        self.name = name
        self.directory = directory
        self.socket_path = directory / f"{name}.sock"
        self.config_path = directory / f"{name}.cfg"
        self.process: Process | None = None
        self.prefix: list[str] = []  # of the command, such as one that enters a network namespace
        self.threads = 1
        self._old: list[Process] = []
        self._config = config

    def start(self) -> "HAProxy":
        self._spawn([])
        return self

    def reload(self, config: str | None = None) -> None:
        """A new process takes over from the running one (-sf), as `systemctl reload haproxy` makes it."""
        assert self.process is not None
        if config is not None:
            self._config = config
        old = self.process
        self._old.append(old)
        self._spawn(["-sf", str(old.pid)])
        # Both listen at first, and what the old one is given by the kernel may be reset.
        wait.until(lambda: not old.running() or not old.listens(), what=f"the old process of {self.name} listens no more")

    def stop(self) -> None:
        for process in [*self._old, self.process]:
            if process is not None:
                process.stop()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def _spawn(self, extra: list[str]) -> None:
        self.config_path.write_text(_GLOBAL.format(socket=self.socket_path, threads=self.threads) + self._config)
        path = binary()
        assert path is not None, "no haproxy"
        self.process = Process(f"haproxy {self.name}",
                               [*self.prefix, path, "-f", str(self.config_path), "-db", "-L", self.name, *extra],
                               self.directory / f"{self.name}.log")
        wait.until(self._answers, what=f"haproxy {self.name} answers on its stats socket", timeout=30.0)

    def _answers(self) -> bool:
        assert self.process is not None
        if not self.process.running():
            raise AssertionError(f"haproxy {self.name} did not start:\n{self.process.log()}")
        # After a reload the old process may still hold the socket: the pid tells them apart.
        return re.search(rf"^Pid: {self.process.pid}$", self.cli("show info"), re.M) is not None

    def cli(self, *commands: str, timeout: float = 30.0) -> str:
        """Runs |commands| over one connection and returns all that came back."""
        answer = bytearray()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.socket_path))
            connection.sendall(";".join(commands).encode() + b"\n")
            while chunk := connection.recv(1 << 18):
                answer += chunk
        return answer.decode(errors="replace")

    def table(self, name: str) -> Table:
        return parse_table(self.cli(f"show table {name}"))

    def entry(self, table: str, key: str) -> Entry | None:
        return parse_table(self.cli(f"show table {table} key {key}")).get(key)

    def value(self, table: str, key: str, data_type: str) -> Value | None:
        """One value, or None where there is no such entry: what most tests poll."""
        return (self.entry(table, key) or {}).get(data_type)

    def used(self, table: str) -> int:
        """The number of entries, without meeting them: a dump purges the expired ones that it meets."""
        for line in self.cli("show table").splitlines():
            if f"# table: {table}," in line:
                return parse_used(line)
        raise LookupError(table)

    def set(self, table: str, key: str, **values: int) -> None:
        """Writes an entry as an operator would; HAProxy pushes it to its peers as a change of its own."""
        self.fill(table, [(key, values)])

    def fill(self, table: str, rows: Iterable[tuple[str, dict[str, int]]]) -> None:
        """Many `set table` in few connections: 200 k take about three seconds."""
        batch: list[str] = []
        size = 0
        for key, values in rows:
            data = " ".join(f"data.{name} {value}" for name, value in values.items())
            command = f"set table {table} key {key} {data}"
            if size + len(command) > _CLI_LINE:
                self._run_batch(batch)
                batch, size = [], 0
            batch.append(command)
            size += len(command) + 1
        if batch:
            self._run_batch(batch)

    def _run_batch(self, batch: list[str]) -> None:
        answer = self.cli(*batch).strip()
        if answer:
            raise AssertionError(f"haproxy {self.name} refused: {wait.shorten(answer, 300)} for {batch[0]}...")

    def peers(self) -> dict[str, dict[str, str]]:
        return parse_peers(self.cli("show peers"))

    def peer_state(self, name: str) -> str:
        """ESTA when a session with that peer is up."""
        return self.peers().get(name, {}).get("last_status", "none")
