"""TLS between the agent and its peers: whoever has the certificate comes in, everybody else is told what to change."""
from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Any

from support import haproxy, http_client, peer, wait
from support.agent import Agent, AgentConfig, PeerConfig, check_config
from support.authority import Authority
from support.case import MeshTest
from support.ports import free_port


class TlsTest(MeshTest):
    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(self.directory)
        self.stranger = Authority(self.directory, "stranger")

    def section(self, certificate: Path, authority: Authority | None = None, verify: str = "required") -> str:
        """[peers.tls] of an agent."""
        return (f'\n[peers.tls]\ncert = "{certificate}"\nca = "{(authority or self.authority).certificate}"\n'
                f'verify = "{verify}"\n')

    def config(self, **options: Any) -> AgentConfig:
        """An agent with TLS, which takes nobody for the address."""
        certificate = options.pop("certificate", None) or self.authority.issue("agent-1")
        options.setdefault("allow_from", "[]")
        return AgentConfig(extra=self.section(certificate), **options)

    def tls(self, certificate: Path, agent_name: str = "agent-1") -> dict[str, str]:
        """The options of a `Layout` with TLS in both directions."""
        files = f"ssl crt {certificate} ca-file {self.authority.certificate} verify required"
        options = {"default_server": files, "bind_options": files, "server_options": f"verifyhost {agent_name}"}
        if haproxy.version() < (2, 5):
            # 2.4.0 does not show the certificate of `default-server`.
            options["server_options"] += f" {files}"
        return options

    def accepting(self, **options: Any) -> tuple[Agent, int]:
        """An agent that lb1 dials."""
        port = free_port()
        return self.start_agent(self.config(peers=[PeerConfig("lb1")], **options), port), port

    def dialling(self, peers_port: int, **options: Any) -> Agent:
        """An agent that dials lb1, and that nobody can dial."""
        return self.start_agent(self.config(peers=[PeerConfig("lb1", peers_port)], **options))

    def told(self, daemon: Agent, reason: str, *words: str) -> None:
        """The reason is counted, and log, `show errors` and the note of lb1 all say |words|."""
        wait.until(lambda: daemon.errors().get(reason, 0), what=f"{reason} is counted")
        for what, text in (("the log", daemon.log()), ("show errors", daemon.ask("show errors")),
                           ("show peers", daemon.ask("show peers"))):
            self.assertTrue(any(all(word in line for word in (reason, *words)) for line in text.splitlines()),
                            f"no line of {what} has all of {reason}, {words}:\n{text[-3000:]}")
        self.assertNotIn(daemon.peers()["lb1"]["state"], ("synchronised", "learning"))

    def send(self, name: str, key: str, times: int) -> None:
        self.assertEqual(http_client.send(self.layouts[name].http_port, key, times), [200] * times)


