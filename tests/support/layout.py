"""The HAProxy configs that the tests use: one peers section with the instance itself and the agent, an input table and
its total, and a frontend that counts clients and refuses them."""
from __future__ import annotations

import dataclasses

from support.ports import free_port

STATUS = "type string len 64 size 1k expire 2s store gpt0,gpc0,gpc1"
HTTP = "type string len 64 size 100k expire 10m store http_req_cnt,http_req_rate(10s)"


@dataclasses.dataclass
class Layout:
    """Ports and tables of one instance. |tables| maps a name in the peers section to its definition; each also gets a
    NAME.total unless |totals| is off. |agent| is the port at which this instance looks for the agent."""
    name: str
    agent: int
    tables: dict[str, str] = dataclasses.field(default_factory=lambda: {"http": HTTP})
    totals: bool = True
    status: bool = False  # the table of marks; a limit is then compared with the total only while its mark is current
    agent_name: str = "agent-1"
    limit: int | None = None
    key: str = "req.hdr(x-client)"
    default_server: str = ""
    bind_options: str = ""
    server_options: str = ""  # of the agent's line
    extra_peers: str = ""
    extra: str = ""
    frontend: str = ""
    peers_port: int = dataclasses.field(default_factory=free_port)
    http_port: int = dataclasses.field(default_factory=free_port)

    def config(self) -> str:
        return self._peers() + (self._frontend() if "http" in self.tables else "") + self.extra

    def _peers(self) -> str:
        lines = ["peers mesh", f"    bind 127.0.0.1:{self.peers_port} {self.bind_options}".rstrip()]
        if self.default_server:
            lines.append(f"    default-server {self.default_server}")
        lines += ['    server "$HAPROXY_LOCALPEER"',
                  f"    server {self.agent_name} 127.0.0.1:{self.agent} {self.server_options}".rstrip()]
        for name, definition in self.tables.items():
            lines.append(f"    table {name} {definition}")
            if self.totals:
                lines.append(f"    table {name}.total {definition}")
        if self.status:
            lines.append(f"    table stickmesh {STATUS}")
        return "\n".join(lines) + f"\n{self.extra_peers}\n"

    def _frontend(self) -> str:
        refuse = ""
        if self.limit is not None:
            guard = "{ date,neg,add(txn.until) gt 0 } " if self.status else ""
            until = ("    http-request set-var(txn.until) str(http.total),table_gpt0(mesh/stickmesh)\n"
                     if self.status else "")
            refuse = (f"{until}    http-request deny deny_status 429 if {{ sc0_http_req_cnt gt {self.limit} }} || "
                      f"{guard}{{ {self.key},table_http_req_cnt(mesh/http.total) gt {self.limit} }}\n")
        return (f"frontend http\n    bind 127.0.0.1:{self.http_port}\n"
                f"    http-request track-sc0 {self.key} table mesh/http\n{refuse}{self.frontend}"
                "    http-request return status 200\n")
