"""`[events] listen`: lines of events, whoever sends them."""
from __future__ import annotations

import socket

from support import wait
from support.agent import Agent, AgentConfig, columns
from support.case import MeshTest
from support.ports import free_port

TABLES = "".join(f'\n[[table]]\nname = "{name}"\ndefine = "type {kind} size 10k expire 10m store {types}"\n'
                 for name, kind, types in (
                     ("login", "string len 64", "gpc0,gpc0_rate(10m)"),
                     ("errors", "ipv6", "http_err_cnt,http_err_rate(1m),http_fail_cnt,http_fail_rate(1m)"),
                     ("own", "string len 64", "gpc0,bytes_out_cnt")))


class EventLinesTest(MeshTest):
    """Without HAProxy; `test_lua_haproxy` has those that send them."""
    needs_haproxy = False

    def start(self, listen: str = "") -> Agent:
        self.port = free_port()
        address = listen or f'"127.0.0.1:{self.port}"'
        self.daemon = self.start_agent(AgentConfig(extra=f"\n[events]\nlisten = [{address}]\n{TABLES}"))
        return self.daemon

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.addCleanup(connection.close)
        return connection

    def wait_value(self, key: str, expected: int) -> None:
        wait.until(lambda: self.daemon.value("own", key, "gpc0"), lambda value: value == expected, what=f"{key} is counted")

    def test_wrong_lines_are_left_out_and_named(self) -> None:
        self.start()
        connection = self.connect()
        connection.sendall(b"GET / HTTP/1.1\r\n\r\ntrack own joe gpc0=1\ntrack nowhere joe gpc0=1\ntrack own joe gpc0=x\n"
                           b"track own joe http_req_cnt=1\ntrack own joe gpc0=2\n")
        self.wait_value("joe", 3)
        self.assertEqual(self.daemon.errors(), {"bad-message": 4, "not-found": 1})
        told = self.daemon.ask("show errors")
        self.assertIn("event line of 127.0.0.1:", told)
        self.assertIn("there is no table 'nowhere'", told)
        info = self.daemon.ask("show info")
        self.assertIn("\nEvent_lines_total: 7\nEvent_lines_counted_total: 2\nEvent_lines_malformed_total: 3\n"
                      "Event_lines_refused_total: 2\n", info)

    def test_a_line_without_an_end_ends_that_connection_alone(self) -> None:
        self.start()
        connection, other = self.connect(), self.connect()
        other.sendall(b"track own joe gpc")
        connection.sendall(b"track own amy gpc0=1\n" + b"x" * 5000)
        self.assertEqual(connection.recv(1), b"")
        self.assertEqual(self.daemon.errors(), {"message-too-long": 1})
        other.sendall(b"0=1\n")
        self.wait_value("joe", 1)
        self.wait_value("amy", 1)

    def test_connections_are_bounded(self) -> None:
        self.need_open_files(3000)
        self.start()
        connections = [self.connect() for _ in range(1030)]
        wait.until(lambda: self.daemon.ask("show info"), lambda text: "\nEvent_connections: 1024\n" in text,
                   what="the oldest give way")
        connections[-1].sendall(b"track own joe gpc0=1\n")
        self.wait_value("joe", 1)
        self.assertEqual(connections[0].recv(1), b"")

    def test_a_unix_socket_and_a_stop(self) -> None:
        path = self.directory / "events.sock"
        daemon = self.start(f'{{ path = "{path}", mode = "600" }}')
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(b"track own joe gpc0=1\n")
            self.wait_value("joe", 1)
            self.assertEqual(daemon.stop(), 0)
            self.assertEqual(connection.recv(1), b"")
        daemon.start()
        self.wait_value("joe", 1)  # from the snapshot

    def test_a_line_that_a_soft_restart_cuts_is_not_counted(self) -> None:
        daemon = self.start()
        connection = self.connect()
        connection.sendall(b"track own joe gpc0=1\ntrack own joe gpc0=1")
        self.wait_value("joe", 1)
        self.assertIn("is in charge", daemon.reload())
        self.assertEqual(connection.recv(1), b"", "it is closed")
        self.connect().sendall(b"7\ntrack own joe gpc0=1\n")
        self.wait_value("joe", 2)

    def test_totals_of_instances_have_what_events_say(self) -> None:
        self.start()
        self.connect().sendall(b"track own joe gpc0=5\n")
        self.wait_value("joe", 5)
        rows = columns(self.daemon.ask("show tables"))
        self.assertIn("own.total", [row["output"] for row in rows if row["name"] == "own"])
