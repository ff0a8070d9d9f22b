"""Hosts made of network namespaces, joined by one link that can be cut as a cable is: nobody hears of it."""
from __future__ import annotations

import os
import subprocess

_NETWORK = "10.213.77"
PORT = 10300  # each host has all its ports for itself


def missing() -> str | None:
    """Why there can be no hosts here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        Hosts(1).close()
    except (OSError, subprocess.CalledProcessError) as error:
        detail = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        return f"no network namespace can be made here: {detail}"
    return None


class Hosts:
    """|count| hosts at one switch, which is a host as well, without programs."""

    def __init__(self, count: int) -> None:
        self._name = f"sm{os.getpid()}"
        self._made: list[str] = []
        try:
            self._add(self._switch)
            self._ip(self._switch, "link", "add", "switch", "type", "bridge")
            self._ip(self._switch, "link", "set", "switch", "up")
            for index in range(count):
                self._join(index)
        except BaseException:
            self.close()
            raise

    @property
    def _switch(self) -> str:
        return f"{self._name}s"

    def _host(self, index: int) -> str:
        return f"{self._name}h{index}"

    def _add(self, name: str) -> None:
        _run("netns", "add", name)
        self._made.append(name)
        self._ip(name, "link", "set", "lo", "up")

    @staticmethod
    def _ip(name: str, *words: str) -> None:
        _run("-n", name, *words)

    def _join(self, index: int) -> None:
        host = self._host(index)
        self._add(host)
        self._ip(host, "link", "add", "eth0", "type", "veth", "peer", "name", f"port{index}", "netns", self._switch)
        self._ip(self._switch, "link", "set", f"port{index}", "master", "switch", "up")
        self._ip(host, "address", "add", f"{self.address(index)}/24", "dev", "eth0")
        self._ip(host, "link", "set", "eth0", "up")

    @staticmethod
    def address(index: int) -> str:
        return f"{_NETWORK}.{index + 1}"

    def prefix(self, index: int) -> list[str]:
        """Of a command that is to run on that host; it becomes that command."""
        return ["nsenter", f"--net=/run/netns/{self._host(index)}"]

    def cut(self, index: int) -> None:
        self._ip(self._switch, "link", "set", f"port{index}", "down")

    def restore(self, index: int) -> None:
        self._ip(self._switch, "link", "set", f"port{index}", "up")

    def close(self) -> None:
        while self._made:
            subprocess.run(["ip", "netns", "delete", self._made.pop()], check=False, capture_output=True)


def _run(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
