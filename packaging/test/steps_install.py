"""The agent on a host without HAProxy: installed, and purged."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from host import CONFIG, STATE, UNIT, Host, NotRun, expect, step

PROMISED = ("/usr/sbin/stickmeshd", "/usr/bin/stickmeshctl", "/etc/stickmesh/hooks.d/ban.lua",
            "/usr/share/man/man8/stickmeshd.8.gz", "/usr/share/man/man1/stickmeshctl.1.gz",
            "/usr/share/man/man5/stickmesh.toml.5.gz", "/usr/share/bash-completion/completions/stickmeshctl",
            "/usr/share/bash-completion/completions/stickmeshd")


@step("an agent on a host without HAProxy: installed, started, answers")
def installed(host: Host) -> None:
    host.files_before = host.root.files()
    host.install(host.agent)
    expect(host.active(), "the agent is not active")
    info = host.ctl("show", "info")
    expect("Name: stickmesh" in info, info)


@step("user, directories and their modes")
def owned(host: Host) -> None:
    expect(re.search(r"^stickmesh:x:\d+:\d+:.*nologin$", host.read("/etc/passwd"), re.M), "no user stickmesh")
    for wanted in (f"{STATE} stickmesh:stickmesh 750", "/run/stickmesh stickmesh:stickmesh 755", f"{CONFIG} root:root 644"):
        seen = host.run("stat", "-c", "%n %U:%G %a", wanted.split()[0]).stdout.strip()
        expect(seen == wanted, f"{seen}, not {wanted}")
    user = host.run("id", "-u", "stickmesh").stdout.strip()
    status = (host.process(host.main_pid()) / "status").read_text()
    expect(re.search(rf"^Uid:\t{user}\t{user}\t{user}\t", status, re.M), "the agent runs as another user")


@step("files are where they are promised, no upgrade stops anything, and completions can be sourced")
def complete(host: Host) -> None:
    absent = [path for path in PROMISED if not host.outside(path).exists()]
    expect(not absent, f"missing: {' '.join(absent)}")
    expect(not host.outside("/var/lib/dpkg/info/stickmesh.preinst").exists(), "an upgrade would stop something first")
    for name in ("stickmeshctl", "stickmeshd"):
        host.run("bash", "-euc", f". /usr/share/bash-completion/completions/{name}; complete -p {name}")


def analyze(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    if host.manager.name == "systemd":
        return host.run("systemd-analyze", *words, check=False)
    return subprocess.run(["systemd-analyze", f"--root={host.root.path}", *words], capture_output=True, text=True, check=False)


@step("units: systemd-analyze verify is silent, security below 2.0")
def analyzed(host: Host) -> None:
    if host.manager.name != "systemd":
        if shutil.which("systemd-analyze") is None:
            raise NotRun("systemd-analyze is missing")
        # No systemd is installed in the root, and its targets are asked for.
        for target in Path("/lib/systemd/system").glob("*.target"):
            shutil.copy(target, host.outside("/run/systemd/system"))
    for unit in (UNIT, "stickmeshd@two.service", "stickmeshd.socket"):
        done = analyze(host, "--man=no", "verify", unit)
        expect(done.returncode == 0 and not done.stdout + done.stderr, f"verify {unit}: {done.stdout}{done.stderr}")
    for unit in (UNIT, "stickmeshd@.service"):
        done = analyze(host, "security", "--offline=true", "--threshold=19", unit)
        expect(done.returncode == 0, f"security {unit}: {done.stdout[-300:]}{done.stderr}")


@step("purged, it leaves nothing but its user")
def purged(host: Host) -> None:
    host.run("dpkg", "--purge", "stickmesh")
    expect(not host.root.processes(), f"left running: {host.root.processes()}")
    expect(not host.leftovers(), f"not as before: {host.leftovers()}")
    expect("stickmesh:" in host.read("/etc/passwd"), "the user is gone, and its number may go to another")
