"""The base of the tests of what bad peers do: those who live through it beside them, and must not notice."""
from __future__ import annotations

from support.agent import AgentConfig, PeerConfig
from support.case import MeshTest, http_table
from support.ports import free_port


class WitnessTest(MeshTest):
    """One agent, one real instance `lb1` and one scripted `lb2`, which both count joe; and the name `evil`, under which
    a test does what it is about."""
    agent_section = ""
    peers_section = ""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        peers = [PeerConfig(name) for name in ("lb1", "lb2", "evil")]
        config = AgentConfig(peers=peers, agent_section=self.agent_section, peers_section=self.peers_section)
        self.daemon = self.start_agent(config, self.port)
        self.add_instance("lb1", self.port)
        self.wait_sessions("lb1")
        self.source = http_table()
        self.good = self.dial(self.port, "agent-1", "lb2", [self.source])
        self.good.push(self.source, "joe", http_req_cnt=5)
        self.instances["lb1"].set("mesh/http", "joe", http_req_cnt=7)
        self.pushed, self.counted = 5, 12
        self.wait_total("joe", "http_req_cnt", self.counted)
        self.connections = self.instances["lb1"].peers()["agent-1"]["new_conn"]

    def unharmed(self) -> None:
        """Both live sessions are the ones of the start, and what they push still arrives."""
        self.assertFalse(self.good.closed, "the scripted instance lost its session")
        state = self.instances["lb1"].peers()["agent-1"]
        self.assertEqual((state["last_status"], state["new_conn"]), ("ESTA", self.connections))
        self.count_one_more()
        self.assertEqual(self.daemon.value("http.total", "joe", "http_req_cnt"), self.counted)

    def count_one_more(self) -> None:
        """lb2 counts one more, and lb1 hears of it while whatever else goes on."""
        self.pushed += 1
        self.counted += 1
        self.good.push(self.source, "joe", http_req_cnt=self.pushed)
        self.wait_total("joe", "http_req_cnt", self.counted)
