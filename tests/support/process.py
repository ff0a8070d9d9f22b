"""Child processes. Every one is ended by its own pid, also when the test that started it fails or is interrupted."""
from __future__ import annotations

import atexit
import os
import signal
import subprocess
from pathlib import Path
from typing import Sequence

from support import wait

_RUNNING: set["Process"] = set()


class Process:
    """One child whose output goes to |log_path|, so that a failure can show it."""

    def __init__(self, name: str, argv: list[str], log_path: Path, env: dict[str, str] | None = None,
                 own_session: bool = False, sockets: Sequence[int] = ()) -> None:
        """|own_session| keeps a Ctrl-C at the terminal from reaching the child before its parent ends it. The child has
        |sockets| under the same numbers."""
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self._child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env={**os.environ, **(env or {})}, start_new_session=own_session,
                                           pass_fds=sockets)
        self.pid = self._child.pid
        _RUNNING.add(self)

    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    def send_signal(self, number: int) -> None:
        self._child.send_signal(number)

    def freeze(self) -> None:
        """Stops the process as a debugger or an overloaded host would: its sockets stay open, nothing answers."""
        self.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send_signal(signal.SIGCONT)

    def wait(self, timeout: float = 30.0) -> int:
        return self._child.wait(timeout)

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM, and SIGKILL for one that does not go: nothing may outlive its test."""
        if self.running():
            self.send_signal(signal.SIGCONT)
            self.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        _RUNNING.discard(self)
        return self._child.wait()

    def kill(self) -> None:
        """kill -9: no chance to say good-bye."""
        self._child.kill()
        self._child.wait()
        _RUNNING.discard(self)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def resident_kib(self) -> int:
        """Resident memory now, for tests that bound its growth."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise LookupError("no VmRSS")

    def open_files(self) -> int:
        """Descriptors in use, connections among them."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def listens(self) -> bool:
        """Whether it has a TCP socket to which somebody may connect."""
        listening = set()
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    listening.add(f"socket:[{fields[9]}]")
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                if os.readlink(path) in listening:
                    return True
            except FileNotFoundError:
                pass  # closed meanwhile
        return False

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Adopted(Process):
    """A process that one of ours has started and that outlives it, such as a daemon after a soft restart. How it ended
    is told to its parent alone."""

    def __init__(self, name: str, pid: int, log_path: Path) -> None:  # pylint: disable=super-init-not-called
        self.name = name
        self.pid = pid
        self.log_path = log_path
        _RUNNING.add(self)

    def running(self) -> bool:
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state != "Z"

    @property
    def exit_code(self) -> int | None:
        return None if self.running() else 0

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 30.0) -> int:
        wait.until(self.running, lambda running: not running, timeout=timeout, what=f"{self.name} ends")
        return 0

    def stop(self, timeout: float = 30.0) -> int:
        if self.running():
            self.send_signal(signal.SIGCONT)
            self.send_signal(signal.SIGTERM)
            try:
                self.wait(timeout)
            except AssertionError:
                self.kill()
        _RUNNING.discard(self)
        return 0

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
        self.wait()
        _RUNNING.discard(self)


def stop_all() -> None:
    """Ends what a test left running."""
    for process in list(_RUNNING):
        process.stop(timeout=3.0)


atexit.register(stop_all)
