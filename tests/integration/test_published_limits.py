"""`[[limit]]`: a number that is declared once, reaches every instance, and is changed everywhere at once."""
from __future__ import annotations

import shutil
import time

from support import http_client, spop, wait
from support.agent import Agent, AgentConfig, PeerConfig
from support.case import MeshTest
from support.fleet import SeveralAgentsTest
from support.ports import free_port
from support.spoe_layout import SpoeLayout

TABLE = "    table limits type string len 64 size 1k expire 2s store gpt0,gpc0"
LIMIT = '\n[[limit]]\nname = "api"\ntable = "http"\ntype = "http_req_cnt"\nabove = {above}\n'
RULES = """    http-request set-var(txn.until) str(http.total),table_gpt0(mesh/stickmesh)
    http-request set-var(txn.limit) str(api),table_gpt0(mesh/limits)
    acl known   var(txn.limit) -m int gt 0
    acl enforce str(api),table_gpc0(mesh/limits) eq 0
    acl current date,neg,add(txn.until) gt 0
    acl here    sc0_http_req_cnt,sub(txn.limit) gt 0
    acl total   sc0_http_req_cnt(mesh/http.total),sub(txn.limit) gt 0
    http-request deny deny_status 429 if known enforce here || known enforce current total
"""


def rows(text: str) -> dict[str, dict[str, str]]:
    """`show limits`, by name."""
    names, *lines = [line.lstrip("# ").split("\t") for line in text.splitlines()]
    return {line[0]: dict(zip(names, line)) for line in lines}


class OneAgentTest(MeshTest):
    def start(self, above: int = 20) -> Agent:
        self.daemon = self.mesh(["lb1", "lb2"], agent={"extra": LIMIT.format(above=above)}, extra_peers=TABLE,
                                status=True, frontend=RULES)
        for name in self.instances:
            self.wait_synchronised(self.daemon, name)
        return self.daemon

    def wait_row(self, above: int, shadow: int = 0) -> None:
        for name, instance in self.instances.items():
            wait.until(lambda: instance.table("mesh/limits").get("api"), what=f"the limit at {name}",
                       accept=lambda row: row is not None and (row["gpt0"], row["gpc0"]) == (above, shadow))

    def wait_refused(self, port: int) -> None:
        """The row lives 2 s: it runs out while the agent stands still."""
        wait.until(lambda: http_client.send(port, "joe", 1), lambda codes: codes == [429], what="it is refused")

    def test_instances_refuse_by_it_and_follow_its_changes(self) -> None:
        daemon = self.start()
        self.wait_row(20)
        ports = [layout.http_port for layout in self.layouts.values()]
        for port in ports:
            self.assertEqual(http_client.send(port, "joe", 10), [200] * 10)
        self.wait_total("joe", "http_req_cnt", 20)
        self.assertEqual(http_client.send(ports[0], "joe", 1), [200])
        self.wait_total("joe", "http_req_cnt", 21)
        self.wait_refused(ports[1])

        self.assertIn("api: above 100, enforce, at all agents and instances", daemon.ask("set limit api 100"))
        self.wait_row(100)
        self.assertEqual([http_client.send(port, "joe", 1) for port in ports], [[200], [200]])
        daemon.ask("set limit api shadow")
        self.wait_row(100, 1)
        daemon.ask("set limit api 1")
        self.wait_row(1, 1)
        self.assertEqual([http_client.send(port, "joe", 1) for port in ports], [[200], [200]], "only told")
        daemon.ask("set limit api enforce")
        self.wait_row(1)
        for port in ports:
            self.wait_refused(port)
        self.assertEqual(rows(daemon.ask("show limits"))["api"]["set_by"], "runtime")

    def test_a_change_outlives_the_agent_and_a_soft_restart(self) -> None:
        daemon = self.start()
        daemon.ask("set limit api 33")
        daemon.kill()
        for name, instance in self.instances.items():
            wait.until(lambda: instance.table("mesh/limits"), lambda table: table == {}, what=f"it runs out at {name}")
        port = self.layouts["lb1"].http_port
        self.assertEqual(http_client.send(port, "amy", 30), [200] * 30, "without it the rule does not hold")
        daemon.start()
        self.wait_row(33)
        daemon.config.extra = LIMIT.format(above=50)
        self.assertRegex(daemon.reload(), "^done: ")
        self.assertEqual({name: rows(daemon.ask("show limits"))["api"][name] for name in ("above", "configured_above")},
                         {"above": "33", "configured_above": "50"})
        self.wait_row(33)
        self.assertEqual(daemon.ask("set limit api config").strip(), "api: above 50, enforce, as configured")
        self.wait_row(50)

    def test_a_table_that_keeps_its_rows_is_named(self) -> None:
        daemon = self.mesh(["lb1"], agent={"extra": LIMIT.format(above=20)}, extra_peers=TABLE.replace("2s", "1h"))
        note = wait.until(lambda: daemon.peers()["lb1"]["note"], lambda note: "limits" in note, what="it is named")
        self.assertIn("declare it as `type string len 64 size 1k expire 2s store gpt0,gpc0,gpc1`", note)


