"""The agent beside Debian's HAProxy with its chroot: shipped files at their places, requests counted and refused."""
from __future__ import annotations

import collections
import re

import web
from host import CONFIG, DOC, HAPROXY_CFG, UNIT, Host, expect, replaced, step
from support import wait

# What haproxy-lua.cfg says that the agent needs.
LUA_NEEDS = """
[events]
listen = ["192.0.2.10:10302"]

[[table]]
name = "login"
define = "type string len 64 size 100k expire 20m store gpc0,gpc0_rate(10m)"

[[limit]]
name = "clients"
table = "clients"
type = "http_req_rate"
above = 300

[[limit]]
name = "ip"
table = "ip"
type = "http_req_rate"
above = 300
"""
ENGINE = "/etc/stickmesh/spoe-stickmesh.conf"
# A table whose numbers do not fall with time, for the steps that compare them.
HTTP = "type ipv6 size 100k expire 10m store http_req_cnt"


@step("both packages beside Debian's HAProxy")
def installed(host: Host) -> None:
    host.run("apt-get", "install", "-qy", "--no-install-recommends", "--no-download", "haproxy")
    # What /usr/lib/tmpfiles.d/haproxy.conf says: under the stand-in there is no systemd-tmpfiles, and it could not start.
    host.run("install", "-d", "-o", "haproxy", "-g", "haproxy", "-m", "2775", "/run/haproxy")
    host.systemctl("start", "haproxy")
    host.debian_cfg = host.read(HAPROXY_CFG)
    host.files_before = host.root.files()
    host.install(host.agent, host.haproxy_side)
    expect(host.active(), "the agent is not active")
    for path in ("/usr/share/stickmesh/haproxy/stickmesh.lua", ENGINE,
                 f"{DOC}/stickmesh/recipes/ip.cfg"):
        expect(host.outside(path).exists(), f"no {path}")


@step("HAProxy accepts every shipped example, with the SPOE file and the Lua script where they are installed")
def accepted(host: Host) -> None:
    examples = f"{DOC}/stickmesh-haproxy/examples"
    # Where hooks.cfg has its messages.
    host.run("cp", f"{examples}/spoe-hooks.conf", "/etc/stickmesh/spoe-hooks.conf")
    shipped = [f"{folder}/{path.name}" for folder in (f"{DOC}/stickmesh/recipes", examples)
               for path in host.outside(folder).glob("*.cfg")]
    expect(len(shipped) >= 10, f"only {len(shipped)} examples")
    try:
        said = "".join(host.run("haproxy", "-c", "-f", HAPROXY_CFG, "-f", path).stderr for path in shipped)
    finally:
        host.run("rm", "/etc/stickmesh/spoe-hooks.conf")
    useless = [line for line in said.splitlines() if "will never match" in line]
    expect(not useless, "\n".join(useless))


@step("README's \"Install\", from the packages to the first refused request")
def first_refused(host: Host) -> None:
    host.write(CONFIG, replaced(host.read(CONFIG), ('#name = "agent-lb1"', 'name = "agent-1"'),
                                ('#[[peer]]\n#name = "lb1"\n#address = "192.0.2.11:10000"',
                                 '[[peer]]\nname = "lb1"\naddress = "127.0.0.1:10000"')))
    host.run("stickmeshd", "-c")
    host.systemctl("restart", UNIT)
    host.haproxy(host.read(f"{DOC}/stickmesh-haproxy/examples/first.cfg"), "reload")
    wait.until(lambda: host.ctl("show", "peers"), lambda text: re.search(r"^lb1\t.*\tsynchronised\t", text, re.M),
               what="the instance is synchronised")
    expect([web.get(8080) for _ in range(25)] == [200] * 20 + [429] * 5, "not the first 20 requests, and no more, are served")
    host.wait(lambda: host.counted("ip.total", "http_req_rate"), 25, "the total of all 25")
    host.ctl("show", "table", "ip.total", "origins")


