"""The servers behind HAProxy, and who asks for them."""
from __future__ import annotations

import contextlib
import http.client
import http.server
import threading


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(401 if self.headers["x-fail"] else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Server(http.server.ThreadingHTTPServer):
    """Runs until the test ends."""

    def __init__(self, host: str) -> None:
        super().__init__((host, 80), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """HAProxy drops connections when it is stopped."""


def get(port: int, path: str = "/", **headers: str) -> int:
    """The status of the answer to one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse().status


class Client(threading.Thread):
    """Asks again and again until it is finished, and keeps every answer."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._finished = threading.Event()
        self.answers: list[int | str] = []
        self.start()

    def run(self) -> None:
        while not self._finished.wait(0.01):
            try:
                self.answers.append(get(self._port))
            except OSError as error:
                self.answers.append(str(error))

    def finish(self) -> list[int | str]:
        self._finished.set()
        self.join(40)
        return self.answers
