"""A second cluster on the host, and the end of all."""
from __future__ import annotations

import web
from host import CONFIG, DOC, STATE, UNIT, Host, expect, step

TWO = "stickmeshd@two.service"
GONE = "stickmeshd@gone.service"


@step("stickmeshd@two from the shipped example: beside the first one; an upgrade hands both over")
def two(host: Host) -> None:
    host.write("/etc/stickmesh/two.toml", host.read(f"{DOC}/stickmesh/examples/instance.toml"))
    host.systemctl("enable", TWO)
    host.systemctl("start", TWO)
    info = host.ctl("-s", "/run/stickmesh-two/admin.sock", "show", "info")
    expect("agent-two" in info, info)
    before = {host.main_pid(), host.main_pid(TWO)}
    host.install(host.next_version(4))
    expect(not before & {host.main_pid(), host.main_pid(TWO)}, "one has not handed over")
    expect(host.runs_installed() and host.runs_installed(TWO), "one runs the old program")


@step("removed: nothing runs, the units are gone, config and state stay")
def removed(host: Host) -> None:
    # Then nobody teaches the agent anything later on.
    host.systemctl("stop", "haproxy")
    host.count = host.counted("http.total", "http_req_cnt")
    expect(host.count, "nothing was counted")
    host.run("dpkg", "--remove", "stickmesh")
    expect(not host.root.processes(), f"left running: {host.root.processes()}")
    expect(not list(host.outside("/").glob("lib/systemd/system/stickmesh*")), "units are left")
    expect(host.read(CONFIG) == host.agent_config, "the config is gone")
    expect(host.outside(f"{STATE}/snapshot.msgpack").exists(), "the snapshot is gone")


@step("installed again: started with the counters of the snapshot")
def reinstalled(host: Host) -> None:
    host.install(host.agent)
    expect(host.active(), "the agent is not active")
    seen = host.counted("http.total", "http_req_cnt")
    expect(seen == host.count, f"a total of {seen}, not {host.count}")


@step("purged: no state, no link; what the operator put into /etc/stickmesh stays")
def purged(host: Host) -> None:
    others = "/var/lib/stickmesh-backup"
    host.run("cp", "-a", STATE, others)
    # An instance that the operator has enabled, and whose config is no more.
    host.systemctl("enable", GONE)
    host.run("mkdir", "/var/lib/stickmesh-gone")
    host.run("dpkg", "--purge", "stickmesh")
    expect(host.outside(others).exists(), "a directory of somebody else is gone")
    host.run("rm", "-r", others)
    expect(not host.root.processes(), f"left running: {host.root.processes()}")
    expect(host.outside("/etc/stickmesh/two.toml").exists(), "the operator's own config is gone")
    host.run("rm", "/etc/stickmesh/two.toml")
    wants = [f"/etc/systemd/system/multi-user.target.wants/{unit}" for unit in (UNIT, TWO, GONE)]
    left = [path for path in ("/var/lib/stickmesh", "/var/lib/stickmesh-two", "/var/lib/stickmesh-gone", "/run/stickmesh",
                              CONFIG, *wants)
            if host.outside(path).is_symlink() or host.outside(path).exists()]
    expect(not left, f"left: {' '.join(left)}")


@step("a host with stickmesh-haproxy alone: HAProxy serves with its files, without an agent")
def haproxy_side_alone(host: Host) -> None:
    for name in ("examples/haproxy-lua.cfg", "recipes/spoe-ip.cfg"):
        host.haproxy(host.read(f"{DOC}/stickmesh-haproxy/{name}"))
        host.wait(lambda: web.get(8080), 200, f"a request that is served with {name}")
    host.systemctl("stop", "haproxy")


@step("both purged: the host is as it was, but for the user")
def all_purged(host: Host) -> None:
    host.run("dpkg", "--purge", "stickmesh-haproxy")
    expect(not host.leftovers(), f"not as before: {host.leftovers()}")


@step("the stand-in for systemctl was asked for nothing that it does not know", under="stand-in")
def all_known(host: Host) -> None:
    unknown = [line for line in host.log("manager").splitlines() if "does not know" in line]
    expect(not unknown, "; ".join(unknown))
