"""HAProxy configs that load stickmesh.lua, and what its runtime command says."""
from __future__ import annotations

import re
from pathlib import Path

from support import agent, haproxy
from support.agent import columns
from support.haproxy import HAProxy

SCRIPT = agent.ROOT / "lua/haproxy/stickmesh.lua"
# What the rules did, on every answer, HAProxy's own too.
SHOWN = "".join(f"    http-after-response set-header x-{name} %[var(txn.stickmesh.{name})]\n"
                for name in ("enforced", "reported"))
_COUNTS = ("queued", "sent", "dropped", "lost", "connects", "failures")


def general(events: int | str = 1, *scripts: Path, lines: str = "") -> str:
    """A global section; |events| is the agent's port, or address, for events. |scripts| are loaded after ours."""
    address = f"127.0.0.1:{events}" if isinstance(events, int) else events
    loaded = "".join(f"    lua-load-per-thread {script}\n" for script in (SCRIPT, *scripts))
    return (f"global\n    setenv STICKMESH_EVENTS {address}\n{lines}"
            "    .if version_atleast(3.2-dev2)\n    tune.lua.bool-sample-conversion normal\n    .endif\n" + loaded)


def reporting(port: int, rules: str, origin: int) -> str:
    """A frontend whose server answers with the status that the path says."""
    statuses = "".join(f"    http-request return status {status} if {{ path /{status} }}\n"
                       for status in (400, 401, 403, 404, 500, 503))
    return (f"frontend reporting\n    bind 127.0.0.1:{port}\n{rules}{SHOWN}    default_backend origin\n"
            f"backend origin\n    server origin 127.0.0.1:{origin}\n"
            f"frontend at-origin\n    bind 127.0.0.1:{origin}\n{statuses}    http-request return status 200\n")


def threads(instance: HAProxy) -> list[dict[str, str]]:
    """`show stickmesh`: a row for each thread. In HAProxy 3.0.0 commands of Lua have no answer: there it is what the threads
    have told each other, up to a second ago."""
    if haproxy.version() == (3, 0):
        rows = re.findall(r"^0x\S+ stickmesh-thread-(\d+) (.*)$", instance.cli("show map /dev/null"), re.M)
        names = ["thread", "state", *_COUNTS]
        return [dict(zip(names, [thread, *text.split("\t")])) for thread, text in rows]
    text = instance.cli("show stickmesh")
    return columns(text[text.index("#"):])


def sums(instance: HAProxy) -> dict[str, int]:
    """Its numbers, of all threads together; a thread without an event so far has none."""
    rows = threads(instance)
    return {name: sum(int(row[name]) for row in rows if row[name] != "-") for name in _COUNTS}
