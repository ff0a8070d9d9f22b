"""HAProxy configs with an SPOE filter: one engine, its messages, and a frontend that shows the variables that were set."""
from __future__ import annotations

import dataclasses
from pathlib import Path

from support.ports import free_port

_ENGINE = """[stickmesh]
spoe-agent stickmesh-agent
    messages {messages}
    option var-prefix stickmesh
    option set-on-error error
    no option async
    no option send-frag-payload
    register-var-names ok
{variables}    timeout hello 10s
    timeout idle 30s
    timeout processing {processing}
    use-backend stickmesh-agents
{engine}
"""


@dataclasses.dataclass
class SpoeLayout:
    """|messages| maps a message's name to its arguments; |shown| are the variables, without txn.stickmesh., that each
    answer carries as headers x-NAME. |agents| are ports, or addresses as in a server line. Messages have the event
    on-frontend-http-request unless |events| has another (with its condition, if any), or `""` for those of the
    |groups|, which map a name to messages. |engine| are further lines of the agent's section, |general| of the global
    one. With |origin| the answer is a server's: only then there are events of the response."""
    messages: dict[str, str]
    agents: list[int] | list[str]
    shown: list[str]
    rules: str = ""
    check: str = "check inter 200ms fall 2 rise 1"
    server_options: str = ""
    backend: str = "    option spop-check\n"
    events: dict[str, str] = dataclasses.field(default_factory=dict)
    groups: dict[str, str] = dataclasses.field(default_factory=dict)
    engine: str = ""
    processing: str = "10s"
    general: str = ""
    origin: bool = False
    frontends: int = 1  # each with a filter, and so an engine, of its own, on the ports from http_ports
    http_port: int = dataclasses.field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.http_ports = [self.http_port] + [free_port() for _ in range(1, self.frontends)]

    def config(self, directory: Path, name: str) -> str:
        path = directory / f"{name}.spoe"
        path.write_text(self._engine())
        addresses = [f"127.0.0.1:{agent}" if isinstance(agent, int) else agent for agent in self.agents]
        servers = "".join(f"    server agent-{number} {address} {self.check} {self.server_options}".rstrip() + "\n"
                          for number, address in enumerate(addresses, 1))
        general = f"global\n{self.general}" if self.general else ""
        return (general + "".join(self._frontend(number, path) for number in range(self.frontends)) +
                f"backend stickmesh-agents\n    mode tcp\n{self.backend}    timeout connect 100ms\n"
                f"    timeout server 1m\n    timeout check 10s\n{servers}" + self._origin())

    def _engine(self) -> str:
        # A message of a group is not of the agent's own.
        events = {message: self.events.get(message, "on-frontend-http-request") for message in self.messages}
        lines = (f"    groups {' '.join(self.groups)}\n" if self.groups else "") + self.engine
        text = _ENGINE.format(messages=" ".join(message for message, event in events.items() if event), engine=lines,
                              variables="".join(f"    register-var-names {name}\n" for name in self.shown),
                              processing=self.processing)
        for message, arguments in self.messages.items():
            event = f"    event {events[message]}\n" if events[message] else ""
            text += f"spoe-message {message}\n    args {arguments}\n{event}\n"
        return text + "".join(f"spoe-group {name}\n    messages {messages}\n\n" for name, messages in self.groups.items())

    def _frontend(self, number: int, path: Path) -> str:
        names = ["ok", "error", *self.shown]
        head = (f"frontend http{number or ''}\n    bind 127.0.0.1:{self.http_ports[number]}\n"
                f"    filter spoe engine stickmesh config {path}\n{self.rules}")
        if self.origin:
            return head + "    default_backend origin\n" + "".join(
                f'    http-response set-header x-{name} "%[var(txn.stickmesh.{name})]"\n' for name in names)
        headers = "".join(f' hdr x-{name} "%[var(txn.stickmesh.{name})]"' for name in names)
        return f"{head}    http-request return status 200{headers}\n"

    def _origin(self) -> str:
        if not self.origin:
            return ""
        port = free_port()
        return (f"backend origin\n    server origin 127.0.0.1:{port}\n"
                f"frontend at-origin\n    bind 127.0.0.1:{port}\n    http-request return status 200\n")
