#!/usr/bin/env python3
"""Records sessions of real HAProxy for the check of the simulator's model: tests/unit/sim/recorded/*.

A scripted peer named agent takes the place of the agent. A line of a recording is `MILLISECONDS WHAT ...`, in the order in
which it happened:

    start cold|beside-old       a process starts; the old one, if any, stays until `taught`
    set KEY TYPE=N ...          on the command line of the newest process, for the table /http
    taught                      the old process has taught the new one all it had, and is gone
    dial                        a connection comes in
    up HEX                      what HAProxy says on it
    down HEX                    what it is told
    end                         the connection is over
"""
from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import haproxy, peer, wait, wire  # noqa: E402
from support.haproxy import HAProxy  # noqa: E402
from support.layout import Layout  # noqa: E402
from support.process import stop_all  # noqa: E402

RECORDED = Path(__file__).resolve().parents[1] / "unit" / "sim" / "recorded"
AGENT, INSTANCE = "agent-1", "lb1"
TYPES = [wire.DataType("gpt0"), wire.DataType("conn_cur"), wire.DataType("http_req_cnt"),
         wire.DataType("http_req_rate", 10_000)]


class Log:
    """What happened, with its time. Bytes that follow each other in one direction make one line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._lines: list[tuple[int, str, bytes | str]] = []

    def note(self, what: str, detail: str = "") -> None:
        with self._lock:
            self._lines.append((self._now(), what, detail))

    def bytes(self, direction: str, data: bytes) -> None:
        with self._lock:
            if self._lines and self._lines[-1][1] == direction and self._now() - self._lines[-1][0] < 20:
                when, _, before = self._lines.pop()
                assert isinstance(before, bytes)
                self._lines.append((when, direction, before + data))
            else:
                self._lines.append((self._now(), direction, data))

    def text(self) -> str:
        def line(when: int, what: str, detail: bytes | str) -> str:
            return f"{when} {what} {detail.hex() if isinstance(detail, bytes) else detail}".rstrip()
        return "".join(line(*entry) + "\n" for entry in self._lines)

    def _now(self) -> int:
        return round(1000 * (time.monotonic() - self._start))


class Logged:
    """The part of a socket that `peer` uses, with a log of what passes."""

    def __init__(self, connection: socket.socket, log: Log) -> None:
        self._connection, self._log, self._over = connection, log, False
        log.note("dial")

    def recv(self, size: int) -> bytes:
        data = self._connection.recv(size)
        if data:
            self._log.bytes("up", data)
        else:
            self._end()
        return data

    def sendall(self, data: bytes) -> None:
        self._log.bytes("down", data)
        self._connection.sendall(data)

    def close(self) -> None:
        self._end()
        self._connection.close()

    def settimeout(self, seconds: float) -> None:
        self._connection.settimeout(seconds)

    def shutdown(self, how: int) -> None:
        self._connection.shutdown(how)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._log.note("end")


class LoggedListener(peer.Listener):
    """The scripted agent. While |away| it closes each connection at once, as an agent that is starting does."""

    def __init__(self, log: Log, habits: peer.Habits) -> None:
        self.log, self.away = log, False
        super().__init__([], habits)

    def _greet(self, connection: socket.socket) -> None:
        if self.away:
            connection.close()
        else:
            super()._greet(Logged(connection, self.log))  # type: ignore[arg-type]


class Scene:
    """One HAProxy named lb1 that dials the scripted agent."""

    def __init__(self, directory: Path, *, size: str = "1k", expire: str = "10m", answers: bool = True) -> None:
        self.log = Log()
        self.habits = peer.Habits(answer_lessons=answers)
        self.listener = LoggedListener(self.log, self.habits)
        self.size, self.expire = size, expire
        tables = {"http": f"type string len 32 size {size} expire {expire} store "
                          "gpt0,conn_cur,http_req_cnt,http_req_rate(10s)"}
        layout = Layout(INSTANCE, self.listener.port, tables, agent_name=AGENT)
        self.haproxy = HAProxy(directory, INSTANCE, layout.config())
        self.log.note("start", "cold")
        self.haproxy.start()
        self.connections = 0
        self.connect()

    def connect(self) -> None:
        """Waits for the next connection, and until HAProxy has said what it says first."""
        self.session = self.listener.session(self.connections)
        self.connections += 1
        self.quiet()

    def quiet(self) -> None:
        """Until nothing but heartbeats has come for a while."""
        seen = -1
        while seen != (seen := sum(not m.is_control(wire.HEARTBEAT) for m in self.session.messages)):
            time.sleep(0.3)

    def set(self, key: str, **values: int) -> None:
        self.log.note("set", f"{key} " + " ".join(f"{name}={value}" for name, value in values.items()))
        self.haproxy.set("mesh/http", key, **values)
        self.quiet()

    def lesson(self) -> None:
        before = self.ends()
        self.session.request_lesson()
        wait.until(self.ends, lambda count: count > before)
        self.quiet()

    def ends(self) -> int:
        return self.session.count(wire.CONTROL, wire.FINISHED) + self.session.count(wire.CONTROL, wire.PARTIAL)

    def table(self, name: str, number: int) -> wire.Table:
        """One that the agent writes to the instance."""
        return wire.Table(name, TYPES, key_len=33, expire=600_000, number=number)

    def teach(self, table: wire.Table, key: str, remaining: int, **values: Any) -> None:
        table.change(key, **values)
        self.session.define(table)
        self.session.send(table.update(key, wire.Dictionary(), remaining))
        self.quiet()

    def hang_up(self) -> None:
        """The link breaks; nobody is there for what follows until `return_`."""
        self.listener.away = True
        self.session.close()

    def return_(self) -> None:
        self.listener.away = False
        self.connect()

    def close(self) -> str:
        self.listener.close()
        self.haproxy.stop()
        tables = f"size {self.size} expire {self.expire}"
        return f"# {haproxy.version_line()}\n# {tables}\n{self.log.text()}"


def pushes(directory: Path) -> str:
    """Live updates, a lesson of what was acknowledged, and of what was not."""
    scene = Scene(directory)
    scene.set("joe", http_req_cnt=1, http_req_rate=1)
    scene.set("amy", http_req_cnt=2, gpt0=7)
    scene.set("joe", http_req_cnt=3)
    scene.lesson()
    scene.set("eve", http_req_cnt=4)
    scene.habits.ack = False
    scene.set("amy", http_req_cnt=5)
    scene.set("bob", http_req_cnt=6, conn_cur=2)
    scene.lesson()
    scene.set("bob", conn_cur=1)
    return scene.close()


def resumes(directory: Path) -> str:
    """The link breaks twice; entries change meanwhile, one of them twice, and one again before the lesson is confirmed."""
    scene = Scene(directory)
    scene.set("joe", http_req_cnt=1)
    scene.set("amy", http_req_cnt=1)
    scene.hang_up()
    scene.set("joe", http_req_cnt=2)
    scene.set("eve", http_req_cnt=1)
    scene.set("joe", http_req_cnt=3)
    scene.habits.confirm = False
    scene.return_()
    scene.lesson()
    scene.set("eve", http_req_cnt=2)
    scene.set("bob", http_req_cnt=1)
    scene.set("joe", http_req_cnt=4)
    scene.session.control(wire.CONFIRM)
    scene.quiet()
    scene.habits.ack = False
    scene.set("joe", http_req_cnt=5)
    scene.hang_up()
    scene.return_()
    return scene.close()


def learns(directory: Path) -> str:
    """The agent teaches totals and the instance's own counters; what is changed then is pushed."""
    scene = Scene(directory)
    scene.set("joe", http_req_cnt=1)
    total, own = scene.table("/http.total", 1), scene.table("/http", 2)
    scene.teach(total, "joe", 500_000, http_req_cnt=10)
    scene.teach(total, "amy", 400_000, http_req_cnt=20, http_req_rate=(100, 3, 4))
    scene.teach(own, "joe", 300_000, http_req_cnt=5, conn_cur=9, gpt0=2)
    scene.teach(own, "eve", 200_000, http_req_cnt=6)
    scene.lesson()
    scene.set("eve", http_req_cnt=7)
    scene.set("joe", http_req_cnt=8)
    scene.teach(total, "joe", 100_000, http_req_cnt=11)
    scene.lesson()
    return scene.close()


