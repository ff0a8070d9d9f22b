#!/usr/bin/env python3
"""Records sessions of real HAProxy as seeds for the fuzz targets: tests/fuzz/corpus/*/capture-*.

A wire_fuzz seed is the messages of one direction as they are. A session_fuzz seed is that target's input: a byte for
the role, then the bytes of the other side, 0xfe doubled, with commands in between (see tests/fuzz/session_fuzz.cc); one
of hub_fuzz is the same with another first byte and without the request for a lesson, which its agent makes by itself."""
from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import haproxy, http_client, peer, wait, wire  # noqa: E402
from support.haproxy import HAProxy  # noqa: E402
from support.layout import Layout  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.process import stop_all  # noqa: E402
from support.relay import DOWN, UP, Relay  # noqa: E402

CORPUS = Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
SIZE = 3500  # bytes of a seed, about: a fuzzer gets nowhere with long ones

# The names that session_fuzz and hub_fuzz play with, and their first bytes.
AGENT, INSTANCE = "agent", "lb1"
ACCEPTING, DIALLING = 0x02, 0x01
HUB_ACCEPTS, HUB_DIALS = 0x00, 0x01
TAKE, PASS_300_MS, ASK_FOR_A_LESSON = b"\xfe\x03", b"\xfe\x18", b"\xfe\x05"

ALL_TYPES = ("server_id,gpt0,gpc0,gpc0_rate(10s),conn_cnt,conn_rate(10s),conn_cur,sess_cnt,sess_rate(10s),"
             "http_req_cnt,http_req_rate(10s),http_err_cnt,http_err_rate(10s),bytes_in_cnt,bytes_in_rate(10s),"
             "bytes_out_cnt,bytes_out_rate(10s),gpc1,gpc1_rate(10s),server_key,http_fail_cnt,http_fail_rate(10s)")
BOUNDARIES = (0, 1, 239, 240, 2287, 2288, 264431, 264432, 33818863, 33818864, 2**32 - 1, 2**32, 2**63 - 1)


class Scene:
    """One HAProxy named lb1 that dials, through a recording relay, a scripted peer named agent."""

    def __init__(self, directory: Path, number: int, tables: dict[str, str], extra: str = "") -> None:
        self.prefix = directory / f"record{number}"
        self.listener = peer.Listener()
        self.relay = Relay(self.listener.port)
        self.relay.record(self.prefix)
        folder = directory / str(number)
        folder.mkdir()
        self.layout = Layout(INSTANCE, self.relay.port, tables, totals=False, agent_name=AGENT, extra=extra)
        self.haproxy = HAProxy(folder, INSTANCE, self.layout.config()).start()
        self.session = self.listener.session()

    def quiet(self) -> None:
        """Until nothing but heartbeats has come for a while."""
        seen = -1
        while seen != (seen := sum(message.kind == wire.TABLE for message in self.session.messages)):
            time.sleep(0.3)

    def lesson(self) -> None:
        before = ends_of_lessons(self.session)
        self.session.request_lesson()
        wait.until(lambda: ends_of_lessons(self.session), lambda count: count > before)
        self.quiet()

    def stream(self, direction: str = UP, connection: int = 0) -> bytes:
        return Path(f"{self.prefix}-{connection}-{direction}").read_bytes()

    def close(self) -> None:
        self.listener.close()
        self.relay.close()
        self.haproxy.stop()


def ends_of_lessons(session: peer.Session) -> int:
    return session.count(wire.CONTROL, wire.FINISHED) + session.count(wire.CONTROL, wire.PARTIAL)


def string_table(types: str) -> str:
    return f"type string len 16 size 1k expire 10m store {types}"


def live(scene: Scene) -> list[bytes]:
    for client in ("joe", "amy", "joe"):
        http_client.send(scene.layout.http_port, client, 3)
        scene.quiet()
    return [scene.stream()]


def lesson(scene: Scene) -> list[bytes]:
    scene.haproxy.fill("mesh/http", ((f"u{n}", {"http_req_cnt": n, "http_req_rate": n}) for n in range(40)))
    scene.quiet()
    scene.lesson()
    return [scene.stream()]


