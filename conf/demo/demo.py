#!/usr/bin/env python3
"""Two HAProxy, two agents, Redis, a few clients: what each instance counted itself beside the totals that it now has."""
from __future__ import annotations

import dataclasses
import select
import shutil
import signal
import sys
import tempfile
import termios
import threading
import time
import tty
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests"))

from support import agent, haproxy, http_client, redis  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.process import Process  # noqa: E402
from support.wait import NotReached, until  # noqa: E402

ENGINE = ROOT / "conf/spoe-stickmesh.conf"
LUA = ROOT / "lua/haproxy/stickmesh.lua"
NAMES = ("lb1", "lb2")
AGENTS = ("agent-1", "agent-2")
LIMIT = 40  # requests of one client in ten seconds, at all instances together
# Requests a second of each client, at both instances together. Only mallory's 60 in ten seconds are too many, and of
# these each instance alone sees 30.
CLIENTS = {"alice": 1, "bob": 2, "mallory": 6}
FAST = "mallory"
EVENTS_LIMIT = 30  # its requests in a minute at the frontend that asks the agent, at both instances together; see stickmesh.toml
LUA_CLIENT = "trudy"  # as fast as that, at the frontend that Lua protects
WATCH_SECONDS = 40  # --once gives up after this
REFRESH = 0.5


class Failed(Exception):
    """The demo cannot go on; the message says why."""


@dataclasses.dataclass
class Instance:
    """One HAProxy of the demo."""
    name: str
    directory: Path
    agent_ports: dict[str, int]
    agent_events_ports: dict[str, int]
    http_port: int = dataclasses.field(default_factory=free_port)
    lua_port: int = dataclasses.field(default_factory=free_port)
    events_port: int = dataclasses.field(default_factory=free_port)
    peers_port: int = dataclasses.field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.socket = self.directory / f"{self.name}.sock"
        self.process: Process | None = None
        # Only read from: the demo's HAProxy is started from haproxy.cfg as it is.
        self.reader = haproxy.HAProxy(self.directory, self.name, "")

    def start(self, config: Path) -> None:
        env = {"DEMO_SOCKET": str(self.socket), "DEMO_PEERS_PORT": str(self.peers_port),
               "DEMO_HTTP_PORT": str(self.http_port), "DEMO_LIMIT": str(LIMIT),
               "DEMO_EVENTS_PORT": str(self.events_port), "DEMO_EVENTS_LIMIT": str(EVENTS_LIMIT),
               "DEMO_LUA_PORT": str(self.lua_port), "DEMO_LUA": str(LUA),
               "DEMO_ENGINE": str(config.with_name(ENGINE.name))}
        for name in AGENTS:
            prefix = f"DEMO_{name.upper().replace('-', '_')}"
            env[f"{prefix}_PORT"] = str(self.agent_ports[name])
            env[f"{prefix}_EVENTS_PORT"] = str(self.agent_events_ports[name])
        program = haproxy.binary()
        if program is None:
            raise Failed("haproxy is not installed")
        self.process = Process(self.name, [program, "-f", str(config), "-db", "-L", self.name],
                               self.directory / f"{self.name}.log", env, own_session=True)
        until(lambda: self.reader.cli("show info"), what=f"{self.name} answers")

    def finds(self, agent_name: str) -> bool:
        """Whether events may go to that agent, by HAProxy's health checks."""
        rows = [line.split() for line in self.reader.cli("show servers state stickmesh-agents").splitlines()]
        return any(row[3:4] == [agent_name] and row[5] == "2" for row in rows)

    def counters(self, table: str) -> haproxy.Table:
        return self.reader.table(f"mesh/{table}")


@dataclasses.dataclass
class Answers:
    """What the clients were told: how often 200 and 429, by client and instance."""
    counts: dict[tuple[str, str, int], int] = dataclasses.field(default_factory=dict)
    first_refused: int = 0  # the number of the request that was, of all

    def add(self, client: str, instance: str, status: int) -> None:
        key = (client, instance, status)
        self.counts[key] = self.counts.get(key, 0) + 1
        if status == 429 and not self.first_refused:
            self.first_refused = sum(self.counts.values())

    def of(self, client: str, instance: str, status: int) -> int:
        return self.counts.get((client, instance, status), 0)


