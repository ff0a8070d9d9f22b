"""What systemd alone can show: what it does to a unit's processes, and at a boot."""
from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
from typing import Iterator

import web
from host import CONFIG, DOC, STATE, UNIT, Host, expect, replaced, step
from steps_haproxy import ask_until_refused
from support import wait

SYSTEMD = "systemd"


def shown(host: Host, name: str, unit: str = UNIT) -> str:
    return host.systemctl("show", "--value", f"--property={name}", unit).stdout.strip()


@contextlib.contextmanager
def drop_in(host: Host, unit: str, text: str) -> Iterator[None]:
    """Within, |text| is added to the unit of the restarted agent."""
    folder = f"/etc/systemd/system/{unit}.d"
    host.outside(folder).mkdir()
    try:
        host.write(f"{folder}/test.conf", text)
        host.systemctl("daemon-reload")
        yield
    finally:
        host.run("rm", "-r", folder)
        host.systemctl("daemon-reload")
        host.systemctl("restart", UNIT)


def indented(text: str, first: str) -> str:
    """The lines of shell from the one that has |first| on, without what they are indented with."""
    lines = iter(text.splitlines())
    for line in lines:
        if first in line:
            margin = re.match(r"[# ]*", line)[0]
            found = [line]
            for following in lines:
                if not following.startswith(margin) or not following.strip("# "):
                    break
                found.append(following)
            return "\n".join(each.removeprefix(margin) for each in found)
    raise AssertionError(f"no line with '{first}'")


@step("the sandbox: no privilege, no capability, a filter of calls; only its own directories can be written", under=SYSTEMD)
def sandboxed(host: Host) -> None:
    pid = str(host.main_pid())
    status = dict(re.findall(r"^(\w+):\s+(\S+)", (host.process(int(pid)) / "status").read_text(), re.M))
    for name, value in (("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0" * 16), ("CapBnd", "0" * 16)):
        expect(status[name] == value, f"{name} is {status[name]}, not {value}")

    def writable(folder: str) -> bool:
        script = f"echo >{folder}/test && rm {folder}/test"
        return host.run("nsenter", "--target", pid, "--mount", "sh", "-c", script, check=False).returncode == 0
    for folder, wanted in ((STATE, True), ("/run/stickmesh", True), ("/etc/stickmesh", False), ("/usr/lib", False),
                           ("/var/lib/haproxy", False), ("/root", False)):
        expect(writable(folder) == wanted, f"{folder} can {'not ' if wanted else ''}be written from within")


@step("the journal knows a line's level", under=SYSTEMD)
def levels(host: Host) -> None:
    def lines(level: str) -> list[str]:
        return host.run("journalctl", "--quiet", "--output=cat", f"_SYSTEMD_UNIT={UNIT}",
                        f"--priority={level}..{level}").stdout.splitlines()
    before = {level: len(lines(level)) for level in ("notice", "warning")}
    # A soft restart is a notice; that lb2, of the recipe, cannot be reached, a warning.
    host.systemctl("reload", UNIT)
    for level, count in before.items():
        new = wait.until(lambda: lines(level)[count:], what=f"a line of level {level}")
        expect({line.split(":")[0] for line in new} == {level}, f"at level {level}: {new}")
    # What a broken config is refused for, by the new process and in the words of `stickmeshctl reload`.
    count = len(lines("err"))
    host.write(CONFIG, f"{host.agent_config}\n[nonsense]\n")
    expect(host.systemctl("reload", UNIT, check=False).returncode == 1, "reload succeeded")
    host.write(CONFIG, host.agent_config)
    wait.until(lambda: lines("err")[count:],
               lambda new: [line.partition("nonsense")[1] for line in new] == ["nonsense"] * 2, what="both say why")


@step("systemctl kill -s USR2, which signals all processes of the unit: a soft restart each time", under=SYSTEMD)
def signalled(host: Host) -> None:
    for _ in range(6):
        before = host.main_pid()
        host.systemctl("kill", "-s", "USR2", UNIT)
        host.wait(lambda: host.main_pid() != before, True, "another main process")
    expect("failed" not in shown(host, "StatusText"), shown(host, "StatusText"))


@step("the watchdog: a process that hangs is replaced, with what the snapshot has", under=SYSTEMD)
def hung(host: Host) -> None:
    with drop_in(host, UNIT, "[Service]\nWatchdogSec=8s\nRestartSec=100ms\n"):
        host.systemctl("restart", UNIT)
        # Answered over more than one span.
        wait.holds(lambda: shown(host, "NRestarts"), lambda count: count == "0", seconds=18, what="the watchdog is answered")
        before = host.main_pid()
        with host.logged("Watchdog timeout"):
            host.run("bash", "-c", f"kill -STOP {before}")
        host.wait(lambda: host.active() and host.main_pid() != before, True, "another process")
        host.wait(lambda: host.counted("login", "gpc0"), 1, "the failed login")