def resumed(scene: Scene) -> list[bytes]:
    """The link blinks: what HAProxy says on its second connection."""
    scene.haproxy.fill("mesh/http", ((f"u{n}", {"http_req_cnt": n}) for n in range(20)))
    scene.quiet()
    scene.relay.drop()
    scene.haproxy.fill("mesh/http", ((f"u{n}", {"http_req_cnt": n + 1}) for n in range(10, 30)))
    scene.session = scene.listener.session(1)
    scene.quiet()
    return [scene.stream(connection=1)]


def reloaded(scene: Scene) -> list[bytes]:
    """The old process's session, which ends, and the new one's, which is asked for a lesson."""
    scene.haproxy.fill("mesh/http", ((f"u{n}", {"http_req_cnt": n}) for n in range(20)))
    scene.quiet()
    scene.haproxy.reload()
    scene.session = scene.listener.session(1)
    http_client.send(scene.layout.http_port, "joe", 3)
    scene.quiet()
    scene.lesson()
    return [scene.stream(), scene.stream(connection=1)]


def keys(scene: Scene) -> list[bytes]:
    for table, key in (("i", "300"), ("i", "4294967295"), ("a", "10.0.0.1"), ("b", "fe80::1"), ("s", "joe"),
                       ("s", "x" * 15)):
        scene.haproxy.set(f"mesh/{table}", key, gpc0=7)
    scene.lesson()
    return [scene.stream()]


def types(scene: Scene) -> list[bytes]:
    for n, key in enumerate(("joe", "amy")):
        names = [name.split("(")[0] for name in ALL_TYPES.split(",")]
        scene.haproxy.set("mesh/all", key, **{name: 100 * n + 5 for name in names if name != "server_key"})
    scene.lesson()
    return [scene.stream()]


def boundaries(scene: Scene) -> list[bytes]:
    for value in BOUNDARIES:
        scene.haproxy.set("mesh/t", f"k{value % 1000}", bytes_in_cnt=value)
    scene.quiet()
    return [scene.stream()]


_ENTRY, _ORIGIN = free_port(), free_port()

_ARRAYS = f"""frontend arrays
    bind 127.0.0.1:{_ENTRY}
    http-request track-sc0 req.hdr(x-client) table mesh/arr
    http-request sc-set-gpt(1,0) int(4000000000)
    http-request sc-inc-gpc(1,0)
    http-request return status 200
"""

_SERVERS = f"""frontend sticky
    bind 127.0.0.1:{_ENTRY}
    default_backend servers
frontend origin
    bind 127.0.0.1:{_ORIGIN}
    http-request return status 200
backend servers
    stick on req.hdr(x-client) table mesh/stick
    server alpha 127.0.0.1:{_ORIGIN} id 11
    server beta 127.0.0.1:{_ORIGIN} id 12
    server a-long-name-of-a-server 127.0.0.1:{_ORIGIN} id 2147483647
"""


def requests(scene: Scene) -> list[bytes]:
    for client in ("joe", "amy", "eve", "joe", "bob"):
        http_client.send(_ENTRY, client, 2)
    scene.quiet()
    scene.lesson()
    return [scene.stream()]


HTTP = {"http": string_table("http_req_cnt,http_req_rate(10s)")}
KEYS = {"i": "type integer size 1k expire 10m store gpc0", "a": "type ip size 1k store gpc0",
        "b": "type ipv6 size 1k expire 10m store gpc0", "s": string_table("gpc0"),
        "x": "type binary len 8 size 1k expire 10m store gpc0"}

SCENES: dict[str, tuple[Callable[[Scene], list[bytes]], dict[str, str], str]] = {
    "live": (live, HTTP, ""),
    "lesson": (lesson, HTTP, ""),
    "resumed": (resumed, HTTP, ""),
    "reloaded": (reloaded, HTTP, ""),
    "keys": (keys, KEYS, ""),
    "types": (types, {"all": string_table(ALL_TYPES)}, ""),
    "boundaries": (boundaries, {"t": string_table("bytes_in_cnt")}, ""),
    "arrays": (requests, {"arr": string_table("gpt(3),gpc(2),gpc_rate(2,5s)")}, _ARRAYS),
    "dictionary": (requests, {"stick": string_table("server_id,server_key")}, _SERVERS),
}


