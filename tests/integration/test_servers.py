"""Instances that know one server by different ids: told at both, counted, and settled by a reload with a mended config."""
from __future__ import annotations

from support import http_client, wait
from support.agent import AgentConfig, PeerConfig
from support.case import MeshTest
from support.ports import free_port

STICKY = "type string len 64 size 10k expire 10m store server_id,server_key"
TABLES = {"sessions": STICKY, "visits": STICKY}
REPLICATED = '\n[[replicate]]\ntables = "sessions"\n'
ALIKE = {"web1": 1, "web2": 2}
CROSSED = {"web1": 2, "web2": 1}
# Either id may be the first that both have used.
DISAGREE = "server id (1 is 'web1' at lb1 and 'web2'|2 is 'web2' at lb1 and 'web1') at lb2"


def backend(port: int, ids: dict[str, int]) -> str:
    """Clients stick to a server by a table that is replicated, and are noted in one that is aggregated."""
    web = free_port()
    servers = "".join(f"    server {name} 127.0.0.1:{web} id {number}\n" for name, number in ids.items())
    return (f"listen shop\n    bind 127.0.0.1:{port}\n"
            "    stick on req.hdr(x-client) table mesh/sessions\n"
            f"    stick store-request req.hdr(x-client) table mesh/visits\n{servers}"
            f"frontend web\n    bind 127.0.0.1:{web}\n    http-request return status 200\n")


class ServersTest(MeshTest):
    def start(self, ids: dict[str, dict[str, int]]) -> None:
        self.shops = {name: free_port() for name in ids}
        self.daemon = self.mesh_of(
            {name: {"tables": TABLES, "extra": backend(self.shops[name], servers)} for name, servers in ids.items()},
            agent={"extra": REPLICATED})
        for name in ids:
            self.wait_synchronised(self.daemon, name)

    def visit(self, name: str, prefix: str, count: int = 6) -> None:
        for number in range(count):
            self.assertEqual(http_client.send(self.shops[name], f"{prefix}{number}"), [200])

    def notes(self) -> dict[str, str]:
        rows = self.daemon.peers()
        return {name: rows[name]["note"] for name in self.instances}

    def wait_told(self, tables: int) -> None:
        wait.until(lambda: self.daemon.errors().get("server-mismatch", 0), lambda count: count == tables,
                   what=f"the instances disagree about {tables} tables")

    def test_crossed_ids_are_told_and_settled_by_a_reload(self) -> None:
        self.start({"lb1": ALIKE, "lb2": CROSSED})
        self.visit("lb1", "a")
        self.visit("lb2", "b")
        # Each uses the other's entries, too.
        self.visit("lb1", "b")
        self.visit("lb2", "a")
        self.wait_told(2)
        errors = self.daemon.ask("show errors")
        for table in TABLES:
            self.assertRegex(errors, f"\tserver-mismatch\ttable {table}\t{DISAGREE}")
            self.assertRegex(self.daemon.log(), f"warning: table {table}: server-mismatch: {DISAGREE}")
        self.assertIn("same `id`", errors)
        for name, note in self.notes().items():
            self.assertRegex(note, f"server-mismatch: table sessions: {DISAGREE}", name)
        self.assertIn("Server_mismatches: 2\n", self.daemon.ask("show info"))

        self.layouts["lb2"].extra = backend(self.shops["lb2"], ALIKE)
        self.instances["lb2"].reload(self.layouts["lb2"].config())
        self.wait_synchronised(self.daemon, "lb2")
        wait.until(self.notes, lambda notes: set(notes.values()) == {"-"}, what="nothing is noted any more")
        for prefix in ("a", "b", "c"):
            self.visit("lb2", prefix)
            self.visit("lb1", prefix)
        wait.holds(self.notes, lambda notes: set(notes.values()) == {"-"}, seconds=4, what="and stays so")
        self.assertEqual(self.daemon.errors().get("server-mismatch"), 2, "each was told once")
        self.assertIn("Server_mismatches: 0\n", self.daemon.ask("show info"))

    def test_equal_ids_and_a_second_backend_with_ids_of_its_own_are_not(self) -> None:
        self.start({"lb1": ALIKE, "lb2": ALIKE})
        for name in ("lb1", "lb2"):
            layout = self.layouts[name]
            port = free_port()
            second = backend(port, {"db1": 1, "db2": 2})
            layout.extra += second.replace("listen shop", "listen shop2").replace("frontend web", "frontend web2")
            self.instances[name].reload(layout.config())
            self.wait_synchronised(self.daemon, name)
            self.visit(name, name)
            self.shops[name] = port
            self.visit(name, f"{name}x")
        wait.holds(self.notes, lambda notes: set(notes.values()) == {"-"}, seconds=4, what="nothing is noted")
        self.assertNotIn("server-mismatch", self.daemon.errors())

    def test_instances_of_different_agents(self) -> None:
        names, ports = ["agent-a", "agent-b"], [free_port(), free_port()]
        agents = []
        for index, name in enumerate(names):
            peers = [PeerConfig("lb1"), PeerConfig("lb2"), PeerConfig(names[1 - index], ports[1 - index], kind="agent")]
            directory = self.directory / name
            directory.mkdir()
            config = AgentConfig(peers=peers, name=name, extra=REPLICATED)
            agents.append(self.start_agent(config, ports[index], directory))
        self.shops = {}
        for index, (name, ids) in enumerate((("lb1", ALIKE), ("lb2", CROSSED))):
            self.shops[name] = free_port()
            self.add_instance(name, ports[index], agent_name=names[index], tables=TABLES,
                              extra=backend(self.shops[name], ids))
        self.wait_sessions("lb1", "lb2")
        for daemon, name, other in ((agents[0], "lb1", "agent-b"), (agents[1], "lb2", "agent-a")):
            self.wait_synchronised(daemon, name)
            self.wait_peer(daemon, other)
        self.visit("lb1", "a")
        self.visit("lb2", "b")
        for daemon in agents:
            self.daemon = daemon
            # A replicated entry does not tell the other agent who wrote it.
            self.wait_told(1)
            for name, note in self.notes().items():
                self.assertRegex(note, f"table visits: {DISAGREE}", name)
