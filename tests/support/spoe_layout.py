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
    register-var-names ok {variables}
    timeout hello 500ms
    timeout idle 30s
    timeout processing 500ms
    use-backend stickmesh-agents

"""


@dataclasses.dataclass
class SpoeLayout:
    """|messages| maps a message's name to its arguments; |shown| are the variables, without txn.stickmesh., that each
    answer carries as headers x-NAME. |agents| are ports."""
    messages: dict[str, str]
    agents: list[int]
    shown: list[str]
    rules: str = ""
    check: str = "check inter 200ms fall 2 rise 1"
    http_port: int = dataclasses.field(default_factory=free_port)

    def config(self, directory: Path, name: str) -> str:
        path = directory / f"{name}.spoe"
        engine = _ENGINE.format(messages=" ".join(self.messages), variables=" ".join(self.shown))
        path.write_text(engine + "".join(f"spoe-message {message}\n    args {arguments}\n    event on-frontend-http-request\n\n"
                                         for message, arguments in self.messages.items()))
        headers = "".join(f' hdr x-{shown} "%[var(txn.stickmesh.{shown})]"' for shown in ["ok", "error", *self.shown])
        servers = "".join(f"    server agent-{number} 127.0.0.1:{port} {self.check}\n"
                          for number, port in enumerate(self.agents, 1))
        return (f"frontend http\n    bind 127.0.0.1:{self.http_port}\n"
                f"    filter spoe engine stickmesh config {path}\n{self.rules}"
                f"    http-request return status 200{headers}\n"
                f"backend stickmesh-agents\n    mode tcp\n    option spop-check\n    timeout connect 100ms\n"
                f"    timeout server 1m\n{servers}")
