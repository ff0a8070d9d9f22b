"""A TCP relay in this process, put between two programs to do to their connection what a network does: cut it (also
after an exact number of bytes), freeze it, slow it down. It can record what passes."""
from __future__ import annotations

import select
import socket
import struct
import threading
import time
from pathlib import Path

from support.ports import free_port

UP, DOWN = "up", "down"  # from the side that dialled, and towards it
_CHUNK = 16384
_TICK = 0.02


class Relay:
    """Listens on `port` and forwards each connection to |target|."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.connections = 0
        self.bytes = {UP: 0, DOWN: 0}
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()
        self._switching = threading.RLock()  # one cut or restore at a time; a pair may be the one that cuts
        self._frozen = {UP: False, DOWN: False}
        self._rate: float | None = None
        self._cut_at: dict[str, int] = {}
        self._record: Path | None = None
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread
        self._closed = False
        self.restore()

    def record(self, prefix: Path) -> None:
        """From now on, each connection's two directions go to files PREFIX-<n>-up and PREFIX-<n>-down."""
        self._record = prefix

    def cut(self) -> None:
        """Resets the connections and refuses new ones, as a host that went away and whose address still answers."""
        with self._switching:
            with self._lock:
                listener, self._listener = self._listener, None
                self._cut_at.clear()
            if listener is not None:
                listener.close()
                self._acceptor.join()  # the port is only free, and the list of pairs complete, when it has returned
            with self._lock:
                pairs, self._pairs = self._pairs, []
            for pair in pairs:
                pair.reset()

    def cut_after(self, direction: str, count: int) -> int:
        """Cuts when |count| more bytes have passed, not one more: in the middle of a message, most likely. Returns the
        number of bytes that will then have passed in all."""
        with self._lock:
            self._cut_at[direction] = self.bytes[direction] + count
            return self._cut_at[direction]

    def is_cut(self) -> bool:
        return self._listener is None

    def restore(self) -> None:
        """Takes connections again, on the same port."""
        with self._switching:
            if self._listener is not None or self._closed:
                return
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(16)
            listener.settimeout(_TICK)
            self._listener = listener
            self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            self._acceptor.start()

    def drop(self) -> None:
        """Resets the connections but goes on taking new ones: a blink."""
        self.cut()
        self.restore()

    def freeze(self, *directions: str) -> None:
        """Keeps the connections open and forwards nothing: a silently broken path."""
        for direction in directions or (UP, DOWN):
            self._frozen[direction] = True

    def thaw(self) -> None:
        self._frozen = {UP: False, DOWN: False}

    def hold(self, *directions: str) -> None:
        """Freezes the connections that there are; new ones pass, and overtake them."""
        with self._lock:
            for pair in self._pairs:
                pair.held.update(directions or (UP, DOWN))

    def release(self) -> None:
        """What was held passes, late."""
        with self._lock:
            for pair in self._pairs:
                pair.held.clear()

    def throttle(self, bytes_per_second: float | None) -> None:
        self._rate = bytes_per_second

    def close(self) -> None:
        self._closed = True
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 2.0)
            except OSError:
                client.close()
                continue
            self._join(client, server)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            pair = _Pair(self, client, server, self.connections, self._record)
            self.connections += 1
            self._pairs.append(pair)
        pair.start()

    def _allowed(self, direction: str, size: int) -> int:
        """How many of |size| bytes may pass now; counts them."""
        with self._lock:
            limit = self._cut_at.get(direction)
            allowed = size if limit is None else max(0, min(size, limit - self.bytes[direction]))
            self.bytes[direction] += allowed
            return allowed


class _Pair:
    """One relayed connection: two threads, one a direction."""

    def __init__(self, relay: Relay, client: socket.socket, server: socket.socket, number: int,
                 record: Path | None) -> None:
        self._relay = relay
        self._client, self._server = client, server
        self._over = False
        self._reset = False
        self._left = 2
        self.held: set[str] = set()
        self._lock = threading.Lock()
        self._files = {}
        if record is not None:
            for direction in (UP, DOWN):
                self._files[direction] = open(f"{record}-{number}-{direction}", "wb")

    def start(self) -> None:
        threading.Thread(target=self._run, args=(UP, self._client, self._server), daemon=True).start()
        threading.Thread(target=self._run, args=(DOWN, self._server, self._client), daemon=True).start()

    def reset(self) -> None:
        self._reset = True
        self._over = True

    def _run(self, direction: str, source: socket.socket, sink: socket.socket) -> None:
        try:
            while not self._over:
                if self._relay._frozen[direction] or direction in self.held:
                    time.sleep(_TICK)
                elif select.select([source], [], [], _TICK)[0] and not self._forward(direction, source, sink):
                    break
        except OSError:
            pass
        self._over = True
        self._finish()

    def _forward(self, direction: str, source: socket.socket, sink: socket.socket) -> bool:
        rate = self._relay._rate
        chunk = source.recv(_CHUNK if rate is None else max(1, int(rate * _TICK)))
        if not chunk:
            return False
        if rate is not None:
            time.sleep(len(chunk) / rate)
        allowed = self._relay._allowed(direction, len(chunk))
        if direction in self._files:
            self._files[direction].write(chunk[:allowed])
            self._files[direction].flush()
        self._write(sink, chunk[:allowed])
        if allowed < len(chunk):
            self._relay.cut()
            return False
        return True

    def _write(self, sink: socket.socket, data: bytes) -> None:
        """Like sendall, but gives up when the pair is over: a reader that has stopped must not hold this thread."""
        view = memoryview(data)
        while view and not self._over:
            if select.select([], [sink], [], _TICK)[1]:
                view = view[sink.send(view, socket.MSG_DONTWAIT):]

    def _finish(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left != 0:
                return
        for end in (self._client, self._server):
            if self._reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        for file in self._files.values():
            file.close()