@step("the config edited as the recipes say; systemctl reload moves the main PID")
def configured(host: Host) -> None:
    for address in ("192.0.2.21", "192.0.2.22", "192.0.2.31"):
        web.Server(address)
    # Snapshots are written often, so that steps need not wait long for one. Times are those of a busy machine, where the
    # usual ones make a request pass without an answer, and an old process stay in charge.
    host.agent_config = replaced(host.read(f"{DOC}/stickmesh/recipes/stickmesh.toml") + LUA_NEEDS,
                                 ('name = "agent-1" ', 'name = "agent-1"\nsnapshot-interval = "1s"\n'
                                                       'switch-timeout = "10s" '),
                                 ('"192.0.2.10:10301"]', '"192.0.2.10:10301", "abns@stickmesh"]\ndeadline = "5s"'))
    host.write(CONFIG, host.agent_config)
    host.write(ENGINE, replaced(host.read(ENGINE), ("timeout processing 50ms", "timeout processing 10s"),
                                ("timeout hello 500ms", "timeout hello 10s")))
    # A soft restart refuses another name of the agent.
    host.systemctl("restart", UNIT)
    before = host.main_pid()
    host.systemctl("reload", UNIT)
    expect(host.main_pid() != before, "the main PID did not move")


@step("tables (recipes/ip.cfg): requests are counted, the total comes back to HAProxy and refuses")
def by_tables(host: Host) -> None:
    host.haproxy(host.read(f"{DOC}/stickmesh/recipes/ip.cfg"))
    expect([web.get(8080) for _ in range(5)] == [200] * 5, "refused")
    host.wait(lambda: host.counted("ip.total", "http_req_rate"), 5, "the total of five requests")
    key, = host.table("ip.total")
    host.ctl("set", "table", "ip", "key", key, "data.http_req_rate", "400")
    host.wait(lambda: web.get(8080), 429, "a request that is refused for the total")


def ask_until_refused(host: Host) -> None:
    host.ctl("clear", "table", "clients")
    answers: list[int] = []
    while len(answers) < 320 and 429 not in answers:
        answers.append(web.get(8080))
    expect(set(answers[:300]) == {200}, f"the first 300 answers: {collections.Counter(answers[:300])}")
    expect(answers[-1] == 429, f"{len(answers)} requests, and none refused")


@step("SPOE (recipes/spoe-ip.cfg): the 301st request is refused")
def by_spoe(host: Host) -> None:
    host.haproxy(host.read(f"{DOC}/stickmesh/recipes/spoe-ip.cfg"))
    wait.until(lambda: web.get(8080) and host.counted("clients", "http_req_rate"), what="a request that is counted")
    ask_until_refused(host)


@step("SPOE out of HAProxy's chroot by abns@")
def by_abstract_socket(host: Host) -> None:
    expect("chroot /var/lib/haproxy" in host.debian_cfg, "Debian's HAProxy has no chroot any more")
    host.haproxy(replaced(host.read(f"{DOC}/stickmesh/recipes/spoe-ip.cfg"), ("192.0.2.10:10301", "abns@stickmesh")))
    ask_until_refused(host)


@step("Lua (examples/haproxy-lua.cfg): a limit changed at run time refuses, a failed login is reported")
def by_lua(host: Host) -> None:
    host.ctl("clear", "table", "clients")
    host.haproxy(replaced(host.read(f"{DOC}/stickmesh-haproxy/examples/haproxy-lua.cfg"),
                          ("    table ip  ", f"    table http {HTTP}\n    table http.total {HTTP}\n    table ip  "),
                          ("    bind :8081\n", "    bind :8081\n    http-request track-sc1 src table mesh/http\n")))
    host.wait(lambda: web.get(8081), 200, "an answer to what fails closed")
    host.ctl("set", "limit", "clients", "3")
    host.wait(lambda: web.get(8080), 429, "a request that is refused")
    host.ctl("set", "limit", "clients", "1000000")
    host.wait(lambda: web.get(8080), 200, "a request that is served")
    web.get(8080, "/login", x_fail="yes")
    host.wait(lambda: host.counted("login", "gpc0"), 1, "the failed login")
