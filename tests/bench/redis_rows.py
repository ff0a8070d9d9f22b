"""The rows of the mirror in Redis, beside redis-benchmark sending the same commands, and how each is measured."""
from __future__ import annotations

import dataclasses
import functools
import re
import subprocess
import time
from concurrent import futures
from pathlib import Path
from typing import Any, Callable, TypeVar

from rows import Figures, Row, Sizes, Step
from servers import AWAY, OFF, ON, REDIS, STICKMESH, Failed, Server
from spoe_rows import TRACK, send
from support import wait
from support.process import Process

Result = TypeVar("Result")

ROWS = [
    Row("mirror_rate", "changed entries mirrored in Redis: the more the better", "1000/s", speed=False, other=REDIS),
    Row("mirror_redis", "... redis-server's part of it", "us CPU", other=REDIS),
    Row("anew_rate", "entries mirrored into an empty Redis: the more the better", "1000/s", speed=False, other=REDIS),
    Row("anew_redis", "... redis-server's part of it", "us CPU", other=REDIS),
    Row("anew_agent", "... the agent's part of it", "us CPU"),
    Row("mirror_off", "update of a known key of 200k, no mirror", "us CPU"),
    Row("mirror_on", "... mirrored, all of it; ours / no mirror", "us CPU", beside="mirror_off", speed=False, other=STICKMESH),
    Row("mirror_away", "... Redis is away; ours / no mirror", "us CPU", beside="mirror_off", speed=False, other=STICKMESH),
    Row("mirror_event_p50", "SPOE event, track, until answered, no mirror, p50", "us"),
    Row("mirror_event_p99", "... p99", "us"),
    Row("frozen_event_p50", "... Redis hangs; ours / no mirror, p50", "us", beside="mirror_event_p50", speed=False,
        other=STICKMESH),
    Row("frozen_event_p99", "... p99", "us", beside="mirror_event_p99", speed=False, other=STICKMESH),
]

# As an entry of the table is written; the numbers have as many digits as those of peers_load.
_KEY = "stickmesh:http:__rand_int__"
_HSET = ["HSET", _KEY, "gpc0", "123456", "http_req_cnt", "1234", "http_req_rate", "123", "http_req_rate.counter",
         "1700000000000 123 123", "bytes_in_cnt", "1234567"]
_PEXPIRE = ["PEXPIRE", _KEY, "3600000"]
# What is restored from: a contribution as long as the mirror's.
_SET = ["SET", "stickmesh:http@a:__rand_int__", "x" * 214, "PX", "3600000"]
_MANY_KEYS = 2_000_000_000  # so that hardly any comes twice
# Over a single connection it would wait for all replies before it sends more. This many are in flight in the mirror as well.
_PIPELINES = ["-c", "2", "-P", "1024"]


@dataclasses.dataclass(frozen=True)
class Part:
    """CPU time is in seconds too."""
    count: int
    seconds: float
    agent_cpu: float
    redis_cpu: float

    def rate(self) -> float:
        return self.count / self.seconds / 1000

    def redis_us(self) -> float:
        return self.redis_cpu * 1e6 / self.count


