"""A stand-in for systemd: hears what a service says and who says it, and hands it listening sockets."""
from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Iterator

from support import wait

_CREDENTIALS = struct.Struct("3i")
# Where sockets wait for the exec that gives them the numbers from 3 on; above what a child has opened by then.
_FIRST_WAITING = 200
_GIVE = """
import os, sys
sockets, first, activation = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "activation"
for index in range(sockets):
    os.dup2(first + index, 3 + index)
os.closerange(first, first + sockets)
if activation:
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ.setdefault("LISTEN_FDS", str(sockets))
os.execvp(sys.argv[4], sys.argv[4:])
"""


class ServiceManager:
    """Takes messages as NotifyAccess=main does: from the main process alone, which is the first to say something, and
    then whom it names. What others say is in |ignored|. With |hears_all|, as NotifyAccess=all."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "notify.sock"
        self.hears_all = False
        self.main_pid: int | None = None
        self.heard: list[tuple[int, list[str]]] = []
        self.ignored: list[tuple[int, list[str]]] = []
        self._marks = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(self.path))
        self.path.chmod(0o777)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def environment(self, watchdog: int | None = None) -> dict[str, str]:
        """Of a service that is to speak; |watchdog|: how often, in microseconds."""
        return {"NOTIFY_SOCKET": str(self.path), **({} if watchdog is None else {"WATCHDOG_USEC": str(watchdog)})}

    def close(self) -> None:
        self._send(b"END")
        self._thread.join(10)
        self._socket.close()

    def _send(self, text: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text, str(self.path))

    def settled(self) -> None:
        """What was said before has been heard."""
        wanted = self._marks + 1
        self._send(b"MARK")
        wait.until(lambda: self._marks, lambda marks: marks >= wanted, what="the service manager has heard all")

    def _listen(self) -> None:
        while True:
            text, ancillary, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(_CREDENTIALS.size))
            if text == b"END":
                return
            if text == b"MARK":
                self._marks += 1
                continue
            pid = _CREDENTIALS.unpack(ancillary[0][2])[0]
            self._take(pid, text.decode().split("\n"))

    def _take(self, pid: int, lines: list[str]) -> None:
        if self.main_pid is None:
            self.main_pid = pid
        if pid != self.main_pid and not self.hears_all:
            self.ignored.append((pid, lines))
            return
        self.heard.append((pid, lines))
        for line in lines:
            if line.startswith("MAINPID="):
                self.main_pid = int(line[8:])

    def _lines(self, pid: int | None) -> Iterator[str]:
        for sender, lines in list(self.heard):
            if pid in (None, sender):
                yield from lines

    def values(self, name: str, pid: int | None = None) -> list[str]:
        """Of |name|, as said by |pid| or by anyone."""
        return [line[len(name) + 1:] for line in self._lines(pid) if line.startswith(name + "=")]

    def beats(self, pid: int | None = None) -> int:
        return len(self.values("WATCHDOG", pid))

    def status(self) -> str:
        """The last one, as `systemctl status` would show it."""
        return next(iter(self.values("STATUS")[::-1]), "")

    def wait_beats(self, pid: int, more: int = 3) -> None:
        seen = self.beats(pid)
        wait.until(lambda: self.beats(pid), lambda count: count >= seen + more, timeout=30,
                   what=f"{pid} is heard {more} more times")


@contextlib.contextmanager
def handed(sockets: list[socket.socket], activation: bool = True) -> Iterator[tuple[list[int], list[str]]]:
    """Descriptors for a child, and the prefix of its command that gives them the numbers from 3 on and, if they are for
    its |activation|, says so as systemd does."""
    waiting: list[int] = []
    try:
        for index, one in enumerate(sockets):
            waiting.append(fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, _FIRST_WAITING + index))
        if waiting != list(range(_FIRST_WAITING, _FIRST_WAITING + len(sockets))):
            raise OSError(f"descriptors from {_FIRST_WAITING} on are in use")
        yield waiting, [sys.executable, "-c", _GIVE, str(len(sockets)), str(_FIRST_WAITING),
                       "activation" if activation else "-"]
    finally:
        for descriptor in waiting:
            socket.close(descriptor)
