"""A stand-in for systemd in the scratch root, where it cannot be PID 1: it does what the installed units say (their Exec
lines, user, directories, NOTIFY_SOCKET with the sender's credentials, watchdog, restart on failure) at the word of the
stand-in `systemctl`. What a unit forbids the process (the sandbox) is not imitated; systemd-analyze judges that."""
from __future__ import annotations

import array
import contextlib
import ctypes
import fnmatch
import os
import select
import shlex
import signal
import socket
import struct
import time
import uuid
from pathlib import Path
from typing import Callable, Iterator

from service import Refused, Service, inside
from unit_file import UnitFile, path_of

_PR_SET_CHILD_SUBREAPER = 36


class Manager:
    def __init__(self, root: Path, logs: Path) -> None:
        self.root = root
        self.logs = logs
        self.services: dict[str, Service] = {}
        self.ended: dict[int, int] = {}  # what has been reaped, until somebody asks
        # Relative names, because those of sockets are short.
        os.chdir(root)
        Path("run/systemd/system").mkdir(parents=True, exist_ok=True)
        self.requests = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.requests.bind("run/systemd/stand-in")
        self.requests.listen()
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notices.setblocking(False)
        self.notices.bind("run/systemd/notify")
        os.chmod("run/systemd/notify", 0o666)

    # --- the loop

    def serve(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        while True:
            self.turn(self.requests)
            if select.select([self.requests], [], [], 0)[0]:
                client = self.requests.accept()[0]
                with client, contextlib.suppress(BrokenPipeError):
                    client.sendall(self.answer(client))
            for service in list(self.services.values()):
                if time.monotonic() >= service.restart_at:
                    with contextlib.suppress(Refused):
                        self.start(service)

    def turn(self, *also: socket.socket) -> None:
        """Waits a moment for what may happen, and takes it."""
        select.select([self.notices, *also], [], [], 0.02)
        # Reaped first, judged last: what a process said before it ended counts.
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self.ended[ended[0]] = os.waitstatus_to_exitcode(ended[1])
        with contextlib.suppress(BlockingIOError):
            while True:
                self.take_notice()
        for service in self.services.values():
            if service.main_pid in self.ended and service.state == "active":
                self.main_ended(service, self.ended.pop(service.main_pid))
            self.watch(service)

    def until(self, happened: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not happened():
            if time.monotonic() > deadline:
                return False
            self.turn()
        return True

    def answer(self, client: socket.socket) -> bytes:
        words = b"".join(iter(lambda: client.recv(4096), b"")).decode().split("\0")
        self.note("systemctl " + shlex.join(words))
        try:
            return f"0\n{self.command(words)}".encode()
        except Refused as refusal:
            self.note(str(refusal))
            return f"{refusal.code}\n{refusal}\n".encode()

    def note(self, text: str, log: str = "manager") -> None:
        with open(self.logs / f"{log}.log", "a", encoding="utf-8") as file:
            file.write(text + "\n")

    # --- what processes say

    def take_notice(self) -> None:
        data, ancillary, _, _ = self.notices.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("3i")) + 64)
        sender = 0
        for _, kind, content in ancillary:
            if kind == socket.SCM_CREDENTIALS:
                sender = struct.unpack("3i", content[:12])[0]
            elif kind == socket.SCM_RIGHTS:
                for fd in array.array("i", content):
                    os.close(fd)
        for service in self.services.values():
            # The main process may have ended since.
            if sender == service.main_pid or service.holds(sender):
                access = service.file.last("NotifyAccess", "main")
                self.note(f"{service.file.name}: from {sender}: {data.decode()!r}")
                if access == "all" or (access == "main" and sender == service.main_pid):
                    self.heed(service, data.decode())
                else:
                    self.note(f"{service.file.name}: not heeded: NotifyAccess={access}, main is {service.main_pid}")

    def heed(self, service: Service, message: str) -> None:
        for line in message.splitlines():
            key, _, value = line.partition("=")
            if key == "READY":
                service.ready = True
            elif key == "STATUS":
                service.status = value
            elif key == "MAINPID" and service.holds(int(value)):
                service.main_pid = int(value)
            elif key == "WATCHDOG":
                service.alive_at = time.monotonic()

    def watch(self, service: Service) -> None:
        limit = service.file.span("WatchdogSec", "0")
        if limit and service.state == "active" and time.monotonic() > service.alive_at + limit:
            self.note("the watchdog was not answered", service.file.name)
            os.kill(service.main_pid, signal.SIGABRT)
            service.alive_at = float("inf")

    def main_ended(self, service: Service, code: int) -> None:
        clean = code in (0, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, -signal.SIGPIPE)
        clean = clean or str(code) in service.file.words("SuccessExitStatus")
        self.note(f"main process {service.main_pid} ended with {code}", service.file.name)
        self.finish(service, "inactive" if clean else "failed")
        restart = service.file.last("Restart", "no")
        if restart == "always" or (restart == "on-failure" and not clean):
            service.restart_at = time.monotonic() + service.file.span("RestartSec", "100ms")

    # --- starting and ending

    def start(self, service: Service) -> None:
        file = service.file
        if not file.all("ExecStart"):
            raise Refused(f"{file.name}: the stand-in starts nothing but services.")
        service.state, service.ready, service.main_pid = "activating", False, 0
        service.status, service.processes, service.restart_at = "", [], float("inf")
        service.invocation = uuid.uuid4().hex
        service.make_directories()
        timeout = file.span("TimeoutStartSec", "90s")
        for line in file.all("ExecStartPre"):
            if self.run_to_end(service, "ExecStartPre", line, timeout):
                self.failed(service, "control process exited with error code")
        service.main_pid = main = service.spawn(file.last("ExecStart"))
        if file.last("Type") == "notify":
            self.until(lambda: service.ready or main in self.ended, timeout)
            if not service.ready:
                self.failed(service, f"main process exited with {self.ended[main]}" if main in self.ended else
                            "timeout was exceeded")
        service.state, service.alive_at = "active", time.monotonic()

    def failed(self, service: Service, why: str) -> None:
        self.finish(service, "failed")
        raise Refused(f"Job for {service.file.name} failed because {why}.\nSee \"systemctl status {service.file.name}\".")

    def stop(self, service: Service) -> None:
        service.restart_at = float("inf")
        if service.state == "active":
            service.state = "deactivating"
            first = [service.main_pid] if service.file.last("KillMode") == "mixed" else service.pids()
            for pid in first:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            if not self.until(lambda: not service.pids(), service.file.span("TimeoutStopSec", "90s")):
                self.note("did not stop in time and is killed", service.file.name)
            self.note(f"main process {service.main_pid} ended with {self.ended.pop(service.main_pid, 'unknown')}",
                      service.file.name)
            self.finish(service, "inactive")

    def finish(self, service: Service, state: str) -> None:
        while pids := service.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.turn()
        service.state, service.main_pid = state, 0
        if service.file.last("RuntimeDirectoryPreserve", "no") == "no":
            for name in service.file.words("RuntimeDirectory"):
                inside(self.root, "rm", "-rf", f"/run/{name}")

    def reload(self, service: Service) -> None:
        if service.state != "active":
            raise Refused(f"{service.file.name} is not active, cannot reload.")
        if not service.file.all("ExecReload"):
            raise Refused(f"Job type reload is not applicable for unit {service.file.name}.")
        for line in service.file.all("ExecReload"):
            if self.run_to_end(service, "ExecReload", line, service.file.span("TimeoutStartSec", "90s")):
                raise Refused(f"Job for {service.file.name} failed.\nSee \"systemctl status {service.file.name}\".")

    def run_to_end(self, service: Service, key: str, line: str, timeout: float) -> int:
        """The exit status of a line that is to end by itself; 0 where the line says that it does not matter."""
        program = line.lstrip("-")
        pid = service.spawn(program)
        if not self.until(lambda: pid in self.ended, timeout):
            os.kill(pid, signal.SIGKILL)
            self.until(lambda: pid in self.ended, 10)
        code = self.ended.pop(pid)
        service.processes.append(f"{pid} {key}={program} (code=exited, status={code})")
        return 0 if program != line else code

    # --- systemctl

    def command(self, words: list[str]) -> str:
        options = {word.partition("=")[0]: word.partition("=")[2] for word in words if word.startswith("-")}
        verb, *names = [word for word in words if not word.startswith("-")]
        if verb == "daemon-reload":
            for service in self.services.values():
                with contextlib.suppress(LookupError):
                    service.file = UnitFile(self.root, service.file.name)
            return ""
        if verb == "list-units":
            return "".join(f"{service.file.name} loaded {service.state} - {service.file.last('Description')}\n"
                           for service in self.matching(names or ["*"])
                           if service.state in options.get("--state", "active").split(","))
        action = {"is-active": self.is_active, "is-enabled": self.is_enabled, "status": self.show_status,
                  "enable": self.enable_named, "preset": self.enable_named, "start": self.start_named,
                  "stop": self.stop_named, "reload": self.reload_named, "restart": self.restart_named}.get(verb)
        if action is None:
            raise Refused(f"the stand-in does not know {shlex.join(words)}")
        return "".join(action(name if "." in name else f"{name}.service") for name in names)

    def matching(self, patterns: list[str]) -> Iterator[Service]:
        for name, service in sorted(self.services.items()):
            if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                yield service

    def is_active(self, name: str) -> str:
        # invoke-rc.d asks whether the machine is up.
        state = "active" if name.endswith(".target") else "inactive"
        if name in self.services:
            state = self.services[name].state
        if state != "active":
            raise Refused(state, 3)
        return f"{state}\n"

    def is_enabled(self, name: str) -> str:
        if path_of(self.root, name) is None:
            raise Refused(f"Failed to get unit file state for {name}: No such file or directory")
        if not any(os.path.lexists(link / name) for link in self.root.glob("etc/systemd/system/*.wants")):
            raise Refused("masked" if UnitFile(self.root, name).masked else "disabled")
        return "enabled\n"

    def enable_named(self, name: str) -> str:
        file = UnitFile(self.root, name)
        for target in file.words("WantedBy"):
            link = self.root / f"etc/systemd/system/{target}.wants" / name
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(f"/{file.path.relative_to(self.root)}")
        return ""

    def start_named(self, name: str) -> str:
        try:
            service = self.services.get(name) or Service(self.root, self.logs, name)
        except LookupError as missing:
            raise Refused(f"Failed to start {name}: {missing}", 5) from missing
        if service.file.masked:
            raise Refused(f"Failed to start {name}: Unit {name} is masked.")
        self.services[name] = service
        if service.state != "active":
            self.start(service)
        return ""

    def stop_named(self, name: str) -> str:
        if name not in self.services and "*" not in name and path_of(self.root, name) is None:
            raise Refused(f"Failed to stop {name}: Unit {name} not loaded.", 5)
        for service in self.matching([name]):
            self.stop(service)
        return ""

    def reload_named(self, name: str) -> str:
        if name not in self.services and "*" not in name:
            raise Refused(f"{name} is not active, cannot reload.")
        for service in self.matching([name]):
            self.reload(service)
        return ""

    def restart_named(self, name: str) -> str:
        return self.stop_named(name) + self.start_named(name)

    def show_status(self, name: str) -> str:
        if name not in self.services:
            raise Refused(f"Unit {name} could not be found." if path_of(self.root, name) is None else "inactive (dead)",
                          4 if path_of(self.root, name) is None else 3)
        service = self.services[name]
        lines = [f"{name} - {service.file.last('Description')}", f"   Active: {service.state}"]
        lines += [f"  Process: {process}" for process in service.processes[-3:]]
        lines += [f" Main PID: {service.main_pid}", f"   Status: \"{service.status}\"", ""]
        log = self.logs / f"{name}.log"
        lines += log.read_text(errors="replace").splitlines()[-10:] if log.exists() else []
        if service.state != "active":
            raise Refused("\n".join(lines), 3)
        return "\n".join(lines) + "\n"