def starts(directory: Path) -> str:
    """A cold start: it asks for a lesson, says itself that it has not learned yet, is taught, and has then."""
    scene = Scene(directory, answers=False)
    scene.set("joe", http_req_cnt=1)
    scene.lesson()
    total, own = scene.table("/http.total", 1), scene.table("/http", 2)
    scene.teach(own, "joe", 300_000, http_req_cnt=5)
    scene.teach(own, "amy", 300_000, http_req_cnt=6)
    scene.teach(total, "amy", 300_000, http_req_cnt=7)
    scene.session.control(wire.FINISHED)
    scene.quiet()
    scene.lesson()
    scene.set("amy", http_req_cnt=8)
    return scene.close()


def reloads(directory: Path) -> str:
    """A new process takes over from one that has counted and learned; the agent comes back when that is done."""
    scene = Scene(directory)
    scene.set("joe", http_req_cnt=1)
    scene.set("amy", http_req_cnt=2)
    scene.teach(scene.table("/http.total", 1), "joe", 500_000, http_req_cnt=10)
    old = scene.haproxy.process
    assert old is not None
    scene.listener.away = True
    scene.log.note("start", "beside-old")
    scene.haproxy.reload()
    old.wait()
    scene.log.note("taught")
    scene.set("joe", http_req_cnt=3)
    scene.return_()
    scene.lesson()
    scene.set("amy", http_req_cnt=4)
    scene.set("joe", http_req_cnt=5)
    scene.lesson()
    return scene.close()


