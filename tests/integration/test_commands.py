"""The runtime socket and stickmeshctl."""
from __future__ import annotations

import json
import re
import socket
import subprocess

from support import agent, wait
from support.case import MeshTest


class CommandsTest(MeshTest):
    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.mesh(["lb1", "lb2"])
        for name, count in (("lb1", 30), ("lb2", 20)):
            self.instances[name].fill("mesh/http", [("joe", {"http_req_cnt": count}), (f"only-{name}",
                                                                                      {"http_req_cnt": count})])
        self.wait_total("joe", "http_req_cnt", 50)
        for name, count in (("lb1", 30), ("lb2", 20)):
            self.wait_total(f"only-{name}", "http_req_cnt", count)
            self.wait_synchronised(self.daemon, name)

    def test_show_info(self) -> None:
        answer = self.daemon.ask("show info")
        self.assertTrue(answer.startswith("Name: stickmesh\n"), answer)
        fields = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        assert self.daemon.process is not None
        self.assertEqual(fields.get("Pid"), str(self.daemon.process.pid))
        self.assertRegex(fields.get("Version", ""), r"^\d+\.\d+\.\d+")

    def test_help_names_every_command(self) -> None:
        answer = self.daemon.ask("help")
        for command in ("show info", "show peers", "show tables", "show table", "show errors", "set table"):
            self.assertIn(command, answer)

    def test_show_peers(self) -> None:
        rows = self.daemon.peers()
        self.assertLessEqual({"lb1", "lb2"}, set(rows))
        for column in ("name", "kind", "direction", "state", "note"):
            self.assertIn(column, rows["lb1"])
        self.assertEqual(rows["lb1"]["kind"], "haproxy")
        self.assertEqual(rows["lb1"]["home"], "here")
        before = rows["lb2"]["state"]
        self.instances["lb2"].kill()
        wait.until(lambda: self.daemon.peers()["lb2"]["state"], lambda state: state != before, what="lb2's state")
        self.assertEqual(self.daemon.peers()["lb1"]["state"], rows["lb1"]["state"])

    def test_show_peers_of_one(self) -> None:
        def settled() -> bool:
            fields, tables = self.daemon.peer("lb1")
            lessons = fields["State"] == "synchronised" and all(
                fields[asked] == fields[f"{asked}_answered"] for asked in ("Resyncs_in", "Resyncs_out"))
            return lessons and all(row["last_pushed"] == row["last_acked"] for table, row in tables.items()
                       if table in (("/http", "in"), ("/http.total", "out")))
        wait.until(settled, what="everything is acknowledged")
        fields, tables = self.daemon.peer("lb1")
        assert self.instances["lb1"].process is not None
        for name, value in (("Name", "lb1"), ("Kind", "haproxy"), ("Direction", "in"), ("State", "synchronised"),
                            ("Pid", str(self.instances["lb1"].process.pid)), ("Home", "here"), ("Note", "-"),
                            ("Totals_from", "this agent"), ("Backlog", "0")):
            self.assertEqual(fields.get(name), value, name)
        self.assertLess(float(fields["Heard_sec"]), 10.0, "after so long it is given up")
        # Both have asked: the agent each session, HAProxy because it was just started.
        for asked in ("Resyncs_in", "Resyncs_out"):
            self.assertGreater(int(fields[asked]), 0, asked)
            self.assertEqual(fields[asked], fields[f"{asked}_answered"])
        own = self.shared_table("lb1", "http")
        pushed, total = tables["/http", "in"], tables["/http.total", "out"]
        self.assertEqual((pushed["use"], pushed["last_pushed"], pushed["last_acked"]),
                         ("counted", own["last_pushed"], own["update"]), "as HAProxy says itself")
        own = self.shared_table("lb1", "http.total")
        self.assertEqual((total["use"], total["last_pushed"], total["last_acked"], total["backlog"]),
                         ("total", own["last_get"], own["last_acked"], "0"), "and here")
        self.assertGreater(int(total["last_pushed"]), 0)
        self.assertIn("error: not-found", self.daemon.ask("show peers lb9"))

    def shared_table(self, instance: str, table: str) -> dict[str, str]:
        """What `show peers` of HAProxy says of a table that it shares with the agent."""
        remote = self.instances[instance].cli("show peers").split("id=agent-1(")[1].split("shared tables:")[1]
        for shared in remote.split("local_id=")[1:]:
            if f"id=mesh/{table} " in shared:
                return dict(re.findall(r"(\w+)=(\S+)", shared.split("table:")[0]))
        raise LookupError(f"{table} in: {remote}")

    def test_show_tables(self) -> None:
        rows = {row["name"]: row for row in self.daemon.tables()}
        self.assertEqual((rows["http"]["entries"], rows["http"]["output"]), ("3", "http.total"), rows)
        self.assertIn("string len 64", rows["http"]["definition"])

    def test_show_table_is_in_haproxys_format(self) -> None:
        answer = self.daemon.ask("show table http.total")
        self.assertRegex(answer, r"^# table: http\.total, type: string, size:\d+, used:3\n")
        self.assertRegex(answer, r"(?m)^0x[0-9a-f]+: key=joe use=0 exp=\d+ http_req_cnt=50 http_req_rate\(10000\)=\d+$")
        own = self.instances["lb1"].cli("show table mesh/http.total key joe")
        mine = self.daemon.ask("show table http.total key joe")
        self.assertEqual(shape(mine), shape(own), "same fields in the same order as HAProxy's own")

    def test_show_table_with_a_key(self) -> None:
        self.assertEqual(set(agent.haproxy.parse_table(self.daemon.ask("show table http.total key joe"))), {"joe"})
        answer = self.daemon.ask("show table http.total key nobody")
        self.assertNotIn("key=", answer)

    def test_show_table_with_a_filter(self) -> None:
        for condition, expected in (("gt 20", {"joe", "only-lb1"}), ("eq 50", {"joe"}), ("lt 30", {"only-lb2"}),
                                    ("ge 30", {"joe", "only-lb1"}), ("le 20", {"only-lb2"}),
                                    ("ne 50", {"only-lb1", "only-lb2"})):
            answer = self.daemon.ask(f"show table http.total data.http_req_cnt {condition}")
            self.assertEqual(set(agent.haproxy.parse_table(answer)), expected, condition)

    def test_show_table_with_origins(self) -> None:
        answer = self.daemon.ask("show table http.total key joe origins")
        for name, count in (("lb1", 30), ("lb2", 20)):
            self.assertTrue(any(name in line and f"http_req_cnt={count}" in line for line in answer.splitlines()),
                            answer)
        self.assertRegex(answer, r"(?m)^0x[0-9a-f]+: key=joe .*http_req_cnt=50")

    def test_show_table_as_json(self) -> None:
        data = json.loads(self.daemon.ask("show table http.total json"))
        text = json.dumps(data)
        self.assertIn("joe", text)
        self.assertIn("50", text)
        json.loads(self.daemon.ask("show table http.total key joe origins json"))

    def test_unknown_things_are_said_to_be_unknown(self) -> None:
        for command in ("show table nothing", "show nonsense", "frobnicate", "set table nothing key x data.gpc0 1",
                        "set table http key joe data.nothing 1", "set table http key joe data.http_req_cnt many",
                        "show table http.total data.nothing gt 1", "show table http.total data.http_req_cnt near 3"):
            answer = self.daemon.ask(command)
            self.assertTrue(answer.strip(), f"'{command}' is answered with nothing")
            self.assertNotIn("key=", answer, command)
        self.assertEqual(self.daemon.value("http.total", "joe", "http_req_cnt"), 50)

    def test_set_table_writes_the_agents_own_contribution(self) -> None:
        self.daemon.ask("set table http key joe data.http_req_cnt 5")
        self.wait_total("joe", "http_req_cnt", 55)
        self.daemon.ask("set table http key joe data.http_req_cnt 8")
        self.wait_total("joe", "http_req_cnt", 58)
        self.daemon.ask("set table http key fresh data.http_req_cnt 3")
        self.wait_total("fresh", "http_req_cnt", 3)
        for name, count in (("lb1", 30), ("lb2", 20)):
            self.assertEqual(self.instances[name].value("mesh/http", "joe", "http_req_cnt"), count)
        self.assertIn("agent-1", self.daemon.ask("show table http.total key joe origins"))

    def test_show_errors(self) -> None:
        self.daemon.ask("frobnicate")
        self.assertGreaterEqual(self.daemon.errors().get("bad-command", 0), 1)
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while connection.recv(100):
                pass
        wait.until(lambda: self.daemon.errors().get("bad-hello", 0), lambda count: count == 1)
        self.assertIn("127.0.0.1", self.daemon.ask("show errors"), "where it came from")

    def test_a_socket_left_over_is_replaced_and_a_live_one_is_not(self) -> None:
        self.daemon.kill()
        self.assertTrue(self.daemon.socket_path.exists())
        self.daemon.start()
        second = subprocess.run([agent.daemon_path(), "-f", str(self.daemon.config_path)], capture_output=True,
                                text=True, timeout=30)
        self.assertEqual(second.returncode, 1, second.stderr)
        self.assertTrue(self.daemon.ask("show info").startswith("Name: stickmesh"))

    def test_bytes_that_are_no_command(self) -> None:
        for data in (b"\0\1\2\3\n", b"show table \xff\xfe\n", b"x" * 200_000 + b"\n"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(30)
                connection.connect(str(self.daemon.socket_path))
                try:
                    connection.sendall(data)
                    while connection.recv(4096):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.assertTrue(self.daemon.ask("show info").startswith("Name: stickmesh"))

    def test_a_client_that_does_not_read_delays_nobody(self) -> None:
        self.instances["lb1"].fill("mesh/http", ((f"u{n}", {"http_req_cnt": n}) for n in range(20_000)))
        wait.until(lambda: self.daemon.used("http.total"), lambda used: used == 20_003)
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(str(self.daemon.socket_path))
            idle.sendall(b"show table http.total\n")
            self.instances["lb2"].set("mesh/http", "joe", http_req_cnt=21)
            self.wait_total("joe", "http_req_cnt", 51)
            self.assertEqual(len(self.daemon.table("http.total")), 20_003)


def shape(answer: str) -> list[str]:
    """An entry line's field names, in order."""
    line = next(line for line in answer.splitlines() if line.startswith("0x"))
    return [name for name in re.findall(r"([\w()]+)=", line) if name != "shard"]


class ControlTest(MeshTest):
    needs_haproxy = False

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.start_agent(agent.AgentConfig(peers=[agent.PeerConfig("lb1")]))

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([agent.control_path(), "-s", str(self.daemon.socket_path), *words], capture_output=True,
                              text=True, timeout=30)

    def test_in_a_pipe_it_prints_the_answer_as_it_is(self) -> None:
        for command in ("show peers", "show tables", "show errors", "help"):
            done = self.control(*command.split())
            # The empty line that ends an answer on the socket is not part of it.
            self.assertEqual((done.returncode, done.stdout.rstrip("\n")), (0, self.daemon.ask(command).rstrip("\n")))
        self.assertTrue(self.control("show", "info").stdout.startswith("Name: stickmesh\n"))
        self.assertTrue(self.control("show info").stdout.startswith("Name: stickmesh\n"), "one quoted argument")

    def test_failures_have_an_exit_code(self) -> None:
        self.assertNotEqual(self.control("frobnicate").returncode, 0)
        self.daemon.stop()
        done = self.control("show", "info")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(self.daemon.socket_path), done.stderr)
