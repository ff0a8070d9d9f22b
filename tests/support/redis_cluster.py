"""A Redis Cluster of real servers, formed by hand: each node has its part of the slots."""
from __future__ import annotations

from pathlib import Path
from typing import Iterable

from support import redis, wait
from support.ports import free_port

SLOTS = 16384


class Node(redis.Redis):
    def __init__(self, directory: Path, name: str, options: Iterable[str] = ()) -> None:
        self.bus = free_port()
        self.met_at = 0  # with TLS between the nodes, too
        super().__init__(directory, name, [
            "--cluster-enabled", "yes", "--cluster-port", str(self.bus), "--cluster-node-timeout", "5000",
            "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0", *options])

    @property
    def id(self) -> str:
        return self.ask("CLUSTER", "MYID")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def hash(self, key: str) -> dict[str, str]:
        """Also of a key that has come before its slot has."""
        with self._connect() as connection:
            stream = connection.makefile("rb")
            connection.sendall(redis.command("ASKING") + redis.command("HGETALL", key))
            redis.read(stream)
            fields = redis.read(stream)
        return dict(zip(fields[::2], fields[1::2])) if isinstance(fields, list) else {}

    def cluster(self, name: str) -> str:
        lines = dict(line.split(":") for line in self.ask("CLUSTER", "INFO").split())
        return lines[name]


class Cluster:
    def __init__(self, directory: Path, masters: int = 3, options: Iterable[str] = ()) -> None:
        self.nodes = [Node(directory, f"node-{number}", options) for number in range(masters)]

    def start(self, dealt: bool = False) -> "Cluster":
        """Each node has the slots of a range, or is |dealt| one after the other in turn."""
        for number, node in enumerate(self.nodes):
            node.start()
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            first, end = (SLOTS * at // len(self.nodes) for at in (number, number + 1))
            if dealt:
                node.ask("CLUSTER", "ADDSLOTS", *range(number, SLOTS, len(self.nodes)))
            else:
                node.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for node in self.nodes[1:]:
            self.meet(node)
        wait.until(lambda: [(node.cluster("cluster_state"), node.cluster("cluster_size")) for node in self.nodes],
                   lambda told: told == [("ok", str(len(self.nodes)))] * len(self.nodes), what="the cluster is whole")
        return self

    def meet(self, node: Node) -> None:
        self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.met_at or node.port, node.bus)

    def replica(self, node: Node, of: Node) -> None:
        """A started one."""
        self.meet(node)
        wait.until(lambda: node.ask("CLUSTER", "REPLICATE", of.id), lambda done: done == "OK", what="it knows the master")
        wait.until(lambda: node.info("master_link_status"), lambda state: state == "up", what="it has all")
        wait.until(lambda: [len(other.ask("CLUSTER", "NODES").splitlines()) for other in self.nodes],
                   lambda counts: counts == [len(self.nodes) + 1] * len(self.nodes), what="all know it")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def owner(self, slot: int) -> Node:
        for first, last, master, *_ in self.nodes[0].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == master[1])
        raise LookupError(f"nobody has slot {slot}")

    def slot(self, key: str) -> int:
        return self.nodes[0].ask("CLUSTER", "KEYSLOT", key)

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        assert target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id) == "OK"
        assert source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id) == "OK"

    def move_keys(self, slot: int, source: Node, target: Node) -> None:
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            moved = source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            assert not isinstance(moved, redis.Error), moved

    def end_move(self, slot: int, target: Node) -> None:
        for node in [target, *(node for node in self.nodes if node is not target)]:
            assert node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id) == "OK"