@dataclasses.dataclass
class Mark:
    """What an instance is told of the totals in `http.total`; all 0 when it is told nothing."""
    until: int = 0  # Unix second
    present: int = 0
    expected: int = 0

    @classmethod
    def of(cls, instance: Instance) -> Mark:
        row = instance.reader.entry("mesh/stickmesh", "http.total") or {}
        return cls(*(int(row.get(name, 0)) for name in ("gpt0", "gpc0", "gpc1")))

    def current(self) -> bool:
        """As the rule in haproxy.cfg compares it."""
        return self.until > int(time.time())

    def __str__(self) -> str:
        end = time.strftime("%H:%M:%S", time.localtime(self.until))
        return f"{f'current until {end}' if self.current() else 'not current'}, {self.present} of {self.expected} instances"


@dataclasses.dataclass
class View:
    """All tables at about one instant."""
    own: dict[str, haproxy.Table]
    total: dict[str, haproxy.Table]
    marks: dict[str, Mark]

    def cell(self, side: dict[str, haproxy.Table], instance: str, client: str, data_type: str) -> int:
        value = side[instance].get(client, {}).get(data_type, 0)
        return value if isinstance(value, int) else 0

    def sum(self, client: str, data_type: str) -> int:
        return sum(self.cell(self.own, name, client, data_type) for name in NAMES)


