"""The rows of SPOE events, beside an agent that only echoes, and how each is measured."""
from __future__ import annotations

import functools
import re
import subprocess
from typing import Any

from rows import Figures, Row, Sizes, Step
from servers import ECHO, HAPROXY, STICKMESH, Failed, Server

_MUST = "under 3 us"  # a fifth of the 15 us of HAProxy's example agent in C
ROWS = [
    Row("event_bare", "SPOE event without a message", "us CPU", _MUST, "2x", other=ECHO),
    Row("event_lookup", "SPOE event, lookup of an unknown key", "us CPU", _MUST, "2x", other=ECHO),
    Row("event_1", "SPOE event, track of a counter and a rate, 100k keys", "us CPU", _MUST, "2x", other=ECHO),
    Row("event_2", "... of 2 origins", "us CPU", _MUST, "2x", beside="event_1", other=ECHO),
    Row("event_16", "... of 16 origins", "us CPU", _MUST, "2x", beside="event_1", other=ECHO),
    Row("event_hot_1", "SPOE event, track, 1000 hot keys", "us CPU", _MUST, "2x", other=ECHO),
    Row("event_hot_2", "... of 2 origins", "us CPU", _MUST, "2x", beside="event_hot_1", other=ECHO),
    Row("event_hot_16", "... of 16 origins", "us CPU", _MUST, "2x", beside="event_hot_1", other=ECHO),
    Row("event_hook", "SPOE event, a trivial Lua hook; ours / track, 1000 hot keys", "us CPU", "1.43x", beside="event_hot_hook",
        speed=False, other=STICKMESH),
    Row("event_hook_track", "... that tracks; ours / track", "us CPU", beside="event_hot_hook", speed=False, other=STICKMESH),
    Row("event_hook_p99", "... until answered, p99; ours / track", "us", beside="event_hot_hook_p99", speed=False,
        other=STICKMESH),
    Row("event_p50", "SPOE event, track, 100k keys, until answered, p50", "us", other=ECHO),
    Row("event_p99", "... p99", "us", other=ECHO),
    Row("requests_alone", "requests through HAProxy, no SPOE: the more the better", "1000/s"),
    Row("requests", "requests with a track: the more the better", "1000/s", "0.9x", "1x", speed=False, other=ECHO),
    Row("requests_alone_p99", "a request through HAProxy, no SPOE, p99", "ms"),
    Row("requests_p99", "a request with a track, p99", "ms", other=ECHO),
    Row("requests_cpu", "... the agent's part of it", "us CPU", other=ECHO),
    Row("enforce_lua", "HAProxy's part of a request, verdict enforced by stickmesh.lua; ours / by two plain rules", "us CPU",
        beside="enforce_plain", speed=False, other=STICKMESH),
]

TRACK = ["--message", "track", "--value", "http_req_cnt=1", "--value", "http_req_rate=1"]
_CONNECTIONS = 64  # of the requests


def send(server: Server, sizes: Sizes, keys: int, *options: str) -> dict[str, Any]:
    """Every key once, then as many events as count."""
    return server.events(["--keys", str(keys), "--warm-up", str(keys), "--events", str(sizes.entries), *options],
                         settle_ms=sizes.settle_ms)


def _events(server: Server, sizes: Sizes) -> Figures:
    bare = send(server, sizes, sizes.event_keys, "--message", "")
    lookup = send(server, sizes, sizes.event_keys, "--message", "lookup")
    track = send(server, sizes, sizes.event_keys, *TRACK)
    hot = send(server, sizes, sizes.hot_keys, *TRACK)
    return {"event_bare": bare["us_per_event"], "event_lookup": lookup["us_per_event"], "event_1": track["us_per_event"],
            "event_hot_1": hot["us_per_event"], "event_p50": track["p50_us"], "event_p99": track["p99_us"]}


def _more_origins(server: Server, sizes: Sizes, names: tuple[str, ...]) -> Figures:
    """The scripted peers tell of the same keys first; the agent itself is one origin more."""
    keys, origins = str(sizes.event_keys), len(names) + 1
    server.load(["push", "--keys", keys, "--updates", keys], names=",".join(names), settle_ms=sizes.settle_ms)
    return {f"event_{origins}": send(server, sizes, sizes.event_keys, *TRACK)["us_per_event"],
            f"event_hot_{origins}": send(server, sizes, sizes.hot_keys, *TRACK)["us_per_event"]}


