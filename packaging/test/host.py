"""A host in the scratch root, as its operator handles it: what the steps are made of."""
from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator

from scratch_root import ScratchRoot
from stand_in import StandIn
from support import wait
from systemd import Systemd

UNIT = "stickmeshd.service"
CONFIG = "/etc/stickmesh/stickmesh.toml"
STATE = "/var/lib/stickmesh"
HAPROXY_CFG = "/etc/haproxy/haproxy.cfg"
DOC = "/usr/share/doc"
DEBS = "/var/cache/debs"  # where a boot takes nothing away


class NotRun(Exception):
    """Why a step cannot show anything here."""


def expect(truth: object, what: str) -> None:
    if not truth:
        raise AssertionError(what)


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """Shipped text, changed. What is to be changed and is not there means that it is no longer what the test thinks."""
    for old, new in changes:
        expect(old in text, f"'{old}' is not in the shipped text")
        text = text.replace(old, new)
    return text


class Host:
    """Steps leave for later ones: |debian_cfg|, HAProxy's config as Debian ships it; |agent_config|, the operator's
    stickmesh.toml; |files_before|, what was there before ours;
    |count|, a total."""
    debian_cfg: str
    agent_config: str
    files_before: set[str]
    count: int

    def __init__(self, root: ScratchRoot, manager: Systemd | StandIn, packages: dict[str, Path]) -> None:
        self.root, self.manager = root, manager
        self.run, self.read, self.write, self.outside = root.run, root.read, root.write, root.outside
        self.log = manager.log
        self.outside(DEBS).mkdir()
        for deb in packages.values():
            shutil.copy2(deb, self.outside(DEBS))
        self.agent, self.haproxy_side = (f"{DEBS}/{packages[name].name}" for name in ("stickmesh", "stickmesh-haproxy"))

    def wait(self, probe: Callable[[], object], value: object, what: str) -> None:
        wait.until(probe, lambda seen: seen == value, what=what)

    # --- packages

    def install(self, *debs: str) -> str:
        """As unattended-upgrades would; the answer is all that the operator sees."""
        done = self.run("apt-get", "install", "-qy", "--no-install-recommends", "--reinstall", "--allow-downgrades", "-o",
                        "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", *debs)
        return done.stdout + done.stderr

    def next_version(self, number: int) -> str:
        """The agent's package with a higher version, another shipped config and another hook."""
        folder, deb = f"{DEBS}/{number}", f"{DEBS}/stickmesh-{number}.deb"
        self.run("dpkg-deb", "-R", self.agent, folder)
        for name, comment in (("stickmesh.toml", "#"), ("hooks.d/ban.lua", "--")):
            with open(self.outside(f"{folder}/etc/stickmesh/{name}"), "a", encoding="utf-8") as file:
                file.write(f"{comment} of version {number}\n")
        control = f"{folder}/DEBIAN/control"
        self.write(control, re.sub(r"^(Version: .*)", rf"\1+{number}", self.read(control), flags=re.M))
        self.run("dpkg-deb", "-Znone", "-b", folder, deb)
        return deb

    def leftovers(self) -> str:
        return "; ".join(sorted(self.root.files() ^ self.files_before))

    # --- the agent

    def systemctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", *words, check=check)

    def process(self, pid: int) -> Path:
        return self.outside(f"/proc/{pid}")

    def active(self, unit: str = UNIT) -> bool:
        return self.systemctl("is-active", unit, check=False).returncode == 0

    def main_pid(self, unit: str = UNIT) -> int:
        """0 while there is none."""
        found = re.search(r"Main PID: (\d+)", self.systemctl("status", unit, check=False).stdout)
        return int(found[1]) if found else 0

    def wait_snapshot(self) -> None:
        snapshot = self.outside(f"{STATE}/snapshot.msgpack")
        written = snapshot.stat().st_mtime_ns
        wait.until(lambda: snapshot.stat().st_mtime_ns, lambda seen: seen != written, what="a new snapshot")

    def runs_installed(self, unit: str = UNIT) -> bool:
        """Whether the unit's process runs the program that is installed now."""
        installed = self.outside("/usr/sbin/stickmeshd").stat()
        running = (self.process(self.main_pid(unit)) / "exe").stat()
        return (installed.st_dev, installed.st_ino) == (running.st_dev, running.st_ino)

    def ctl(self, *words: str) -> str:
        return self.run("stickmeshctl", *words).stdout

    @contextlib.contextmanager
    def logged(self, *words: str, unit: str = UNIT) -> Iterator[None]:
        """What is done within must make the unit say all of |words|, on one line."""
        before = len(self.log(unit))
        yield
        wait.until(lambda: self.log(unit)[before:],
                   lambda text: any(all(word in line for word in words) for line in text.splitlines()),
                   what=f"a line of {unit} with {', '.join(words)}")

    def table(self, name: str) -> dict[str, str]:
        """Entries by key, as the agent shows them; none if there is no such table yet."""
        return dict(re.findall(r"key=(\S+) (.*)", self.run("stickmeshctl", "show", "table", name, check=False).stdout))

    def counted(self, table: str, data: str) -> int:
        """One data type of the only entry."""
        values = re.findall(rf"\b{data}(?:\(\d+\))?=(\d+)", "\n".join(self.table(table).values()))
        return int(values[0]) if values else 0

    # --- HAProxy

    def haproxy(self, text: str, verb: str = "restart") -> None:
        """HAProxy with Debian's own config, and |text| behind it, with which an agent may stand still for a while."""
        self.write(HAPROXY_CFG, self.debian_cfg + text.replace("timeout server 1m\n", "timeout server 1m\n    timeout check 10s\n"))
        self.run("haproxy", "-c", "-f", HAPROXY_CFG)
        self.systemctl(verb, "haproxy")


# --- steps

Step = Callable[[Host], None]
STEPS: list[tuple[str, str, Step]] = []


def step(title: str, *, under: str = "") -> Callable[[Step], Step]:
    """Steps run in the order in which they are declared, and each builds on those before it. |under| names the only manager
    that can show something."""
    def declared(function: Step) -> Step:
        STEPS.append((title, under, function))
        return function
    return declared


def run_steps(host: Host) -> int:
    passed = failed = left_out = 0
    for title, function in [(title, function) for title, under, function in STEPS if under in ("", host.manager.name)]:
        started, problem = time.monotonic(), ""
        try:
            function(host)
        except NotRun as reason:
            left_out += 1
            print(f"not run: {title}: {reason}", flush=True)
            continue
        except (AssertionError, AttributeError, LookupError, OSError, TypeError, subprocess.SubprocessError) as error:
            problem = f"\n{error}".rstrip().replace("\n", "\n        ") or f" {error!r}"
        passed, failed = passed + (not problem), failed + bool(problem)
        print(f"{'FAILED' if problem else 'ok':7} {title} ({time.monotonic() - started:.1f} s){problem}", flush=True)
    host.manager.keep_logs()
    # The line that tests/integration/run ends with, too.
    print(f"{passed} passed, {failed} failed, {left_out} not run")
    return int(failed > 0)
