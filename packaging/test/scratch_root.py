"""A Debian 12 root in a tmpfs of a private mount namespace, so that whatever ends the test takes it away. Every command that
would be dangerous outside goes through `ScratchRoot.run`."""
from __future__ import annotations

import contextlib
import ctypes
import os
import re
import socket
import subprocess
import time
from pathlib import Path

SUITE = "bookworm"
_CLONE_NEWNET = 0x40000000
_MARKER = "etc/stickmesh-scratch-root"
_A_DAY = 24 * 3600
# What an Acquire setting of the host must be for its archive to be reached from inside.
_ACQUIRE = re.compile(r"^Acquire::(https?|Check-|Retries|ForceIP)")

# systemd-sysusers is real, but works only on this root, wherever it should be called.
_SYSUSERS = f"""#!/bin/sh
[ -e /{_MARKER} ] || {{ echo "systemd-sysusers: not in the scratch root" >&2; exit 1; }}
exec /usr/bin/systemd-sysusers.real --root=/ "$@"
"""


def _host(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def unshare(namespaces: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(namespaces):
        raise OSError(ctypes.get_errno(), "unshare of namespaces")


def depends(deb: Path) -> list[str]:
    """The packages that |deb| needs; of alternatives the first."""
    field = _host("dpkg-deb", "-f", str(deb), "Depends")
    return [re.split(r"[ (|]", entry.strip())[0] for entry in field.split(",") if entry.strip()]


class NoArchive(Exception):
    """There is nothing to make a root of."""


class ScratchRoot:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.leave()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500m,mode=755", "scratch", path], check=True)

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, and says with both outputs when it fails."""
        if not (self.view / _MARKER).exists() or os.stat(self.view).st_dev == os.stat("/").st_dev:
            raise RuntimeError(f"{self.view} is not the scratch root")
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
                       "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run([*self._way_in, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=environment, timeout=300, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def outside(self, path: str) -> Path:
        """|path| as the test itself reaches it."""
        return self.view / path.lstrip("/")

    def read(self, path: str) -> str:
        return self.outside(path).read_text()

    def write(self, path: str, text: str) -> None:
        self.outside(path).write_text(text)

    def enter(self, pid: int) -> None:
        """From here on all is seen and done as by |pid|, which has namespaces of its own."""
        self.view = Path(f"/proc/{pid}/root")
        self._way_in = ["nsenter", "--target", str(pid), "--mount", "--pid", "--cgroup"]

    def leave(self) -> None:
        """Back to how it was before `enter`."""
        self.view = self.path
        self._way_in = ["chroot", str(self.path)]
        self.machine: set[str] = set()  # the processes that are none of ours

    # --- how it comes to be

    def prepare(self, debs: list[Path], cache: Path) -> None:
        """From the cache, else from the archive. In it is what |debs| need, but neither they nor HAProxy."""
        stored = cache / "root.tar"
        cached = stored.exists() and time.time() - stored.stat().st_mtime < _A_DAY
        if cached:
            subprocess.run(["tar", "-C", self.path, "-xf", stored], check=True)
        else:
            try:
                self._bootstrap()
            except (NoArchive, subprocess.CalledProcessError) as why:
                raise NoArchive(f"no Debian {SUITE} can be installed from here: {why}") from why
        subprocess.run(["mount", "-t", "proc", "proc", self.path / "proc"], check=True)
        needed = {name for deb in debs for name in depends(deb)} - {deb.name.split("_")[0] for deb in debs} - {"systemd"}
        missing = needed - set(self.run("dpkg-query", "-W", "-f", "${Package}\n").stdout.split())
        if not cached or missing:
            self._install(sorted(missing))
            cache.mkdir(parents=True, exist_ok=True)
            partial = stored.with_suffix(".partial")
            subprocess.run(["tar", "-C", self.path, "--one-file-system", "-cf", partial, "."], check=True)
            partial.rename(stored)

    def _bootstrap(self) -> None:
        sources = sorted({line for line in _host(
            "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages",
        ).splitlines() if re.search(rf" {SUITE}(-updates|-security)? main$", line)}, key=lambda line: line.split()[1])
        if not sources or sources[0].split()[1] != SUITE:
            raise NoArchive(f"apt's configuration has no source of {SUITE} main")
        subprocess.run(["debootstrap", "--variant=minbase", SUITE, self.path, sources[0].split()[0]], check=True,
                       stdout=subprocess.DEVNULL)
        self.write("etc/apt/sources.list", "".join(f"deb {source}\n" for source in sources))
        self.write("etc/apt/apt.conf.d/90host", "\n".join(filter(_ACQUIRE.match, _host("apt-config", "dump").splitlines()))
                   + "\n")
        self.write("etc/dpkg/dpkg.cfg.d/scratch", "force-unsafe-io\n")
        self.write(_MARKER, "")
        self.run("dpkg-divert", "--add", "--rename", "--divert", "/usr/bin/systemd-sysusers.real", "/bin/systemd-sysusers")
        self.write("usr/bin/systemd-sysusers", _SYSUSERS)
        (self.path / "usr/bin/systemd-sysusers").chmod(0o755)

    def _install(self, packages: list[str]) -> None:
        self.run("apt-get", "update", "-q")
        install = ("apt-get", "install", "-qy", "--no-install-recommends")
        # On a host that is not as bare there is procps, which haproxy.service needs.
        self.run(*install, "systemd-standalone-sysusers", "procps", *packages)
        self.run("apt-get", "clean")
        self.run(*install, "--download-only", "haproxy")
        self.run(*install, "--download-only", "systemd")

    # --- what is in it

    def leave_network(self) -> None:
        """From here on this process and all it starts have a loopback of their own, with the addresses of the examples."""
        unshare(_CLONE_NEWNET)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for host in ("10", "11", "21", "22", "31"):
            subprocess.run(["ip", "address", "add", f"192.0.2.{host}/32", "dev", "lo"], check=True)

    def take_name(self, name: str) -> None:
        socket.sethostname(name)
        self.write("etc/hostname", f"{name}\n")

    def files(self) -> set[str]:
        """All names, with owner and mode, but those of the test, and what dpkg, apt, whoever adds a user, and a running
        HAProxy keep for themselves."""
        passed_over = re.compile(r"/(proc|tmp|dev)/|/run/(systemd/|haproxy|adduser)|/var/(cache|log)/|/var/lib/(dpkg|apt)/|"
                                 r"/etc/(passwd|group|shadow|gshadow)- ")
        found = _host("find", str(self.view), str(self.view / "run"), "-xdev", "-printf", "%p %U:%G %m\n")
        names = (line.removeprefix(str(self.view)) for line in found.splitlines())
        return {name for name in names if not passed_over.match(name)}

    def processes(self) -> list[str]:
        """The command lines of what runs in it, but for what the machine itself consists of."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has just ended
                if os.path.samefile(process / "root", self.path):
                    found.append((process / "cmdline").read_text().replace("\0", " ").strip())
        return [line for line in found if line not in self.machine]
