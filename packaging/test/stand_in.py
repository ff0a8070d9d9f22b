"""The stand-in for systemd, in a process of its own."""
from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from scratch_root import ScratchRoot
from service_manager import Manager


class StandIn:
    name = "stand-in"

    def __init__(self, root: ScratchRoot, logs: Path) -> None:
        self._root, self._logs = root, logs
        shutil.copy2(Path(__file__).with_name("systemctl"), root.path / "usr/bin/systemctl")

    def boot(self) -> None:
        started, tell = os.pipe()
        if os.fork() == 0:
            try:
                manager = Manager(self._root.path, self._logs)
                os.write(tell, b"1")
                manager.serve()
            finally:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        os.close(tell)
        if not os.read(started, 1):
            raise RuntimeError("the stand-in for systemd did not start")

    def log(self, unit: str) -> str:
        path = self._logs / f"{unit}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def keep_logs(self) -> None:
        """They are where they belong."""