class Demo:
    """Everything that runs; `close` ends it and removes its folder."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="stickmesh-demo-"))
        self.agent_ports = {name: free_port() for name in AGENTS}
        self.agent_events_ports = {name: free_port() for name in AGENTS}
        self.instances = {name: Instance(name, self.directory, self.agent_ports, self.agent_events_ports)
                          for name in NAMES}
        self.redis = redis.Redis(self.directory, own_session=True)
        self.answers = Answers()
        self.events = Answers()  # at the frontend that asks the agent
        self.lua = Answers()  # at the one that Lua protects
        self.highest_rate = {name: 0 for name in NAMES}  # of the fast client, by the instance's own count
        self._agents: dict[str, Process] = {}
        self._pause = threading.Event()
        self._over = threading.Event()
        self._clients: list[threading.Thread] = []

    def start(self) -> None:
        config = self.directory / "haproxy.cfg"
        shutil.copy(HERE / "haproxy.cfg", config)
        # A busy machine may need longer than 50 ms, and what is served without an answer is not what is shown.
        engine = ENGINE.read_text().replace("timeout processing 50ms", "timeout processing 10s")
        engine = engine.replace("timeout hello 500ms", "timeout hello 10s")
        config.with_name(ENGINE.name).write_text(engine)
        if reason := redis.missing():
            raise Failed(reason)
        self.redis.start()
        for instance in self.instances.values():
            instance.start(config)
        for name in AGENTS:
            self.start_agent(name)
        for instance in self.instances.values():
            for name in AGENTS:
                until(lambda: instance.reader.peer_state(name), lambda state: state == "ESTA", timeout=30,
                      what=f"{instance.name} has a session with {name}")
                until(lambda: instance.finds(name), timeout=30, what=f"{instance.name} may ask {name}")

    def start_agent(self, name: str) -> None:
        directory = self.directory / name
        (directory / "state").mkdir(parents=True, exist_ok=True)
        other = next(agent_name for agent_name in AGENTS if agent_name != name)
        text = (HERE / "stickmesh.toml").read_text()
        for word, value in (("DEMO_DIR", directory), ("DEMO_NAME", name), ("DEMO_OWN_PORT", self.agent_ports[name]),
                            ("DEMO_EVENTS_PORT", self.agent_events_ports[name]),
                            ("DEMO_REDIS_PORT", self.redis.port),
                            ("DEMO_OTHER_NAME", other), ("DEMO_OTHER_PORT", self.agent_ports[other]),
                            ("DEMO_LB1_PORT", self.instances["lb1"].peers_port),
                            ("DEMO_LB2_PORT", self.instances["lb2"].peers_port)):
            text = text.replace(word, str(value))
        config = directory / "stickmesh.toml"
        config.write_text(text)
        (directory / "admin.sock").unlink(missing_ok=True)
        daemon = Process(name, [agent.daemon_path(), "-f", str(config)], self.directory / f"{name}.log",
                         own_session=True)
        self._agents[name] = daemon

        def ready() -> bool:
            if not daemon.running():
                raise Failed(f"{name} ended with {daemon.exit_code}: {daemon.log()[-2000:]}")
            return (directory / "admin.sock").exists()
        until(ready, what=f"{name} is ready")

    def start_clients(self) -> None:
        ports = {name: instance.http_port for name, instance in self.instances.items()}
        for client in CLIENTS:
            self._start_client(client, ports, self.answers)
        self._start_client(FAST, {name: instance.events_port for name, instance in self.instances.items()}, self.events)
        self._start_client(LUA_CLIENT, {name: instance.lua_port for name, instance in self.instances.items()}, self.lua)

    def _start_client(self, client: str, ports: dict[str, int], answers: Answers) -> None:
        thread = threading.Thread(target=self._be_client, args=(client, ports, answers), daemon=True)
        thread.start()
        self._clients.append(thread)

    def _be_client(self, client: str, ports: dict[str, int], answers: Answers) -> None:
        """Sends to one instance after the other, as a load balancer in front of them would."""
        turn = 0
        while not self._over.wait(1.0 / CLIENTS.get(client, CLIENTS[FAST])):
            if self._pause.is_set():
                continue
            name = NAMES[turn % len(NAMES)]
            turn += 1
            try:
                status = http_client.send(ports[name], client)[0]
            except OSError:
                continue  # at the end of the demo
            answers.add(client, name, status)

    def pause_clients(self) -> None:
        self._pause.set()

    def look(self) -> View:
        view = View({name: instance.counters("http") for name, instance in self.instances.items()},
                    {name: instance.counters("http.total") for name, instance in self.instances.items()},
                    {name: Mark.of(instance) for name, instance in self.instances.items()})
        for name in NAMES:
            self.highest_rate[name] = max(self.highest_rate[name], view.cell(view.own, name, FAST, "http_req_rate"))
        return view

    def check_alive(self) -> None:
        """A program that died would otherwise only show as numbers that stand still."""
        for process in [*(instance.process for instance in self.instances.values()), *self._agents.values(),
                        self.redis.process]:
            if process is not None and not process.running():
                raise Failed(f"{process.name} ended with {process.exit_code}")

    def agents(self) -> list[str]:
        """Those that run."""
        return [name for name in AGENTS if name in self._agents]

    def kill_agent(self, name: str) -> None:
        self._agents.pop(name).kill()

    def resume_clients(self) -> None:
        self._pause.clear()

    def close(self) -> None:
        self._over.set()
        for thread in self._clients:
            thread.join(2.0)
        processes = [instance.process for instance in self.instances.values()] + list(self._agents.values())
        processes.append(self.redis.process)
        for process in processes:
            if process is not None:
                process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def logs(self) -> str:
        return "".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
                       for path in sorted(self.directory.glob("*.log")))


def picture(demo: Demo, view: View) -> str:
    """The table that the demo shows."""
    lines = ["                 http_req_cnt           http_req_rate(10s)          answers",
             "                   own  total              own  total         200    429", ""]
    for client, per_second in CLIENTS.items():
        lines.append(f"{client}: {per_second} requests a second, alternately to both")
        for name in NAMES:
            def cell(side: dict[str, haproxy.Table], data_type: str) -> int:
                return view.cell(side, name, client, data_type)  # noqa: B023 - used at once
            refused = demo.answers.of(client, name, 429)
            lines.append(f"  {name}          {cell(view.own, 'http_req_cnt'):6} {cell(view.total, 'http_req_cnt'):6}"
                         f"           {cell(view.own, 'http_req_rate'):6} {cell(view.total, 'http_req_rate'):6}"
                         f"      {demo.answers.of(client, name, 200):6} {refused:6}"
                         f"{'  refused: the total is above ' + str(LIMIT) if refused else ''}")
    for client, where, answers in ((FAST, "asks the agent", demo.events), (LUA_CLIENT, "Lua protects", demo.lua)):
        lines.append(f"{client} at the frontend that {where}: {CLIENTS[FAST]} requests a second, alternately to both")
        for name in NAMES:
            lines.append(f"  {name}{answers.of(client, name, 200):59}{answers.of(client, name, 429):7}")
        if answers.first_refused:
            lines.append(f"  the first refusal was request {answers.first_refused} of both together: "
                         f"the limit is {EVENTS_LIMIT} in a minute")
    lines += ["", *(f"the total at {name}: {mark}" for name, mark in view.marks.items()),
              f"agents: {', '.join(f'{name} {state(demo, name)}' for name in AGENTS)}"]
    return "\n".join(lines)


def state(demo: Demo, name: str) -> str:
    return "runs" if name in demo.agents() else "was killed"


def where_to_look(demo: Demo) -> str:
    folder = demo.directory
    first, control = (f"{agent.control_path()} -s {folder}/{name}/admin.sock" for name in AGENTS)
    lb1 = demo.instances["lb1"]
    return "\n".join([
        f"configs   {folder}/haproxy.cfg, {ENGINE.name} and agent-*/stickmesh.toml (from conf/)",
        f"logs      {folder}/*.log",
        *(f"ports     {name} http://127.0.0.1:{instance.http_port}/  and, asking the agent, "
          f"http://127.0.0.1:{instance.events_port}/  and, with Lua, http://127.0.0.1:{instance.lua_port}/" for name, instance in demo.instances.items()),
        "try       " + f"curl -i -H 'x-client: me' http://127.0.0.1:{lb1.http_port}/",
        f"          {control} show peers",
        f"          {control} show table http.total origins",
        f"          redis-cli -p {demo.redis.port} hgetall stickmesh:http:{FAST}    # its totals, for others to read",
        f"          {first} show spoe    # what it was asked; {AGENTS[1]} is, once it was killed",
        f"          {first} set limit keys 10    # and the frontend with Lua refuses sooner",
        f"          echo 'show table mesh/http.total' | socat - {lb1.socket}"])


def show_until_interrupted(demo: Demo) -> None:
    clear = "\x1b[H\x1b[2J" if sys.stdout.isatty() else ""
    hint = where_to_look(demo)
    with Keys() as keys:
        while True:
            demo.check_alive()
            offer = keys.offer and f"{keys.offer}: kills {AGENTS[0]}, and starts it again. "
            print(f"{clear}{picture(demo, demo.look())}\n\n{hint}\n\n{offer}Ctrl-C ends it.", flush=True)
            if keys.wait(REFRESH):
                toggle(demo, AGENTS[0])


def toggle(demo: Demo, name: str) -> None:
    if name in demo.agents():
        demo.kill_agent(name)
    else:
        demo.start_agent(name)


class Keys:
    """The terminal's keys one by one, if there is one; else nobody presses any."""

    def __init__(self) -> None:
        self.offer = "Any key" if sys.stdin.isatty() else ""
        self._before: list[object] = []

    def __enter__(self) -> Keys:
        if self.offer:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        if self.offer:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> bool:
        """Until a key is pressed, which it says, or the time is over."""
        if not self.offer:
            time.sleep(seconds)
            return False
        if not select.select([sys.stdin], [], [], seconds)[0]:
            return False
        sys.stdin.read(1)
        return True


