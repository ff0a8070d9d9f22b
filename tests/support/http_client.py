"""Requests with a chosen identity: by header, or by source address within 127.0.0.0/8."""
from __future__ import annotations

import http.client
import socket


def send(port: int, client: str | None = None, count: int = 1, *, source: str | None = None,
         headers: dict[str, str] | None = None, path: str = "/") -> list[int]:
    """Sends |count| requests over one connection and returns their status codes. |client| goes into the x-client
    header, |source| is the address that they come from."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0,
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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    try:
        connection.request("GET", path, headers={"x-client": client})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def hold(port: int, count: int, source: str = "127.0.0.1") -> list[socket.socket]:
    """Opens |count| connections and leaves them idle: what conn_cur counts."""
    return [socket.create_connection(("127.0.0.1", port), 5.0, (source, 0)) for _ in range(count)]
