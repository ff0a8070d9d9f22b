"""systemd itself, as PID 1 of namespaces of its own in the scratch root, with a control group of its own."""
from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Iterator

from scratch_root import ScratchRoot, unshare
from support import wait

_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWPID = 0x00020000, 0x02000000, 0x20000000
# HAProxy is restarted by many steps, one after the other.
_OFTEN = "[Unit]\nStartLimitIntervalSec=0\n"


def hierarchy() -> Path | None:
    """Our own place in the unified hierarchy of control groups."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = next((Path(point) for _, point, kind, *_ in mounts if kind == "cgroup2"), None)
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
    return above / own.lstrip("/") if above and own else None


@contextlib.contextmanager
def control_group(above: Path) -> Iterator[Path]:
    """At the end, whatever is in it must be about to end, too."""
    group = above / f"stickmesh-{os.getpid()}"
    group.mkdir()

    def removed() -> bool:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
        return True
    try:
        yield group
    finally:
        wait.until(removed, what=f"the end of what was in {group}")


class Systemd:
    name = "systemd"

    def __init__(self, root: ScratchRoot, logs: Path, group: Path) -> None:
        self._root, self._logs, self._group = root, logs, group
        root.run("apt-get", "install", "-qy", "--no-install-recommends", "--no-download", "systemd")
        units = root.path / "etc/systemd/system"
        (units / "getty.target").symlink_to("/dev/null")
        (units / "haproxy.service.d").mkdir()
        (units / "haproxy.service.d/often.conf").write_text(_OFTEN)

    def boot(self) -> None:
        started, tell = os.pipe()
        if os.fork() == 0:
            self._become_first(tell)
        os.close(tell)
        self._pid = int(os.read(started, 20))
        os.close(started)
        wait.until(lambda: Path(f"/proc/{self._pid}/comm").read_text(), lambda name: name == "systemd\n", what="systemd")
        self._root.enter(self._pid)
        wait.until(lambda: self._root.run("systemctl", "is-system-running", check=False).stdout.strip(),
                   lambda state: state in ("running", "degraded"), what="a booted system", timeout=60)
        self._root.machine = set(self._root.processes())

    def _become_first(self, tell: int) -> None:
        try:
            (self._group / "cgroup.procs").write_text("0")
            unshare(_CLONE_NEWNS | _CLONE_NEWCGROUP | _CLONE_NEWPID)
            if pid := os.fork():
                os.write(tell, str(pid).encode())
                os._exit(0)
            console = os.open(self._logs / "console.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(console, 1)
            os.dup2(console, 2)
            boot = str(Path(__file__).with_name("boot"))
            os.execv(boot, [boot, str(self._root.path)])
        finally:
            os._exit(1)

    def power_cut(self) -> None:
        self._root.leave()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def log(self, unit: str) -> str:
        return self._root.run("journalctl", "--quiet", "--output=cat", f"--unit={unit}").stdout

    def keep_logs(self) -> None:
        (self._logs / "journal.log").write_text(self._root.run("journalctl", "--output=short-precise").stdout)
