"""The rows of the comparison with HAProxy as a peer, and how each is measured. All figures are the smaller the better."""
from __future__ import annotations

import dataclasses
import functools
import random
import re
import socket
import time
from pathlib import Path
from typing import Any, Callable

import servers
from servers import HAPROXY, STICKMESH, Server
from support import wait

Figures = dict[str, float]
NOTHING = "nothing"  # a waiting time that was asked for makes no ratio


@dataclasses.dataclass(frozen=True)
class Sizes:
    entries: int = 1_000_000
    hot_keys: int = 1000
    latency_updates: int = 1000
    burst: int = 100_000
    event_keys: int = 100_000
    mirrored: int = 200_000
    request_seconds: int = 8
    settle_ms: int = 300


SMOKE = Sizes(entries=3000, hot_keys=100, latency_updates=40, burst=500, event_keys=1000, mirrored=2000, request_seconds=1,
              settle_ms=50)


@dataclasses.dataclass(frozen=True)
class Row:
    """|key| names the figure. |beside| is the figure of |other| to compare with, where it has another key."""
    key: str
    title: str
    unit: str
    must: str = ""
    aim: str = ""
    beside: str = ""
    speed: bool = True  # the ratio is the other's figure by ours; else ours by the other's
    other: str = HAPROXY


ROWS = [
    Row("update_new", "update of a new key, 1M random", "us CPU", "1x", "3x"),
    Row("update_known", "update of a known key, 1M random", "us CPU", "1x", "3x"),
    Row("update_hot", "update, 1000 hot keys", "us CPU", "1x", "2x"),
    Row("update_two", "update, two origins, 1M keys each", "us CPU", beside="update_known"),
    Row("update_mesh", "update of a known key, told to an agent", "us CPU", beside="update_known"),
    Row("lesson", "entry of a lesson of 1M taken", "us CPU", "1.5x", "3x"),
    Row("taught", "entry taught, 1M, as filled in", "us CPU", "1x", "2x"),
    Row("taught_wall", "... all of them, wall time", "s"),
    Row("taught_mixed", "entry taught, 1M, all changed since", "us CPU", "1x", "2x"),
    Row("taught_mixed_wall", "... all of them, wall time", "s"),
    Row("reload", "soft restart with 1M entries, wall time", "s", "under 1 s"),
    Row("switch", "... during which nothing is read", "ms", "under 20 ms", beside=NOTHING),
    Row("delay_p50", "change to arrival, idle, p50", "ms", beside=NOTHING),
    Row("delay_p99", "change to arrival, idle, p99", "ms", "under interval + 5 ms", beside=NOTHING),
    Row("delay0_p50", "... publish-interval 0, p50", "ms", "", "under 2 ms", beside="delay_p50", speed=False),
    Row("delay0_p99", "... publish-interval 0, p99", "ms", "under 5 ms", beside="delay_p99", speed=False),
    Row("agent_p50", "the agent's part of it, p50", "ms", speed=False),
    Row("agent_p99", "the agent's part of it, p99", "ms", speed=False),
    Row("agent0_p50", "... publish-interval 0, p50", "ms", speed=False),
    Row("agent0_p99", "... publish-interval 0, p99", "ms", speed=False),
    Row("burst_p50", "100k changes at once, to a peer; ours: over 2 agents, p50", "ms", speed=False),
    Row("burst_p99", "... p99", "ms", speed=False),
    Row("burst_max", "... the last of them", "ms", speed=False),
    Row("memory_one", "memory per entry, one origin", "bytes", "0.75x", "0.5x", speed=False),
    Row("memory_two", "memory per entry and origin, two origins", "bytes", "0.75x", "0.5x", beside="memory_one",
        speed=False),
]


def _growth(phase: dict[str, Any], entries: int) -> float:
    return (phase["memory_after"] - phase["memory_before"]) / entries


def _push(server: Server, sizes: Sizes, rounds: int = 1, names: str = "a") -> list[dict[str, Any]]:
    mode = ["push", "--keys", str(sizes.entries), "--updates", str(sizes.entries), "--rounds", str(rounds)]
    return server.load(mode, names=names, settle_ms=sizes.settle_ms)["rounds"]


