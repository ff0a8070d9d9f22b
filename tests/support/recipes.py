"""conf/recipes/ as shipped, with the addresses that they name replaced by free ports of the loopback."""
from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path
from typing import Any

from support import agent, haproxy, wait
from support.agent import Agent, AgentConfig
from support.case import MeshTest
from support.haproxy import HAProxy
from support.layout import Layout
from support.ports import free_port

FOLDER = agent.ROOT / "conf/recipes"
NAMES = ("lb1", "lb2")

# Two servers for all instances: what one answers can be told from what the other does, and x-fail makes it refuse.
_SERVER = """frontend {name}
    bind 127.0.0.1:{port}
    http-request return status 401 if {{ req.hdr(x-fail) -m found }}
    http-request return status 200 hdr x-server {name} if {{ req.cook(session) -m found }}
    http-request return status 200 hdr x-server {name} hdr set-cookie "session=%[uuid]"
"""


def recipe(name: str) -> str:
    return (FOLDER / f"{name}.cfg").read_text()


def replaced(text: str, changes: dict[str, str]) -> str:
    """|text| with each old text made new. One that is not there means that the recipe is no longer what the test
    thinks."""
    for old, new in changes.items():
        if old not in text:
            raise AssertionError(f"'{old}' is not in the recipe")
        text = text.replace(old, new)
    return text


def has_openssl() -> bool:
    out = subprocess.run([haproxy.binary() or "haproxy", "-vv"], capture_output=True, text=True, check=True).stdout
    return "+OPENSSL" in out


def hashed(text: str) -> str:
    """A HAProxy without OpenSSL lacks sha2: all else of a recipe is tested with the hash that every build has."""
    return text if has_openssl() else text.replace("sha2(256)", "sha1")


class _Config(AgentConfig):
    """conf/recipes/stickmesh.toml on free ports."""
    ports: dict[str, int]
    spoe_port: int
    changes: dict[str, str]

    def toml(self, directory: Path, port: int) -> str:
        changes = {**self.changes,
                   "192.0.2.10:10300": f"127.0.0.1:{port}",
                   '"192.0.2.10:10301"]': f'"127.0.0.1:{self.spoe_port}"]\n{self.spoe_section}',
                   "[peers]": f'[admin]\nsocket = "{directory}/admin.sock"\n\n[log]\nlevel = "debug"\n\n[peers]',
                   'name = "agent-1"': f'state-dir = "{directory}/state"\nname = "agent-1"'}
        for address, name in (("192.0.2.11:10000", "lb1"), ("192.0.2.12:10000", "lb2")):
            changes[address] = f"127.0.0.1:{self.ports[name]}"
        return replaced((FOLDER / "stickmesh.toml").read_text(), changes)


@dataclasses.dataclass
class Engine:
    """spoe-stickmesh.conf as text: which variables it declares, and which its messages can set."""
    text: str

    def words(self, keyword: str) -> list[str]:
        """What stands behind |keyword|, on all lines that begin with it."""
        return [word for line in self.text.splitlines() if line.split()[:1] == [keyword] for word in line.split()[1:]]

    def messages(self) -> dict[str, list[tuple[str, str]]]:
        """Each message, with its arguments."""
        found = re.findall(r"^spoe-message (\S+)\n\s+args (.+)$", self.text, re.M)
        return {name: [(argument.split("=", 1)[0], argument.split("=", 1)[1]) for argument in arguments.split()]
                for name, arguments in found}

    def groups(self) -> dict[str, list[str]]:
        """Each group, with its messages."""
        return {name: messages.split()
                for name, messages in re.findall(r"^spoe-group (\S+)\n\s+messages (.+)$", self.text, re.M)}

    def settable(self, types: dict[str, list[str]]) -> set[str]:
        """Each variable with a use in its name that an answer may set. |types| are those that each table stores."""
        variables = set()
        for message, arguments in self.messages().items():
            kind, use = message.split("-", 1)
            table = dict(arguments)["table"].removeprefix("str(").removesuffix(")")
            named = types[table] if kind == "lookup" else [name for name, _ in arguments[2:]]
            variables |= {f"{use}.{name}" for name in ["found", "ready", "verdict", "reason", "retry_after", *named]}
        return variables