class Checks:
    """What `--once` demands. Each prints what was seen; one that fails does not hide the next."""

    def __init__(self) -> None:
        self.failed = 0

    def that(self, claim: str, true: object, seen: str) -> None:
        self.failed += 0 if true else 1
        print(f"{'ok    ' if true else 'FAILED'}  {claim}: {seen}", flush=True)


def rates_agree(view: View, client: str) -> bool:
    """The tables are read one after the other and a rate moves meanwhile: a few requests of difference are no error."""
    own = view.sum(client, "http_req_rate")
    return own > LIMIT // 2 and all(abs(view.cell(view.total, name, client, "http_req_rate") - own) <= max(3, own // 8)
                           for name in NAMES)


def check_once(demo: Demo) -> int:
    """Lets the clients run until the fast one was refused at both, then stops them and compares all that was counted."""
    checks = Checks()
    checks.that("both instances have a session with both agents", True, "ESTA in `show peers` of lb1 and lb2")
    rates: dict[str, str] = {}
    deadline = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < deadline:
        demo.check_alive()
        view = demo.look()
        if FAST not in rates and rates_agree(view, FAST):
            rates[FAST] = describe(view, FAST, "http_req_rate")
        refused = all(demo.answers.of(FAST, name, 429) >= 3 for name in NAMES)
        if refused and rates and demo.events.first_refused and demo.lua.first_refused:
            break
        time.sleep(0.2)
    print(picture(demo, demo.look()), flush=True)
    check_refusals(demo, checks)
    checks.that("the total of the rate is the sum of the instances' own", rates,
                rates.get(FAST) or describe(demo.look(), FAST, "http_req_rate"))
    check_events(demo, checks)
    check_counts(demo, checks)
    check_redis(demo, checks)
    check_marks(demo, checks)
    print(f"{checks.failed} of the claims FAILED" if checks.failed else "all of it was seen")
    return 1 if checks.failed else 0