class SeveralAgentsLimitTest(SeveralAgentsTest):
    def above(self, index: int) -> str:
        return rows(self.agents[index].ask("show limits"))["api"]["above"]

    def test_a_change_at_one_holds_at_all(self) -> None:
        self.start_agents(3, {"extra": LIMIT.format(above=20)})
        self.start_instances(extra_peers=TABLE)
        self.agents[1].ask("set limit api 44")
        for index, name in enumerate(self.instances):
            wait.until(lambda: self.above(index), lambda above: above == "44", what=f"agent {index} knows it")
            wait.until(lambda: self.instances[name].value("mesh/limits", "api", "gpt0"), lambda above: above == 44,
                       what=f"{name} has it")
        self.agents[2].kill()
        self.agents[0].ask("set limit api 55")
        shutil.rmtree(self.agents[2].directory / "state")
        (self.agents[2].directory / "state").mkdir()
        self.agents[2].start()
        wait.until(lambda: self.above(2), lambda above: above == "55", what="one that lost all learns it")

    def test_other_limits_in_the_config_are_named(self) -> None:
        self.start_agents(2, {"extra": LIMIT.format(above=20)})
        self.assertEqual(self.agents[0].errors().get("rules-mismatch", 0), 0)
        self.agents[1].stop()
        self.agents[1].config.extra = LIMIT.format(above=21)
        self.agents[1].start()
        self.wait_agents()
        for index, other in ((0, "agent-b"), (1, "agent-a")):
            wait.until(lambda: self.agents[index].peers()[other]["note"], what="it is named",
                       accept=lambda note: "its [[limit]]s are not those of this agent" in note)


class VerdictTest(MeshTest):
    def test_haproxy_refuses_by_the_verdict(self) -> None:
        spoe_port = free_port()
        table = ('\n[[table]]\nname = "http"\ndefine = "type string len 64 size 100k expire 10m store '
                 'http_req_cnt,http_req_rate(10s)"\n')
        daemon = self.start_agent(AgentConfig(spoe=[f"127.0.0.1:{spoe_port}"], extra=table + LIMIT.format(above=5)))
        rules = ('    http-request return status 429 hdr retry-after "%[var(txn.stickmesh.retry_after)]"'
                 ' hdr x-reason "%[var(txn.stickmesh.reason)]" if { var(txn.stickmesh.verdict) -m str deny }\n')
        layout = SpoeLayout({"track": "table=str(http) key=req.hdr(x-client) http_req_cnt=int(1)"}, [spoe_port],
                            ["verdict", "reason", "retry_after", "http_req_cnt"], rules=rules, check="", backend="")
        self.start_haproxy("lb1", layout.config(self.directory, "lb1"))
        client = spop.Client(spoe_port)
        self.addCleanup(client.close)

        def counted() -> object:
            http_client.send(layout.http_port, "probe", 1)
            return daemon.value("http", "probe", "http_req_cnt")
        wait.until(counted, what="events are counted")
        began = time.monotonic()
        self.assertEqual(http_client.send(layout.http_port, "joe", 7), [200] * 5 + [429] * 2)
        self.assertEqual(http_client.send(layout.http_port, "amy", 1), [200])
        answer = client.event(spop.message("lookup", table="http", key="joe"))
        self.assertEqual((answer["verdict"], answer["reason"]), ("deny", "api"))
        self.assertLessEqual(answer["retry_after"], 600)
        self.assertGreaterEqual(answer["retry_after"], 600 - (time.monotonic() - began))
        daemon.ask("set limit api shadow")
        self.assertEqual(http_client.send(layout.http_port, "joe", 1), [200])
        answer = client.event(spop.message("lookup", table="http", key="joe"))
        self.assertEqual((answer["verdict"], answer["reason"]), ("allow", "api"))
        self.assertEqual(daemon.errors(), {})