@step("a start that fails is tried again, more often than systemd does it by itself", under=SYSTEMD)
def never_given_up(host: Host) -> None:
    with drop_in(host, UNIT, "[Service]\nRestartSec=100ms\n"):
        host.systemctl("stop", UNIT)
        with socket.create_server(("192.0.2.10", 10300)):
            expect(host.systemctl("start", UNIT, check=False).returncode == 1, "it started")
            # Five within ten seconds are systemd's own limit.
            wait.until(lambda: int(shown(host, "NRestarts")), lambda count: count > 7, what="more starts", timeout=120)
        host.wait(host.active, True, "a start, now that the port is free")


@step("stopped during a reload: stopped, and not failed; the snapshot is written", under=SYSTEMD)
def stopped_in_reload(host: Host) -> None:
    before = host.outside(f"{STATE}/snapshot.msgpack").stat().st_mtime_ns
    # What stands still answers no reload; systemd makes what it ends go on.
    host.run("bash", "-c", f"kill -STOP {host.main_pid()}")
    host.systemctl("reload", "--no-block", UNIT)
    host.wait(lambda: shown(host, "SubState"), "reload", "a reload")
    host.wait(lambda: "stickmeshctl" in " ".join(host.root.processes()), True, "who waits for its end")
    host.systemctl("stop", UNIT)
    seen = shown(host, "ActiveState"), shown(host, "Result")
    after = host.outside(f"{STATE}/snapshot.msgpack").stat().st_mtime_ns
    host.systemctl("reset-failed", UNIT)
    host.systemctl("start", UNIT)
    expect(seen == ("inactive", "success"), f"it is {seen}")
    expect(after != before, "no snapshot was written")


@step("upgraded while it is starting, it runs the new version", under=SYSTEMD)
def upgraded_at_start(host: Host) -> None:
    host.systemctl("stop", UNIT)
    deb = host.next_version(5)
    with drop_in(host, UNIT, "[Service]\nExecStartPost=/bin/sleep 10\n"):
        host.systemctl("start", "--no-block", UNIT)
        host.wait(lambda: shown(host, "SubState"), "start-post", "it is starting")
        host.install(deb)
        expect(host.runs_installed(), "the old program runs")


@step("upgraded while its unit is masked: what runs serves on, and dpkg says so; what does not is not started", under=SYSTEMD)
def upgraded_masked(host: Host) -> None:
    before = host.main_pid()
    host.systemctl("mask", UNIT)
    try:
        said = host.install(host.next_version(6))
        expect(host.active() and host.main_pid() == before, "the old process does not go on")
        expect(f"{UNIT} is masked" in said and f"{UNIT} still runs" in said, f"dpkg said: {said}")
        host.systemctl("stop", UNIT)
        said = host.install(host.next_version(7))
        expect(not host.active(), "it was started")
        expect("soft restart failed" not in said and "Failed" not in said, f"dpkg said: {said}")
    finally:
        host.systemctl("unmask", UNIT)
        host.systemctl("start", UNIT)
    expect(host.runs_installed(), "the old program runs")


@contextlib.contextmanager
def connecting(*address: object) -> Iterator[list[str]]:
    """Connects again and again; the list has why it could not."""
    problems: list[str] = []
    done, first = threading.Event(), threading.Event()

    def connect() -> None:
        while not done.is_set():
            try:
                socket.create_connection(address, timeout=10).close()  # type: ignore[arg-type]
            except OSError as error:
                problems.append(str(error))
            first.set()
            done.wait(0.002)
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    first.wait(10)
    try:
        yield problems
    finally:
        done.set()
        thread.join(20)


@step("stickmeshd.socket, as its first lines say: nobody is refused while the agent is restarted", under=SYSTEMD)
def socket_activated(host: Host) -> None:
    with connecting("192.0.2.10", 10301) as problems:
        wait.until(lambda: host.systemctl("restart", UNIT) and problems, timeout=60, what="without it, somebody is refused")
    listen = "[Socket]\nListenStream=\nListenStream=192.0.2.10:10300\nListenStream=192.0.2.10:10301\n"
    with drop_in(host, "stickmeshd.socket", listen):
        unit = host.read("/lib/systemd/system/stickmeshd.socket")
        host.run("bash", "-euc", indented(unit, "systemctl stop stickmeshd &&"))
        before = host.main_pid()
        with connecting("192.0.2.10", 10301) as problems:
            host.systemctl("restart", UNIT)
            host.systemctl("reload", UNIT)
            host.install(host.agent)
            host.systemctl("restart", UNIT)
        expect(not problems, f"{len(problems)} were refused: {set(problems)}")
        expect(host.main_pid() != before, "it was not restarted")
        host.wait(lambda: web.get(8081), 200, "a request that is served")
        # What README says of the way back.
        host.systemctl("stop", "stickmeshd.socket", "stickmeshd")
        expect(not host.active() and not host.active("stickmeshd.socket"), "it still runs")
        host.systemctl("disable", "stickmeshd.socket")