def _receive(server: Server, sizes: Sizes, drain: bool = False) -> dict[str, Any]:
    """Peer `b` comes as a new instance would, and takes everything."""
    count, tables = ("/http", "/http") if server.kind == HAPROXY else ("/http.total", "/http,/http.total")
    mode = ["receive", "--count", count, "--entries", str(sizes.entries), *(["--drain"] if drain else [])]
    return server.load(mode, names="b", tables=tables, settle_ms=sizes.settle_ms)["rounds"][0]


def _teaching(server: Server, sizes: Sizes) -> Figures:
    _push(server, sizes)
    taught = _receive(server, sizes)
    return {"taught": taught["us_per_update"], "taught_wall": taught["wall_seconds"]}


def _updates(server: Server, sizes: Sizes) -> Figures:
    """Peer `a` fills the table and says everything once more in another order; then it is taught in that order."""
    new, known = _push(server, sizes, rounds=2)
    if server.kind == HAPROXY:
        _change_all(server, sizes)
    taught = _receive(server, sizes)
    return {"update_new": new["us_per_update"], "update_known": known["us_per_update"],
            "memory_one": _growth(new, sizes.entries), "taught_mixed": taught["us_per_update"],
            "taught_mixed_wall": taught["wall_seconds"]}


def _change_all(server: Server, sizes: Sizes) -> None:
    """HAProxy teaches in the order of its own changes, whatever order peers repeat theirs in."""
    assert server.instance is not None
    order = list(range(sizes.entries))
    random.Random(1).shuffle(order)
    server.instance.fill("mesh/http", ((_address(index), {"gpc0": 1}) for index in order))
    # Else it would push these changes beside the lesson that is measured.
    _receive(server, sizes, drain=True)