class SessionTest(TlsTest):
    def check_mesh(self, dial: str) -> Agent:
        options = {name: {"status": True, **self.tls(self.authority.issue(name))} for name in ("lb1", "lb2")}
        daemon = self.mesh_of(options, dial=dial, agent={
            "allow_from": "[]", "extra": self.section(self.authority.issue("agent-1"))})
        self.send("lb1", "joe", 3)
        self.send("lb2", "joe", 4)
        self.wait_total("joe", "http_req_cnt", 7)
        return daemon

    def test_haproxy_dials(self) -> None:
        self.check_mesh("haproxy")

    def test_the_agent_dials(self) -> None:
        self.check_mesh("agent")

    def test_both_dial(self) -> None:
        daemon = self.check_mesh("both")
        for name in self.instances:
            self.wait_peer(daemon, name)

    def test_marks_stay_current_while_nobody_counts(self) -> None:
        self.check_mesh("haproxy")

        def ahead() -> float:
            now = time.time()
            row = self.instances["lb1"].table("mesh/stickmesh").get("http.total", {})
            return int(row.get("gpt0", 0)) - now
        wait.until(ahead, lambda seconds: seconds > 0.2, what="a mark has come")
        lapses = 0

        def current() -> bool:
            nonlocal lapses
            if ahead() > -0.5:
                return True
            # Once or twice a busy machine may stand still; a running agent renews it twice a second.
            lapses += 1
            wait.until(ahead, lambda seconds: seconds > 0, what="the mark is renewed")
            return lapses <= 2
        wait.holds(current, seconds=6, what="the mark is current")

    def test_large_tables_and_a_reload(self) -> None:
        self.check_mesh("haproxy")
        count = 20_000
        self.instances["lb1"].fill("mesh/http", ((f"u{n}", {"http_req_cnt": n + 1}) for n in range(count)))
        for name in ("lb1", "lb2"):
            wait.until(lambda: self.instances[name].used("mesh/http.total"), lambda used: used == count + 1,
                       what=f"{name} has all totals")
        self.instances["lb1"].reload()
        wait.until(lambda: self.instances["lb1"].used("mesh/http"), lambda used: used == count + 1,
                   what="the old process has taught the new one over TLS")
        self.send("lb1", "joe", 1)
        self.wait_total("joe", "http_req_cnt", 8)

    def test_unix_sockets_have_none(self) -> None:
        """Their file says who may connect."""
        path = self.directory / "peers.sock"
        config = self.config(peers=[PeerConfig("lb1")])
        text = config.toml(self.directory, 1).replace('listen = ["127.0.0.1:1"]', f'listen = ["{path}"]')
        daemon = Agent(self.directory, config)
        daemon.write_config = lambda: daemon.config_path.write_text(text)  # type: ignore[method-assign]
        self.addCleanup(self._end_agent, daemon)
        daemon.start()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            connection.sendall(b"HAProxyS 2.1\nagent-1\nlb1 1 1\n")
            self.assertEqual(connection.recv(4), b"200\n")

    def test_without_verification_addresses_count(self) -> None:
        """The agent asks for no certificate, and shows one that HAProxy does not look at."""
        port = free_port()
        section = self.section(self.stranger.issue("whoever"), verify="none")
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")], extra=section, allow_from="[]"), port)
        self.add_instance("lb1", port, server_options="ssl verify none")
        self.told(daemon, "forbidden-address", "lb1")
        daemon.stop()
        daemon.config.allow_from = '["127.0.0.0/8"]'
        daemon.start()
        self.wait_sessions("lb1")
        self.send("lb1", "joe", 3)
        self.wait_total("joe", "http_req_cnt", 3)

    def test_a_renewed_certificate_is_taken_at_a_restart(self) -> None:
        certificate = self.authority.issue("agent-1", days=-1)
        daemon, port = self.accepting(certificate=certificate)
        self.assertIn("has expired", daemon.log())
        self.add_instance("lb1", port, **self.tls(self.authority.issue("lb1")))
        self.told(daemon, "certificate-refused", "expired")
        self.assertEqual(self.authority.issue("agent-1"), certificate)
        daemon.stop()
        daemon.start()
        self.wait_sessions("lb1")


    def test_a_soft_restart_takes_the_renewed_files(self) -> None:
        """Nothing is lost; a file that cannot be used leaves the old process in charge."""
        daemon = self.check_mesh("both")
        certificate = self.authority.issue("agent-1", "renewed", file="agent-1")
        self.assertIn("in charge", daemon.reload())
        self.send("lb1", "joe", 3)
        self.wait_total("joe", "http_req_cnt", 10)
        with socket.create_connection(("127.0.0.1", daemon.port), 5.0) as connection:
            context = ssl.create_default_context(cafile=str(self.authority.certificate))
            with context.wrap_socket(connection, server_hostname="renewed"):
                pass
        certificate.write_text("no PEM\n")
        self.assertIn("peers.tls.cert", daemon.ask("reload"))
        self.send("lb1", "joe", 1)
        self.wait_total("joe", "http_req_cnt", 11)