@step("an address of the socket unit may come later than the unit", under=SYSTEMD)
def late_address(host: Host) -> None:
    address = "192.0.2.99"
    with drop_in(host, "stickmeshd.socket", f"[Socket]\nListenStream=\nListenStream={address}:10300\n"):
        host.write(CONFIG, replaced(host.agent_config, ("192.0.2.10:10300", f"{address}:10300")))
        try:
            host.systemctl("stop", UNIT)
            host.systemctl("start", "stickmeshd.socket")
            expect(host.active("stickmeshd.socket") and not host.active(), "the agent is there before anybody asks")
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
            socket.create_connection((address, 10300), timeout=10).close()
            host.wait(host.active, True, "the agent, started by who connects")
        finally:
            subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=False)
            host.write(CONFIG, host.agent_config)
            host.systemctl("stop", "stickmeshd.socket", UNIT)


@step("a UNIX socket seen from HAProxy's chroot, as README says", under=SYSTEMD)
def unix_socket(host: Host) -> None:
    readme, path = host.run("zcat", "-f", f"{DOC}/stickmesh/README.md.gz").stdout, "/run/stickmesh/spoe.sock"
    listen = re.search(r'`(listen = \[\{ path = "' + path + r'".*?\}\])`', readme)[1]
    before = host.read("/etc/haproxy/haproxy.cfg")
    host.run("bash", "-euc", indented(readme, "mkdir -p /etc/systemd/system/{stickmeshd,haproxy}"))
    try:
        host.write(CONFIG, replaced(host.agent_config, ('listen = ["192.0.2.10:10301", "abns@stickmesh"]', listen)))
        host.write("/etc/haproxy/haproxy.cfg", host.debian_cfg + replaced(
            host.read(f"{DOC}/stickmesh/recipes/spoe-ip.cfg"), ("192.0.2.10:10301", f"unix@{path}")))
        host.systemctl("daemon-reload")
        host.systemctl("restart", "stickmeshd", "haproxy")
        wait.until(lambda: web.get(8080) and host.counted("clients", "http_req_rate"), what="a request that is counted")
        ask_until_refused(host)
        seen = host.run("stat", "-c", "%U:%G %a", path).stdout.strip()
        expect(seen == "stickmesh:haproxy 660", seen)
        # The directory stays mounted in the chroot, whatever the agent does.
        host.systemctl("restart", "stickmeshd")
        host.systemctl("reload", "stickmeshd")
        wait.until(lambda: host.counted("clients", "http_req_rate") or web.get(8080) and None, what="counted again")
        ask_until_refused(host)
    finally:
        host.run("rm", *(f"/etc/systemd/system/{unit}.service.d/chroot.conf" for unit in ("stickmeshd", "haproxy")))
        host.run("rmdir", "/etc/systemd/system/stickmeshd.service.d")
        host.write(CONFIG, host.agent_config)
        host.write("/etc/haproxy/haproxy.cfg", before)
        host.systemctl("daemon-reload")
        host.systemctl("restart", "stickmeshd", "haproxy")


@step("a socket of the socket unit has its group after a boot, too", under=SYSTEMD)
def socket_group(host: Host) -> None:
    path = "/run/stickmesh/spoe.sock"
    unit = f"[Socket]\nListenStream=\nListenStream={path}\nSocketMode=0660\nSocketGroup=haproxy\n"
    with drop_in(host, "stickmeshd.socket", unit):
        host.write(CONFIG, replaced(host.agent_config, ('"192.0.2.10:10301", "abns@stickmesh"', f'"{path}"')))
        try:
            host.systemctl("stop", UNIT)
            host.systemctl("enable", "--now", "stickmeshd.socket")
            host.systemctl("start", UNIT)
            host.manager.power_cut()
            host.manager.boot()
            expect(host.active() and host.active("stickmeshd.socket"), "not both are running")
            seen = host.run("stat", "-c", "%U:%G %a", path).stdout.strip()
            expect(seen == "root:haproxy 660", seen)
        finally:
            host.write(CONFIG, host.agent_config)
            host.systemctl("disable", "--now", "stickmeshd.socket")


@step("power cut: at the next boot the agent is there by itself, with what the snapshot has", under=SYSTEMD)
def power_cut(host: Host) -> None:
    host.wait(lambda: web.get(8081), 200, "a request that is served")

    def in_snapshot() -> int:
        count = host.counted("http.total", "http_req_cnt")
        # The next one may have been begun before.
        for _ in range(2):
            host.wait_snapshot()
        return count if host.counted("http.total", "http_req_cnt") == count else 0
    count = wait.until(in_snapshot, what="a snapshot with a total that does not change any more")
    host.manager.power_cut()
    host.manager.boot()
    expect(host.active() and host.active("haproxy"), "not both are running")
    expect(host.counted("login", "gpc0") == 1, "the failed login is forgotten")
    seen = host.counted("http.total", "http_req_cnt")
    expect(seen == count, f"a total of {seen}, not {count}")