def _address(index: int) -> str:
    """The key of that number, as peers_load makes it."""
    index = (index ^ index >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    index = (index ^ index >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return socket.inet_ntoa((index ^ index >> 16).to_bytes(4, "big"))


def _hot(server: Server, sizes: Sizes) -> Figures:
    # The first round only makes the keys.
    mode = ["push", "--keys", str(sizes.hot_keys), "--updates", str(sizes.entries), "--rounds", "2"]
    return {"update_hot": server.load(mode, settle_ms=sizes.settle_ms)["rounds"][1]["us_per_update"]}


def _lesson(server: Server, sizes: Sizes) -> Figures:
    report = server.load(["lesson", "--entries", str(sizes.entries)], settle_ms=sizes.settle_ms)
    return {"lesson": report["rounds"][0]["us_per_update"]}


def _two_origins(server: Server, sizes: Sizes) -> Figures:
    new, known = _push(server, sizes, rounds=2, names="a,b")
    return {"update_two": known["us_per_update"], "memory_two": _growth(new, 2 * sizes.entries)}


def _with_an_agent(server: Server, sizes: Sizes) -> Figures:
    """What it costs the agent that hears an update to tell it to another."""
    assert server.daemon is not None
    known = _push(server, sizes, rounds=2)[1]
    wait.until(lambda: server.daemon.peers()["agent-2"]["backlog"], lambda backlog: backlog == "0", timeout=60,
               what="the other agent has everything")
    return {"update_mesh": known["us_per_update"]}


def _soft_restart(server: Server, sizes: Sizes) -> Figures:
    """Until another process has everything, and serves."""
    _push(server, sizes)
    begin = time.monotonic()
    if server.instance is not None:
        instance = server.instance
        instance.reload()
        wait.until(lambda: instance.used("mesh/http"), lambda used: used == sizes.entries, interval=0.005, timeout=60,
                   what="HAProxy's new process has every entry")
        return {"reload": time.monotonic() - begin}
    assert server.daemon is not None
    answer = server.daemon.ask("reload", timeout=60.0)
    took = time.monotonic() - begin
    found = re.match(r"done: process (\d+) is in charge; .* the switch (\d+) ms", answer)
    if found is None:
        raise servers.Failed(answer)
    server.daemon.follow(int(found[1]))
    if (used := server.daemon.used("http")) != sizes.entries:
        raise servers.Failed(f"the new process has {used} of {sizes.entries} entries")
    return {"reload": took, "switch": float(found[2])}


def _delay(server: Server, sizes: Sizes, prefix: str, at_haproxy: bool) -> Figures:
    """A change made at a HAProxy through its runtime socket, or by peer `a`, until peer `b` has it."""
    direct = server.kind == HAPROXY
    mode = ["latency", "--count", "/http" if direct else "/http.total", "--updates", str(sizes.latency_updates)]
    if at_haproxy:
        assert server.instance is not None
        mode += ["--runtime", str(server.instance.socket_path), "--runtime-table", "mesh/http"]
    report = server.load(mode, names="b" if at_haproxy else "a,b", tables="/http" if direct else "/http,/http.total")
    if report["arrived"] < report["updates"]:
        raise servers.Failed(f"{report['updates'] - report['arrived']} of {report['updates']} changes never arrived")
    return {f"{prefix}_p50": report["p50_ms"], f"{prefix}_p99": report["p99_ms"]}


def _burst(server: Server, sizes: Sizes) -> Figures:
    """Changes at a HAProxy as fast as its runtime socket takes them, each of another key, until peer `b` has it: of that
    HAProxy, or of the agent that hears of them from the agent that HAProxy has a session with."""
    assert server.instance is not None
    mode = ["latency", "--burst", "--updates", str(sizes.burst), "--runtime", str(server.instance.socket_path),
            "--runtime-table", "mesh/http"]
    if server.kind == HAPROXY:
        report = server.load([*mode, "--count", "/http"], names="b")
    else:
        assert server.fellow is not None
        report = server.fellow.load([*mode, "--count", "/http.total"], names="b", tables="/http,/http.total")
    if report["arrived"] < report["updates"]:
        raise servers.Failed(f"{report['updates'] - report['arrived']} of {report['updates']} changes never arrived")
    return {"burst_p50": report["p50_ms"], "burst_p99": report["p99_ms"], "burst_max": report["max_ms"]}


@dataclasses.dataclass(frozen=True)
class Step:
    """Something to measure, with a server of its own. |options| are those of `servers.start`."""
    name: str
    kind: str
    measure: Callable[[Server, Sizes], Figures]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    tools: tuple[str, ...] = ()  # other programs that it needs

    def run(self, directory: Path, sizes: Sizes) -> Figures:
        with servers.start(self.kind, directory, **self.options) as server:
            return self.measure(server, sizes)


def _delay_steps(interval: str, mark: str) -> list[Step]:
    whole = functools.partial(_delay, prefix=f"delay{mark}", at_haproxy=True)
    part = functools.partial(_delay, prefix=f"agent{mark}", at_haproxy=False)
    return [Step(f"delay, {interval}", STICKMESH, whole, {"publish_interval": interval, "with_haproxy": True}),
            Step(f"delay in the agent, {interval}", STICKMESH, part, {"publish_interval": interval})]


# What is compared follows on each other.
STEPS = [
    Step("updates", HAPROXY, _updates),
    Step("updates", STICKMESH, _updates),
    Step("teaching", HAPROXY, _teaching),
    Step("teaching", STICKMESH, _teaching),
    Step("hot keys", HAPROXY, _hot),
    Step("hot keys", STICKMESH, _hot),
    Step("lesson", HAPROXY, _lesson),
    Step("lesson", STICKMESH, _lesson),
    Step("two origins", STICKMESH, _two_origins),
    Step("another agent", STICKMESH, _with_an_agent, {"with_agent": True}),
    Step("soft restart", HAPROXY, _soft_restart),
    Step("soft restart", STICKMESH, _soft_restart),
    Step("delay", HAPROXY, functools.partial(_delay, prefix="delay", at_haproxy=True)),
    *_delay_steps("20ms", ""),
    *_delay_steps("0ms", "0"),
    Step("burst", HAPROXY, _burst),
    Step("burst", STICKMESH, _burst, {"with_agent": True, "with_haproxy": True}),
]
