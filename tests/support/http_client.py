"""Requests with a chosen identity: by header, or by source address within 127.0.0.0/8."""
from __future__ import annotations

import http.client
import socket


def send(port: int, client: str | None = None, count: int = 1, *, source: str | None = None,
         headers: dict[str, str] | None = None, path: str = "/") -> list[int]:
    """Sends |count| requests over one connection and returns their status codes. |client| goes into the x-client
    header, |source| is the address that they come from."""
    connection = http.client.HTTPConnection(_loopback(source), port, timeout=30.0,
                                            source_address=(source, 0) if source else None)
    all_headers = dict(headers or {})
    if client is not None:
        all_headers["x-client"] = client
    statuses = []
    try:
        for _ in range(count):
            connection.request("GET", path, headers=all_headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
    finally:
        connection.close()
    return statuses


def body(port: int, client: str, path: str = "/") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
    try:
        connection.request("GET", path, headers={"x-client": client})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class Proxied(http.client.HTTPConnection):
    """A connection that says by the PROXY protocol which address it comes from: any address, IPv6 as well."""
    def __init__(self, port: int, source: str) -> None:
        super().__init__("127.0.0.1", port, timeout=30.0)
        self._source = source

    def connect(self) -> None:
        super().connect()
        family, to = ("TCP6", "::1") if ":" in self._source else ("TCP4", "127.0.0.1")
        self.sock.sendall(f"PROXY {family} {self._source} {to} 40000 80\r\n".encode())


def send_from(port: int, source: str, count: int = 1, *, headers: dict[str, str] | None = None, path: str = "/",
              form: str | None = None) -> list[http.client.HTTPResponse]:
    """As `send`, to a listener that takes the PROXY protocol; |form| is POSTed. The answers are read to their end."""
    connection = Proxied(port, source)
    answers = []
    try:
        for _ in range(count):
            connection.request("GET" if form is None else "POST", path, body=form, headers=headers or {})
            answers.append(connection.getresponse())
            answers[-1].read()
    finally:
        connection.close()
    return answers


def hold(port: int, count: int, source: str = "127.0.0.1") -> list[socket.socket]:
    """Opens |count| connections and leaves them idle: what conn_cur counts."""
    return [socket.create_connection((_loopback(source), port), 5.0, (source, 0)) for _ in range(count)]


def _loopback(source: str | None) -> str:
    return "::1" if source and ":" in source else "127.0.0.1"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