class AgentsTest(TlsTest):
    def start_agents(self, *certificates: Path) -> list[Agent]:
        ports = [free_port(), free_port()]
        names = ["agent-a", "agent-b"]
        agents = []
        for index, certificate in enumerate(certificates):
            directory = self.directory / names[index]
            directory.mkdir()
            peers = [PeerConfig("lb1"), PeerConfig(names[1 - index], ports[1 - index], kind="agent")]
            config = AgentConfig(peers=peers, name=names[index], allow_from="[]", extra=self.section(certificate))
            agents.append(self.start_agent(config, ports[index], directory))
        return agents

    def test_agents_replicate(self) -> None:
        agents = self.start_agents(self.authority.issue("agent-a"), self.authority.issue("agent-b"))
        for daemon, other in zip(agents, ("agent-b", "agent-a")):
            self.wait_peer(daemon, other)
        options = self.tls(self.authority.issue("lb1"), "agent-a")
        self.add_instance("lb1", agents[0].port, agent_name="agent-a", **options)
        self.wait_sessions("lb1")
        self.send("lb1", "joe", 3)
        wait.until(lambda: agents[1].value("http.total", "joe", "http_req_cnt"), lambda value: value == 3,
                   what="the other agent has the total")

    def test_an_agent_with_anothers_certificate_is_refused(self) -> None:
        agents = self.start_agents(self.authority.issue("agent-a"), self.authority.issue("agent-x"))
        self.assertIn("does not carry the name of this agent", agents[1].log())
        wait.until(lambda: agents[0].errors().get("wrong-certificate", 0), what="it is refused")
        self.assertIn("DNS:agent-b", agents[0].peers()["agent-b"]["note"])
        self.assertNotEqual(agents[0].peers()["agent-b"]["state"], "synchronised")


class RefusalTest(TlsTest):
    def test_a_caller_with_anothers_certificate(self) -> None:
        daemon, port = self.accepting()
        self.add_instance("lb1", port, **self.tls(self.authority.issue("lb2")))
        self.told(daemon, "wrong-certificate", "'lb2'", "DNS:lb1", "localpeer")

    def test_a_dialled_host_with_anothers_certificate(self) -> None:
        instance = self.add_instance("lb1", free_port(), **self.tls(self.authority.issue("lb2")))
        daemon = self.dialling(self.layouts["lb1"].peers_port)
        self.told(daemon, "wrong-certificate", "'lb2'", "DNS:lb1")
        self.assertNotEqual(instance.peer_state("agent-1"), "ESTA")

    def test_a_caller_of_an_unknown_authority(self) -> None:
        daemon, port = self.accepting()
        self.add_instance("lb1", port, **self.tls(self.stranger.issue("lb1")))
        self.told(daemon, "unknown-authority", "CN=stranger", "`ca`")

    def test_a_dialled_host_of_an_unknown_authority(self) -> None:
        self.add_instance("lb1", free_port(), **self.tls(self.stranger.issue("lb1")))
        self.told(self.dialling(self.layouts["lb1"].peers_port), "unknown-authority", "CN=stranger", "`ca`")

    def test_a_caller_with_an_expired_certificate(self) -> None:
        daemon, port = self.accepting()
        self.add_instance("lb1", port, **self.tls(self.authority.issue("lb1", days=-1)))
        self.told(daemon, "certificate-expired", "renew it")

    def test_a_dialled_host_with_an_expired_certificate(self) -> None:
        self.add_instance("lb1", free_port(), **self.tls(self.authority.issue("lb1", days=-1)))
        self.told(self.dialling(self.layouts["lb1"].peers_port), "certificate-expired", "renew it")

    def test_a_caller_without_a_certificate(self) -> None:
        daemon, port = self.accepting()
        self.add_instance("lb1", port,
                          server_options=f"ssl verify required ca-file {self.authority.certificate}")
        self.told(daemon, "bad-certificate", "`crt FILE`")

    def test_an_agent_whose_authority_the_instance_does_not_know(self) -> None:
        daemon, port = self.accepting(certificate=self.stranger.issue("agent-1"))
        self.add_instance("lb1", port, **self.tls(self.authority.issue("lb1")))
        self.told(daemon, "certificate-refused", "unknown ca", "`ca-file`")

    def test_a_caller_without_tls(self) -> None:
        daemon, port = self.accepting()
        self.add_instance("lb1", port)
        self.told(daemon, "no-tls", "`server` line")

    def test_a_dialled_host_without_tls(self) -> None:
        """HAProxy says that it is no hello, or waits for the end of a line in what it was sent."""
        self.add_instance("lb1", free_port())
        daemon = self.dialling(self.layouts["lb1"].peers_port)
        reason = wait.until(lambda: [reason for reason in ("no-tls", "handshake-timeout", "connection-lost")
                                     if daemon.errors().get(reason, 0)], what="a reason is counted")
        self.told(daemon, reason[0], "`bind` line")

    def test_a_caller_with_tls_where_there_is_none(self) -> None:
        port = free_port()
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1")]), port)
        self.add_instance("lb1", port, **self.tls(self.authority.issue("lb1")))
        self.told(daemon, "unexpected-tls", "take `ssl` out", "[peers.tls]")

    def test_a_dialled_host_with_tls_where_there_is_none(self) -> None:
        """HAProxy closes without a word."""
        self.add_instance("lb1", free_port(), **self.tls(self.authority.issue("lb1")))
        daemon = self.start_agent(AgentConfig(peers=[PeerConfig("lb1", self.layouts["lb1"].peers_port)]))
        reason = wait.until(lambda: [reason for reason in ("unexpected-tls", "connection-lost")
                                     if daemon.errors().get(reason, 0)], what="a reason is counted")
        self.told(daemon, reason[0], "`bind` line", "[peers.tls]")

    def test_refusals_leave_the_others_alone(self) -> None:
        """Nor do callers that begin a handshake and never end it keep their places."""
        daemon, port = self.accepting()
        self.add_instance("lb1", port, **self.tls(self.authority.issue("lb1")))
        self.wait_sessions("lb1")
        silent = [peer.connect(port, "127.0.0.1") for _ in range(100)]
        self.addCleanup(lambda: [connection.close() for connection in silent])
        for connection in silent:
            connection.sendall(b"\x16\x03\x01")
        for data in (b"HAProxyS 2.1\nagent-1\nlb1 1 1\n", b"\x16\x03\x01" + bytes(300), b"GET / HTTP/1.1\r\n\r\n"):
            peer.raw_exchange(port, data)
        wait.until(lambda: daemon.errors(), lambda errors: errors.get("handshake-timeout", 0) >= 100,
                   what="the silent ones are closed")
        self.assertEqual(daemon.peers()["lb1"]["sessions"], "1")
        self.send("lb1", "joe", 3)
        self.wait_total("joe", "http_req_cnt", 3)


