#!/usr/bin/env python3
"""Records connections of real HAProxy to an SPOE agent as seeds for the fuzz targets: tests/fuzz/corpus/spop_*/capture-*.

A spop_wire_fuzz seed is the frames of one direction as they are. A spop_session_fuzz seed is that target's input: a byte
for the handler's mood, then what HAProxy says, 0xfe doubled, with a command where it was read in pieces (see
tests/fuzz/spop_session_fuzz.cc)."""
from __future__ import annotations

import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import haproxy, spop, wait  # noqa: E402
from support.haproxy import HAProxy  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.process import stop_all  # noqa: E402

CORPUS = Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
SIZE = 3000  # bytes of a seed, about: a fuzzer gets nowhere with long ones
MOOD, TAKE_ALL = b"\x01", b"\xfe\x02"

_AGENT = """[stickmesh]
spoe-agent stickmesh-agent
    messages {messages}
    option var-prefix stickmesh
    option set-on-error err
    register-var-names ok
    timeout hello 1s
    timeout idle {idle}
    timeout processing 500ms
    {options}
    use-backend stickmesh-agents
"""
_MESSAGES = {
    "track": "args table=str(http) key=src http_req_rate=int(1)\n    event on-frontend-http-request",
    "lookup-ban": "args table=str(ban) key=req.hdr(x-client)\n    event on-frontend-http-request",
    "types": "args n=int(-5) big=int(9223372036854775807) i=int(16380) yes=bool(true) no=bool(false) "
             "a=src a6=ipv6(fe80::1) t=str(x) b=bin(00ff) m=method none=req.hdr(no-such) str()\n"
             "    event on-frontend-http-request",
    "url": "args key=url\n    event on-frontend-http-request",
    "answered": "args st=status\n    event on-http-response",
}
_PROXIES = """frontend web
    bind 127.0.0.1:{port}
    filter spoe engine stickmesh config {file}
    http-response set-header x-ok %[var(txn.stickmesh.ok)]
    http-response set-header x-err %[var(txn.stickmesh.err),add(0)]
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
frontend at-origin
    bind 127.0.0.1:{origin}
    http-request return status 200
backend stickmesh-agents
    mode tcp
    {check}
    timeout server 1m
    server agent 127.0.0.1:{agent} {server}
"""


class Scene:
    """One HAProxy whose requests go through an engine to the scripted agent."""

    def __init__(self, directory: Path, messages: str, habits: spop.Habits | None = None, *, options: str = "",
                 idle: str = "30s", check: bool = False) -> None:
        self.agent = spop.Agent(habits)
        self.port = free_port()
        file = directory / "spoe.conf"
        sections = [f"spoe-message {name}\n    {_MESSAGES[name]}\n" for name in messages.split()]
        file.write_text(_AGENT.format(messages=messages, options=options, idle=idle) + "\n".join(sections))
        config = _PROXIES.format(port=self.port, file=file, origin=free_port(), agent=self.agent.port,
                                 check="option spop-check" if check else "", server="check inter 200ms" if check else "")
        self.haproxy = HAProxy(directory, "lb1", config).start()

    def get(self, path: str = "/") -> dict[str, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"x-client": "joe"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return dict(answer.headers)

    def get_many(self, count: int) -> None:
        threads = [threading.Thread(target=self.get) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def close(self) -> None:
        self.haproxy.stop()
        wait.until(lambda: all(connection.ended for connection in self.agent.connections))
        self.agent.close()


def events(directory: Path) -> Scene:
    """Two messages in one event, then one of the response; a soft stop."""
    scene = Scene(directory, "track lookup-ban answered")
    for _ in range(3):
        assert scene.get()["x-ok"] == "1"
    assert scene.haproxy.process is not None
    scene.haproxy.process.send_signal(signal.SIGUSR1)
    if haproxy.version() < (3, 1):  # later ones end without a word
        wait.until(lambda: scene.agent.frames(spop.HAPROXY_DISCONNECT))
    return scene


def types(directory: Path) -> Scene:
    scene = Scene(directory, "types")
    assert scene.get()["x-ok"] == "1"
    return scene


def pipelined(directory: Path) -> Scene:
    scene = Scene(directory, "track", spop.Habits(hold=2))
    scene.get_many(24)
    return scene


def idle(directory: Path) -> Scene:
    scene = Scene(directory, "track", idle="500ms")
    scene.get()
    wait.until(lambda: scene.agent.frames(spop.HAPROXY_DISCONNECT))
    return scene


def fragments(directory: Path) -> Scene:
    scene = Scene(directory, "url", spop.Habits(size=256), options="max-frame-size 256")
    assert scene.get("/" + "x" * 600)["x-ok"] == "1"
    assert scene.get("/")["x-ok"] == "1"
    return scene


def fragments_refused(directory: Path) -> Scene:
    """The agent answers the first piece with ABORT. HAProxy 2.6 takes that for the answer, without an error, after it has
    sent all pieces, and keeps the connection."""
    scene = Scene(directory, "url", spop.Habits(size=256, abort_fragments=True), options="max-frame-size 256")
    refused = scene.get("/" + "x" * 2000)
    assert (refused["x-ok"], refused["x-err"]) == ("0", ""), refused
    assert scene.get("/")["x-ok"] == "1"
    assert not scene.agent.frames(spop.HAPROXY_DISCONNECT)
    return scene


def health_check(directory: Path) -> Scene:
    scene = Scene(directory, "track", check=True)
    wait.until(lambda: [connection for connection in scene.agent.connections if connection.ended])
    assert re.search(r"^stickmesh-agents,agent,.*,UP,", scene.haproxy.cli("show stat"), re.M)
    return scene


SCENES: dict[str, Callable[[Path], Scene]] = {
    "events": events, "types": types, "pipelined": pipelined, "idle": idle, "fragments": fragments,
    "fragments-refused": fragments_refused, "health-check": health_check,
}


def short(data: bytes) -> bytes:
    """Whole frames of |data| alone, and not too many of those in the middle."""
    frames = [frame.encode() for frame in spop.split(data)[0]]
    while sum(map(len, frames)) > SIZE:
        del frames[len(frames) // 2]
    return b"".join(frames)


def session_seed(connection: spop.Connection) -> bytes:
    pieces = [data for way, data in connection.passed if way == "up"]
    spoken = TAKE_ALL.join(piece.replace(b"\xfe", b"\xfe\xfe") for piece in pieces)
    if len(spoken) > SIZE:
        spoken = short(connection.stream("up")).replace(b"\xfe", b"\xfe\xfe")
    return MOOD + spoken


def write(target: str, name: str, data: bytes) -> None:
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{target}/{name}: {len(data)} bytes")


def main() -> int:
    directory = Path(tempfile.mkdtemp(prefix="sm-"))
    major, minor = haproxy.version()
    try:
        for name in sys.argv[1:] or SCENES:
            folder = directory / name
            folder.mkdir()
            scene = SCENES[name](folder)
            time.sleep(0.2)
            scene.close()
            most = max(scene.agent.connections, key=lambda connection: len(connection.stream("up")))
            write("spop_session_fuzz", f"capture-{name}-{major}.{minor}", session_seed(most))
            for way in ("up", "down"):
                write("spop_wire_fuzz", f"capture-{name}-{way}-{major}.{minor}", short(most.stream(way)))
    finally:
        stop_all()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