def overflows(directory: Path) -> str:
    """A table with room for three."""
    scene = Scene(directory, size="3")
    for count, key in enumerate(("joe", "amy", "eve"), 1):
        scene.set(key, http_req_cnt=count)
    scene.set("joe", http_req_cnt=4)
    scene.lesson()
    scene.set("bob", http_req_cnt=5)
    scene.lesson()
    scene.teach(scene.table("/http", 2), "bob", 300_000, http_req_cnt=6)
    scene.lesson()
    return scene.close()


def expires(directory: Path) -> str:
    """Lives that a peer has shortened: an entry that was there goes when its old end comes."""
    scene = Scene(directory, expire="6s")
    scene.set("joe", http_req_cnt=1)
    scene.teach(scene.table("/http", 2), "joe", 500, http_req_cnt=2)
    scene.teach(scene.table("/http", 2), "amy", 500, http_req_cnt=3)
    time.sleep(1.0)
    scene.lesson()
    time.sleep(6.0)
    scene.lesson()
    return scene.close()


SCENES: dict[str, Callable[[Path], str]] = {
    "pushes": pushes, "resumes": resumes, "learns": learns, "starts": starts, "reloads": reloads,
    "overflows": overflows, "expires": expires,
}


def main() -> int:
    directory = Path(tempfile.mkdtemp(prefix="sm-"))
    major, minor = haproxy.version()
    try:
        for name in sys.argv[1:] or SCENES:
            folder = directory / name
            folder.mkdir()
            recording = RECORDED / f"{name}-{major}.{minor}"
            recording.parent.mkdir(exist_ok=True)
            recording.write_text(SCENES[name](folder))
            print(f"{recording.name}: {recording.stat().st_size} bytes")
    finally:
        stop_all()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