def accepted(directory: Path) -> bytes:
    """HAProxy as the accepting side: its status, its lesson, its live updates and its acks of ours."""
    layout = Layout(INSTANCE, free_port(), HTTP, totals=False, agent_name=AGENT)
    instance = HAProxy(directory, INSTANCE, layout.config()).start()
    relay = Relay(layout.peers_port)
    relay.record(directory / "accepted")
    instance.fill("mesh/http", ((f"u{n}", {"http_req_cnt": n}) for n in range(20)))
    table = wire.Table("/http", [wire.DataType("http_req_cnt"), wire.DataType("http_req_rate", 10_000)], key_len=17)
    session = peer.dial(relay.port, INSTANCE, AGENT, [table])
    update_id = session.push(table, "pushed", http_req_cnt=5)
    wait.until(lambda: session.acked.get(table.number), lambda acked: acked == update_id)
    session.request_lesson()
    wait.until(lambda: ends_of_lessons(session))
    http_client.send(layout.http_port, "joe", 2)
    session.wait_value("/http", "joe", "http_req_cnt", 2)
    session.close()
    relay.close()
    instance.stop()
    return (directory / f"accepted-0-{DOWN}").read_bytes()


def between_two(directory: Path) -> tuple[bytes, bytes]:
    """Two HAProxy, one of them named agent: what each says to the other."""
    ports = {AGENT: free_port(), INSTANCE: free_port()}
    relay = Relay(ports[AGENT])
    relay.record(directory / "two")
    nobody = free_port()  # only lb1 dials, or the two would collide
    first = HAProxy(directory, AGENT, Layout(AGENT, nobody, HTTP, totals=False, agent_name=INSTANCE,
                                             peers_port=ports[AGENT]).config()).start()
    first.fill("mesh/http", ((f"a{n}", {"http_req_cnt": n}) for n in range(15)))
    second = HAProxy(directory, INSTANCE, Layout(INSTANCE, relay.port, HTTP, totals=False, agent_name=AGENT,
                                                 peers_port=ports[INSTANCE]).config()).start()
    wait.until(lambda: second.used("mesh/http"), lambda used: used == 15)
    second.fill("mesh/http", ((f"b{n}", {"http_req_cnt": n}) for n in range(15)))
    wait.until(lambda: first.used("mesh/http"), lambda used: used == 30)
    time.sleep(0.5)  # their acks
    relay.close()
    for instance in (first, second):
        instance.stop()
    return (directory / f"two-0-{UP}").read_bytes(), (directory / f"two-0-{DOWN}").read_bytes()


def save(name: str, stream: bytes, lines: int) -> None:
    """One direction of one connection, whose first |lines| lines are the handshake."""
    greeting, rest = b"", stream
    for _ in range(lines):
        line, newline, rest = rest.partition(b"\n")
        greeting += line + newline
    messages = [wire.message(m.kind, m.number, m.body if m.number & 0x80 else None) for m in wire.split(rest)[0]]
    while sum(map(len, messages)) > SIZE:
        del messages[len(messages) // 2]  # keeps the beginning and the end, which differ most
    spoken = b"".join(escape(message) + (TAKE + PASS_300_MS if index % 8 == 0 else b"")
                      for index, message in enumerate(messages))
    dialled = lines == 1
    session = bytes([DIALLING if dialled else ACCEPTING]) + escape(greeting) + (ASK_FOR_A_LESSON if dialled else b"")
    hub = bytes([HUB_DIALS if dialled else HUB_ACCEPTS]) + escape(greeting)
    write(CORPUS / "session_fuzz" / f"capture-{name}", session + spoken)
    write(CORPUS / "hub_fuzz" / f"capture-{name}", hub + spoken)
    write(CORPUS / "wire_fuzz" / f"capture-{name}", b"".join(messages))


def escape(data: bytes) -> bytes:
    return data.replace(b"\xfe", b"\xfe\xfe")


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{path.relative_to(CORPUS)}: {len(data)} bytes")


def main() -> int:
    directory = Path(tempfile.mkdtemp(prefix="sm-"))
    print(haproxy.version_line())
    try:
        for number, (name, (play, tables, extra)) in enumerate(SCENES.items()):
            scene = Scene(directory, number, tables, extra)
            streams = play(scene)
            scene.close()
            for index, stream in enumerate(streams):
                save(name if len(streams) == 1 else f"{name}-{index + 1}", stream, 3)
        save("accepted", accepted(directory), 1)
        dialling, accepting = between_two(directory)
        save("between-two-dialling", dialling, 3)
        save("between-two-accepting", accepting, 1)
    finally:
        stop_all()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