def _cpu(process: Process) -> float:
    times = (path.read_text().split()[0] for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
    return sum(map(int, times)) / 1e9


def _redis(server: Server) -> Process:
    assert server.redis_server is not None and server.redis_server.process is not None
    return server.redis_server.process


def _shown(server: Server) -> tuple[int, int]:
    """How many changes wait, and how many entries have been written."""
    assert server.daemon is not None
    shown = server.daemon.ask("show redis")
    behind, written = (re.search(rf"^{name}: (\d+)$", shown, re.M) for name in ("Behind", "Written_total"))
    assert behind and written, shown
    return int(behind[1]), int(written[1])


def _mirrored(server: Server, change: Callable[[], Result]) -> tuple[Part, Result]:
    """From the first entry that waits for Redis until it has all that |change| brings; and what that returns."""
    before = _shown(server)[1]
    agent_cpu, redis_cpu = _cpu(server.process), _cpu(_redis(server))
    begin, end, written = 0.0, 0.0, before

    def follow() -> bool:
        nonlocal begin, end, written
        behind, written_now = _shown(server)
        if not begin and (behind or written_now != before):
            begin = time.monotonic()
        if written_now != written:
            end, written = time.monotonic(), written_now
        return behind == 0 and written != before and changing.done()

    with futures.ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        wait.until(lambda: follow() or (changing.done() and changing.exception()), timeout=120, interval=0.01,
                   what="Redis has every entry")
    part = Part(written - before, end - begin, _cpu(server.process) - agent_cpu, _cpu(_redis(server)) - redis_cpu)
    return part, changing.result()


def _push(server: Server, sizes: Sizes, rounds: int) -> list[dict[str, Any]]:
    count = str(sizes.mirrored)
    return server.load(["push", "--keys", count, "--updates", count, "--rounds", str(rounds)],
                       settle_ms=sizes.settle_ms)["rounds"]


def _mirror(server: Server, sizes: Sizes) -> Figures:
    """Of keys that are known to both, as peer `a` changes them; then once more all of them, because Redis was flushed."""
    assert server.redis_server is not None
    _mirrored(server, lambda: _push(server, sizes, rounds=1))
    # The first round is what the entries have already, which changes nothing, and is not counted.
    changed, (same, _) = _mirrored(server, lambda: _push(server, sizes, rounds=2))
    agent_cpu = changed.agent_cpu - same["server_cpu_seconds"]
    # The agent looks every 2 s.
    anew, _ = _mirrored(server, lambda: server.redis_server.ask("FLUSHALL"))
    if (there := server.redis_server.ask("DBSIZE")) < sizes.mirrored:
        raise Failed(f"Redis has {there} of {sizes.mirrored} entries")
    return {"mirror_rate": changed.rate(), "mirror_redis": changed.redis_us(), "mirror_on": agent_cpu * 1e6 / sizes.mirrored,
            "anew_rate": anew.rate(), "anew_redis": anew.redis_us(), "anew_agent": anew.agent_cpu * 1e6 / anew.count}


def _updates(server: Server, sizes: Sizes, figure: str) -> Figures:
    """The same updates as those that are mirrored."""
    return {figure: _push(server, sizes, rounds=2)[1]["us_per_update"]}


def _commands(server: Server, sizes: Sizes) -> Figures:
    """HSET, PEXPIRE and SET one after the other, because redis-benchmark sends one kind of command in a run."""
    assert server.redis_server is not None
    count = sizes.mirrored
    new = [_benchmark(server, count, _MANY_KEYS, command) for command in (_HSET, _SET)]
    server.redis_server.ask("FLUSHALL")
    for command in (_HSET, _SET):
        _benchmark(server, 4 * count, count, command)  # random keys: 98 % of them are there then
    life, *known, again = (_benchmark(server, count, count, command) for command in (_PEXPIRE, _HSET, _SET, _PEXPIRE))
    both = {"anew": [*new, life], "mirror": [*known, again]}
    return {figure: value for name, parts in both.items() for figure, value in (
        (f"{name}_rate", count / sum(part.seconds for part in parts) / 1000),
        (f"{name}_redis", sum(part.redis_us() for part in parts)))}


def _benchmark(server: Server, count: int, keys: int, command: list[str]) -> Part:
    before = _cpu(server.process)
    done = subprocess.run(["redis-benchmark", "-p", str(server.port), "--csv", *_PIPELINES, "-r", str(keys), "-n", str(count),
                           *command], capture_output=True, text=True)
    found = re.search(r'^"(?:HSET|PEXPIRE|SET) .*?","([\d.]+)"', done.stdout, re.M)
    if done.returncode != 0 or found is None:
        raise Failed(f"redis-benchmark: {done.stdout}{done.stderr}")
    return Part(count, count / float(found[1]), 0.0, _cpu(server.process) - before)


def _events(server: Server, sizes: Sizes, name: str) -> Figures:
    """|name| is `frozen` or not: whether Redis still takes connections, and answers nothing."""
    if server.redis_server is not None:
        _redis(server).freeze()
    report = send(server, sizes, sizes.event_keys, *TRACK)
    return {f"{name}_event_p50": report["p50_us"], f"{name}_event_p99": report["p99_us"]}


_SERVER = ("redis-server",)
STEPS = [
    Step("mirror", REDIS, _commands, tools=("redis-server", "redis-benchmark")),
    Step("mirror", STICKMESH, _mirror, {"mirror": ON}, tools=_SERVER),
    Step("no mirror", STICKMESH, functools.partial(_updates, figure="mirror_off"), {"mirror": OFF}),
    Step("mirror, away", STICKMESH, functools.partial(_updates, figure="mirror_away"), {"mirror": AWAY}),
    Step("events, no mirror", STICKMESH, functools.partial(_events, name="mirror"), {"mirror": OFF, "spoe": True}),
    Step("events, Redis hangs", STICKMESH, functools.partial(_events, name="frozen"), {"mirror": ON, "spoe": True},
         tools=_SERVER),
]
