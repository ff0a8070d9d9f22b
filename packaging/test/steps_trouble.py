"""What goes wrong on a host: each is said clearly, and nothing is lost."""
from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path
from typing import Iterator

import web
from host import STATE, UNIT, Host, expect, step
from support import wait


@step("port taken: the start fails and names the address")
def port_taken(host: Host) -> None:
    host.systemctl("stop", UNIT)
    with socket.create_server(("192.0.2.10", 10300)), host.logged("192.0.2.10:10300", "in use"):
        expect(host.systemctl("start", UNIT, check=False).returncode == 1, "it started")
    host.systemctl("start", UNIT)


@contextlib.contextmanager
def small_state(host: Host) -> Iterator[Path]:
    """The state directory of the stopped agent on a small file system of its own; it is stopped again at the end."""
    host.systemctl("stop", UNIT)
    place = host.outside(STATE)
    owner, files = place.stat(), {path.name: path.read_bytes() for path in place.iterdir()}
    host.run("mount", "-t", "tmpfs", "-o", f"size=256k,mode=750,uid={owner.st_uid},gid={owner.st_gid}", "small", STATE)
    try:
        for name, data in files.items():
            (place / name).write_bytes(data)
            shutil.chown(place / name, owner.st_uid, owner.st_gid)
        yield place
    finally:
        host.systemctl("stop", UNIT, check=False)
        host.run("umount", STATE)
        host.systemctl("start", UNIT)


@step("state directory not writable: the start fails and names it")
def not_writable(host: Host) -> None:
    with small_state(host), host.logged(STATE, "Read-only file system"):
        host.run("mount", "-o", "remount,ro", STATE)
        expect(host.systemctl("start", UNIT, check=False).returncode == 1, "it started")


@step("disk full: said, served on, the old snapshot intact; with room again the next one is written")
def disk_full(host: Host) -> None:
    with small_state(host) as place:
        snapshot = place / "snapshot.msgpack"
        old, names = snapshot.read_bytes(), sorted(path.name for path in place.iterdir())
        with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        with host.logged(STATE, "No space left on device"):
            host.systemctl("start", UNIT)
        host.wait(lambda: web.get(8081), 200, "a request that is served")
        expect(host.counted("login", "gpc0") == 1, "the failed login is forgotten")
        expect(snapshot.read_bytes() == old, "the old snapshot is no longer what it was")
        (place / "filler").unlink()
        wait.until(snapshot.read_bytes, lambda data: data != old, what="the next snapshot")
        # The one after it may be on its way.
        host.wait(lambda: sorted(path.name for path in place.iterdir()), names, "nothing is left over")
