"""One unit of the stand-in for systemd: its state, its directories, and how its processes are started."""
from __future__ import annotations

import os
import resource
import shlex
import sys
from pathlib import Path

from unit_file import UnitFile


class Refused(Exception):
    """What systemctl says, and its exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def inside(root: Path, *words: str) -> None:
    status = os.spawnlp(os.P_WAIT, "chroot", "chroot", str(root), *words)
    if status:
        raise Refused(f"{shlex.join(words)}: ended with {status}")


class Service:
    """A unit that has been started at least once."""

    def __init__(self, root: Path, logs: Path, name: str) -> None:
        self.root, self.logs = root, logs
        self.file = UnitFile(root, name)
        self.state = "inactive"
        self.main_pid = 0
        self.ready = False
        self.status = ""
        self.invocation = ""
        self.processes: list[str] = []  # how each Exec line but that of the main process ended
        self.restart_at = float("inf")
        self.alive_at = 0.0  # when the watchdog was last answered

    def holds(self, pid: int) -> bool:
        """Whether |pid| is one of the unit's processes: what systemd's control group is for, the environment tells here."""
        try:
            return bool(self.invocation) and f"INVOCATION_ID={self.invocation}".encode() in Path(
                f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def pids(self) -> list[int]:
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self.holds(pid)]

    def make_directories(self) -> None:
        user, group = self._identity()
        for key, above in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib")):
            mode = self.file.last(f"{key}Mode", "0755")
            for name in self.file.words(key):
                path = f"{above}/{name}"
                inside(self.root, "mkdir", "-p", path)
                # A file system that may only be read is no reason to fail when nothing has to be changed.
                found = os.stat(self.root / path[1:])
                if (found.st_uid, found.st_gid) != (user, group):
                    inside(self.root, "chown", "-R", f"{user}:{group}", path)
                if found.st_mode & 0o7777 != int(mode, 8):
                    inside(self.root, "chmod", mode, path)

    def _identity(self) -> tuple[int, int]:
        """User and group by their names inside the root."""
        def number(names: str, name: str) -> int:
            for line in (self.root / names).read_text().splitlines():
                if line.split(":")[0] == name:
                    return int(line.split(":")[2])
            raise Refused(f"{self.file.name}: no {name} in /{names}")
        user = self.file.last("User", "root")
        return number("etc/passwd", user), number("etc/group", self.file.last("Group", user))

    def _environment(self) -> dict[str, str]:
        assigned = self.file.words("Environment")
        for name in self.file.all("EnvironmentFile"):
            path = self.root / name.lstrip("-/")
            if path.exists():
                assigned += [word for line in path.read_text().splitlines() for word in shlex.split(line, comments=True)]
        result = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
        result |= dict(word.split("=", 1) for word in assigned)
        result |= {"INVOCATION_ID": self.invocation, "NOTIFY_SOCKET": "/run/systemd/notify"}
        if limit := self.file.span("WatchdogSec", "0"):
            result["WATCHDOG_USEC"] = str(int(limit * 1e6))
        if self.main_pid:
            result["MAINPID"] = str(self.main_pid)
        return result

    def spawn(self, line: str) -> int:
        user, group = self._identity()
        environment = self._environment()
        words: list[str] = []
        for word in shlex.split(line):
            bare = word[1:] if word.startswith("$") else ""
            # A variable that is a word of its own may become several.
            words += environment.get(bare, "").split() if bare.isidentifier() else [word]
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            output = os.open(self.logs / f"{self.file.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chroot(self.root)
            os.chdir("/")
            if limit := self.file.last("LimitNOFILE"):
                # In a container root may not raise it.
                allowed = min(int(limit), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
                resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
            os.umask(int(self.file.last("UMask", "0022"), 8))
            os.setgroups([group])
            os.setgid(group)
            os.setuid(user)
            if "WATCHDOG_USEC" in environment:
                environment["WATCHDOG_PID"] = str(os.getpid())
            os.execve(words[0], words, environment)
        finally:
            print(f"{words[0]} cannot be started: {sys.exc_info()[1]}", file=sys.stderr, flush=True)
            os._exit(203)