# What `track` does, and next to nothing.
HOOK = """
local clients = stickmesh.table("http")
stickmesh.on_message("nothing", function(event, answer) answer.verdict = "allow" end)
stickmesh.on_message("count", function(event, answer)
  local totals = clients:track(event.key, { http_req_cnt = 1, http_req_rate = 1 })
  answer.http_req_cnt, answer.http_req_rate = totals.http_req_cnt, totals.http_req_rate
end)
"""


def _hooks(server: Server, sizes: Sizes) -> Figures:
    track = send(server, sizes, sizes.hot_keys, *TRACK)
    nothing, count = (send(server, sizes, sizes.hot_keys, "--message", name, *TRACK[2:]) for name in ("nothing", "count"))
    return {"event_hot_hook": track["us_per_event"], "event_hot_hook_p99": track["p99_us"],
            "event_hook": nothing["us_per_event"], "event_hook_track": count["us_per_event"],
            "event_hook_p99": count["p99_us"]}


def _requests(server: Server, sizes: Sizes) -> Figures:
    url = f"http://127.0.0.1:{server.http_port}/"
    if warm_up := sizes.request_seconds // 4:
        _wrk(url, warm_up)
    before = server.process.cpu_seconds()
    requests, rate, p99 = _wrk(url, sizes.request_seconds)
    if server.kind == HAPROXY:
        return {"requests_alone": rate / 1000, "requests_alone_p99": p99}
    spent = server.process.cpu_seconds() - before
    return {"requests": rate / 1000, "requests_p99": p99, "requests_cpu": spent * 1e6 / requests}


PLAIN = ("    http-request deny deny_status 503 unless { var(txn.stickmesh.ok) -m bool }\n"
         "    http-request deny deny_status 429 if { var(txn.stickmesh.verdict) -m str deny }\n")
LUA = "    http-request lua.stickmesh_enforce closed\n"


def _enforce(server: Server, sizes: Sizes, figure: str) -> Figures:
    url = f"http://127.0.0.1:{server.http_port}/"
    _wrk(url, 1)
    assert server.instance is not None and server.instance.process is not None
    before = server.instance.process.cpu_seconds()
    requests, _, _ = _wrk(url, sizes.request_seconds)
    return {figure: (server.instance.process.cpu_seconds() - before) * 1e6 / requests}


def _wrk(url: str, seconds: int) -> tuple[int, float, float]:
    """How many requests, how many each second, and how long they took at most in 99 of 100 cases, in ms."""
    done = subprocess.run(["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "--latency", url], capture_output=True,
                          text=True)
    count = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", done.stdout)
    if count is None or rate is None or p99 is None or re.search("Non-2xx|Socket errors", done.stdout):
        raise Failed(f"wrk {url}:\n{done.stdout}{done.stderr}")
    return max(int(count[1]), 1), float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]


def _origins_step(count: int) -> Step:
    names = tuple(f"peer-{number}" for number in range(2, count + 1))
    return Step(f"events, {count} origins", STICKMESH, functools.partial(_more_origins, names=names),
                {"names": names, "spoe": True})


STEPS = [
    Step("events", ECHO, _events),
    Step("events", STICKMESH, _events, {"spoe": True}),
    _origins_step(2),
    _origins_step(16),
    Step("events, hook", STICKMESH, _hooks, {"spoe": True, "hook": HOOK}),
    Step("requests", HAPROXY, _requests, tools=("wrk",)),
    Step("requests", ECHO, _requests, {"in_front": True}, tools=("wrk",)),
    Step("requests", STICKMESH, _requests, {"in_front": True}, tools=("wrk",)),
    Step("requests, plain rules", STICKMESH, functools.partial(_enforce, figure="enforce_plain"), {"in_front": PLAIN}, tools=("wrk",)),
    Step("requests, enforce", STICKMESH, functools.partial(_enforce, figure="enforce_lua"), {"in_front": LUA}, tools=("wrk",)),
]