def stored_types() -> dict[str, list[str]]:
    """Of each [[table]] of the agent's config."""
    tables = re.findall(r'name = "(\S+)"\ndefine = ".* store (\S+)"', (FOLDER / "stickmesh.toml").read_text())
    return {name: [data_type.split("(")[0] for data_type in types.split(",")] for name, types in tables}


class RecipeTest(MeshTest):
    """Two instances with the recipe |recipe|, the agent of the recipes, and two servers behind both."""
    recipe = ""
    bind = "accept-proxy"  # so that a test chooses the address that a client comes from
    address = "127.0.0.1"

    def setUp(self) -> None:
        super().setUp()
        self.changes: dict[str, str] = {}  # of the recipe's text, where a test cannot wait for its times
        self.agent_changes: dict[str, str] = {}  # of the agent's config, likewise

    def start(self) -> Agent:
        port = free_port()
        config = _Config()
        config.changes = self.agent_changes
        self.layouts = {name: Layout(name, port) for name in NAMES}
        config.spoe_port = self.spoe_port = free_port()
        config.ports = {name: layout.peers_port for name, layout in self.layouts.items()}
        self.daemon = self.start_agent(config, port)
        servers = {"web1": free_port(), "web2": free_port()}
        self.start_haproxy("servers", "".join(_SERVER.format(name=name, port=at) for name, at in servers.items()))
        for name, layout in self.layouts.items():
            self.instances[name] = self._start_instance(name, layout, servers)
        self.wait_ready()
        return self.daemon

    def wait_ready(self) -> None:
        self.wait_sessions(*NAMES)

    def connections(self, layout: Layout) -> dict[str, str]:
        """What the recipe says of its connections with the agent, and what stands there for it."""
        return {"bind :10000": f"bind 127.0.0.1:{layout.peers_port}",
                "192.0.2.10:10300": f"127.0.0.1:{layout.agent}"}

    def _start_instance(self, name: str, layout: Layout, servers: dict[str, int]) -> HAProxy:
        text = replaced(hashed(recipe(self.recipe)), {
            **self.connections(layout),
            "bind :::8080 v4v6": f"bind {self.address}:{layout.http_port} {self.bind}",
            "192.0.2.21:80": f"127.0.0.1:{servers['web1']}", **self.changes})
        return self.start_haproxy(name, text.replace("192.0.2.22:80", f"127.0.0.1:{servers['web2']}"))

    def wait_current(self, table: str) -> None:
        """Until both instances are told that the total of both is current."""
        for name in NAMES:
            wait.until(lambda: self.instances[name].entry("mesh/stickmesh", table) or {},
                       lambda mark: (mark.get("gpc0"), mark.get("gpc1")) == (2, 2) and int(mark.get("gpt0", 0)) > 0,
                       what=f"mark of {table} at {name}")

    def read(self, name: str, table: str, key: str, data_type: str) -> int:
        value = self.instances[name].value(f"mesh/{table}", key, data_type)
        return value if isinstance(value, int) else 0

    def wait_over(self, table: str, key: str, data_type: str, least: int) -> None:
        """Until the total of |key| is at least |least| at both."""
        for name in NAMES:
            wait.until(lambda: self.read(name, table, key, data_type), lambda value: value >= least,
                       what=f"{data_type} of {key} in {table} of {name} is {least} or more")

    def request(self, name: str, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def wait_answer(self, expected: int, *args: Any, **kwargs: Any) -> None:
        """Until both instances answer so. The pause between tries keeps the tries themselves below any limit."""
        for name in NAMES:
            wait.until(lambda: self.request(name, *args, **kwargs), lambda status: status == expected, timeout=60,
                       interval=1.2, what=f"{name} answers {expected}")
