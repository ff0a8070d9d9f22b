"""Free loopback ports. They are taken from below the kernel's range for outgoing connections, so that no client
socket lands on a port between its choice and its use, and are locked, so that tests running side by side differ."""
from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

_FIRST, _LAST = 12000, 32000
_LOCKS: list[IO[str]] = []  # a lock lives as long as the process


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on, reserved until this process ends."""
    for _ in range(2000):
        port = random.randrange(_FIRST, _LAST)
        if _lock(port) and _bindable(port):
            return port
    raise RuntimeError("no free port found")


def _lock(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"stickmesh-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = open(folder / str(port), "w")  # noqa: SIM115 - kept open on purpose
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _LOCKS.append(file)
    return True


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