def check_refusals(demo: Demo, checks: Checks) -> None:
    for name in NAMES:
        served, refused = demo.answers.of(FAST, name, 200), demo.answers.of(FAST, name, 429)
        checks.that(f"{FAST} was served by {name} at first, then refused", served and refused,
                    f"{served} times 200, {refused} times 429")
        highest = demo.highest_rate[name]
        checks.that(f"{name} alone would not have refused it", 0 < highest <= LIMIT,
                    f"its own http_req_rate never exceeded {highest}, the limit is {LIMIT}")
    others = [client for client in CLIENTS if client != FAST]
    refused = sum(demo.answers.of(client, name, 429) for client in others for name in NAMES)
    checks.that(f"{' and '.join(others)} were never refused", refused == 0, f"{refused} times 429")


def check_events(demo: Demo, checks: Checks) -> None:
    for client, where, answers in ((FAST, "asks the agent", demo.events), (LUA_CLIENT, "Lua protects", demo.lua)):
        checks.that(f"the frontend that {where} refuses {client} from request {EVENTS_LIMIT + 1} of both on",
                    answers.first_refused == EVENTS_LIMIT + 1, f"the first refusal was request {answers.first_refused}")
    for name in NAMES:
        served = demo.events.of(FAST, name, 200)
        checks.that(f"{name} served half of them there", served == EVENTS_LIMIT // len(NAMES), f"{served} times 200")


def check_next_events(demo: Demo, checks: Checks, claim: str, status: int, most_served: int) -> None:
    """Soon the answer of both is |status| at the frontend that asks the agent, after at most so many 200."""
    def told(code: int) -> list[int]:
        return [demo.events.of(FAST, name, code) for name in NAMES]
    expected, served = [count + 3 for count in told(status)], sum(told(200))
    demo.resume_clients()
    try:
        reached = until(lambda: all(map(int.__ge__, told(status), expected)), timeout=15, what=claim)
    except NotReached:
        reached = False
    demo.pause_clients()
    served = sum(told(200)) - served
    checks.that(claim, reached and served <= most_served, f"{status} at {'both' if reached else 'none'} in time, {served} served")


def check_counts(demo: Demo, checks: Checks, after: str = "") -> None:
    """Once nobody sends any more, counts can be compared exactly."""
    demo.pause_clients()
    time.sleep(1.2)  # longer than a request under way and the pause of the slowest client's loop
    for client in CLIENTS:
        def right(view: object) -> bool:
            assert isinstance(view, View)
            own = [view.cell(view.own, name, client, "http_req_cnt") for name in NAMES]  # noqa: B023 - used at once
            return all(own) and all(view.cell(view.total, name, client, "http_req_cnt") == sum(own)  # noqa: B023
                                    for name in NAMES)
        try:
            view = until(demo.look, right, timeout=20, what="equal")
        except NotReached:
            view = demo.look()
        checks.that(f"{after}both have the sum of what both counted of {client}", right(view),
                    describe(view, client, "http_req_cnt"))


def check_redis(demo: Demo, checks: Checks) -> None:
    def read() -> dict[str, str]:
        return {client: demo.redis.hash(f"stickmesh:http:{client}").get("http_req_cnt", "none") for client in CLIENTS}
    expected = {client: str(demo.look().sum(client, "http_req_cnt")) for client in CLIENTS}
    try:
        found = until(read, lambda totals: totals == expected, timeout=20, what="equal")
    except NotReached:
        found = read()
    checks.that("Redis has the total of each client", found == expected,
                ", ".join(f"{client} {count}" for client, count in found.items()))


def check_marks(demo: Demo, checks: Checks) -> None:
    """A total is current while any agent lives, and soon after the end of the last no longer."""
    def whole(mark: Mark) -> bool:
        return mark.current() and mark.present == mark.expected == len(NAMES)
    check_mark(demo, checks, f"the total at {' and '.join(NAMES)} is current, with both instances in it", whole)
    demo.kill_agent(AGENTS[0])
    before = demo.look().sum(FAST, "http_req_cnt")
    demo.resume_clients()
    until(lambda: demo.look().sum(FAST, "http_req_cnt"), lambda count: count > before, what=f"{FAST} goes on")
    check_counts(demo, checks, f"{AGENTS[0]} was killed, clients went on, and ")
    check_mark(demo, checks, f"{AGENTS[1]} keeps the total current", whole)
    check_next_events(demo, checks, f"{AGENTS[1]} is asked, has the count, and {FAST} is refused on", 429,
                      EVENTS_LIMIT // 2)  # until HAProxy's checks say that the other is gone
    demo.kill_agent(AGENTS[1])
    check_mark(demo, checks, "both agents were killed, and the total is no longer current",
               lambda mark: not mark.current())
    check_next_events(demo, checks, "the frontend that asks the agent serves all without one", 200, EVENTS_LIMIT)


def check_mark(demo: Demo, checks: Checks, claim: str, true: Callable[[Mark], bool]) -> None:
    def right(view: View) -> bool:
        return all(true(mark) for mark in view.marks.values())
    try:
        view, reached = until(demo.look, right, timeout=30, what=claim), True
    except NotReached:
        view, reached = demo.look(), False
    checks.that(claim, reached, "; ".join(f"{name}: {mark}" for name, mark in view.marks.items()))


def describe(view: View, client: str, data_type: str) -> str:
    own = " + ".join(str(view.cell(view.own, name, client, data_type)) for name in NAMES)
    totals = ", ".join(f"{name} has {view.cell(view.total, name, client, data_type)}" for name in NAMES)
    return f"{data_type} of {client}: own {own}; total: {totals}"


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    demo = Demo()
    try:
        demo.start()
        demo.start_clients()
        if "--once" in sys.argv[1:]:
            code = check_once(demo)
            if code:
                print(demo.logs(), file=sys.stderr)
            return code
        show_until_interrupted(demo)
    except KeyboardInterrupt:
        print()
        return 130
    except (Failed, AssertionError) as error:
        print(f"the demo could not be shown: {error}\n{demo.logs()}", file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C must not leave half of it running
        demo.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