class FilesTest(TlsTest):
    needs_haproxy = False

    def check(self, section: str) -> tuple[int, str]:
        return check_config(AgentConfig(peers=[PeerConfig("lb1")], extra=section).toml(self.directory, free_port()),
                            self.directory)

    def test_the_check_reads_the_files(self) -> None:
        good = self.authority.issue("agent-1")
        code, said = self.check(self.section(good))
        self.assertEqual((code, "peers.tls" in said), (0, False), said)
        for section, words in (
                (self.section(Path("/nowhere/agent.pem")), ["peers.tls.cert: /nowhere/agent.pem: No such file"]),
                (self.section(self.authority.certificate), ["peers.tls.cert:", "no usable private key"]),
                (self.section(good) + f'key = "{self.authority.issue("other")}"\n',
                 ["peers.tls.key:", "is not the key of the certificate"])):
            code, said = self.check(section)
            self.assertEqual(code, 1, said)
            for word in [f"{self.directory}/checked.toml:", *words]:
                self.assertIn(word, said)

    def test_an_agent_does_not_start_without_its_files(self) -> None:
        daemon = Agent(self.directory, AgentConfig(extra=self.section(Path("/nowhere/agent.pem"))))
        with self.assertRaises(AssertionError) as raised:
            daemon.start()
        self.assertIn("peers.tls.cert", str(raised.exception))

    def test_the_check_notes_what_others_will_refuse(self) -> None:
        code, said = self.check(self.section(self.authority.issue("agent-2")))
        self.assertEqual(code, 0, said)
        self.assertIn("subjectAltName = DNS:agent-1", said)
