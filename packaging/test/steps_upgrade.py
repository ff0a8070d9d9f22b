"""Upgrades, while requests come that fail closed."""
from __future__ import annotations

import collections
import re
from typing import Callable

import web
from host import CONFIG, UNIT, Host, expect, step
from support import wait

_AROUND = 20  # requests before and after


def served_and_counted(host: Host, change: Callable[[], object]) -> None:
    """Does |change| under requests: each must be served, and be counted once."""
    wait.until(lambda: host.counted("http.total", "http_req_cnt"), what="a total")
    before = host.counted("http.total", "http_req_cnt")
    client = web.Client(8081)
    wait.until(lambda: len(client.answers), lambda count: count >= _AROUND, what="requests before")
    try:
        change()
        until_now = len(client.answers)
        wait.until(lambda: len(client.answers), lambda count: count >= until_now + _AROUND, what="requests after")
    finally:
        answers = client.finish()
    expect(set(answers) == {200}, f"{len(answers)} answers: {collections.Counter(answers)}")
    host.wait(lambda: host.counted("http.total", "http_req_cnt"), before + len(answers),
              f"a total of {before} and {len(answers)} more")
    expect(host.counted("login", "gpc0") == 1, "the failed login is forgotten")


@step("upgrade: handed over, no request refused, no count lost, the edited config kept")
def upgraded(host: Host) -> None:
    before = host.main_pid()
    served_and_counted(host, lambda: host.install(host.next_version(2)))
    expect(host.main_pid() != before, "the main PID did not move")
    expect(host.runs_installed(), "the old program runs")
    wait.until(lambda: not host.process(before).exists(), what="the end of the old process")
    expect(host.read(CONFIG) == host.agent_config, "the edited config is gone")
    expect("of version 2" in host.read("/etc/stickmesh/hooks.d/ban.lua"), "a hook that nobody edited is not the new one")
    expect("1000000" in host.ctl("show", "limits"), "the limit set at run time is forgotten")


@step("upgrade with a broken config: the old process serves on; dpkg, status and the exit code of reload say so")
def not_upgraded(host: Host) -> None:
    before = host.main_pid()
    host.write(CONFIG, f"{host.agent_config}\n[nonsense]\nkey = 1\n")
    line = host.agent_config.count("\n") + 2
    said = []
    with host.logged(f"{CONFIG}:{line}:", "nonsense"):
        served_and_counted(host, lambda: said.append(host.install(host.next_version(3))))
    expect(f"{UNIT} still runs" in said[0] and f"systemctl reload {UNIT}" in said[0], f"dpkg said: {said[0]}")
    expect(host.main_pid() == before and not host.runs_installed(), "it is not the old process that serves")
    status = host.systemctl("status", UNIT).stdout
    expect(re.search(r"ExecReload=.*status=1\b", status) and re.search(r"Status: \"soft restart failed", status), status)
    expect(host.systemctl("reload", UNIT, check=False).returncode == 1, "reload succeeded")


@step("the config repaired: systemctl reload brings the new version")
def repaired(host: Host) -> None:
    before = host.main_pid()
    host.write(CONFIG, host.agent_config)
    served_and_counted(host, lambda: host.systemctl("reload", UNIT))
    expect(host.main_pid() != before and host.runs_installed(), "the old program runs")
    status = re.search(r"Status: (.*)", host.systemctl("status", UNIT).stdout)[1]
    expect("failed" not in status, status)


@step("downgrade: handed over as well")
def downgraded(host: Host) -> None:
    served_and_counted(host, lambda: host.install(host.agent))
    expect(host.runs_installed(), "the newer program runs")


@step("killed, it is started again with what the snapshot has")
def killed(host: Host) -> None:
    before, count = host.main_pid(), host.counted("http.total", "http_req_cnt")
    # HAProxy teaches what it has of its own; the failed login is known to the agent alone.
    host.wait_snapshot()
    host.run("bash", "-c", f"kill -KILL {before}")
    host.wait(lambda: host.active() and host.main_pid() != before, True, "another process")
    host.wait(lambda: host.counted("login", "gpc0"), 1, "the failed login")
    host.wait(lambda: host.counted("http.total", "http_req_cnt"), count, f"the total of {count}")
