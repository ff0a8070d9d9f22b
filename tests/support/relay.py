"""A TCP relay in this process, put between two programs to do to their connection what a network does: cut it (also
after an exact number of bytes), freeze it, slow it down, delay it, leave it half open. It can record what passes."""
from __future__ import annotations

import collections
import select
import socket
import struct
import threading
import time
from pathlib import Path

from support import wait
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
        self._delay = {UP: 0.0, DOWN: 0.0}
        self._hold_next: set[str] = set()
        self._half_open: list[_Pair] = []
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
                if pair not in self._half_open or self._closed:
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
        """Keeps the connections open and forwards nothing of what is sent from now on: a silently broken path."""
        with self._lock:
            self._frozen |= dict.fromkeys(directions or (UP, DOWN), True)

    def thaw(self) -> None:
        with self._lock:
            self._frozen = {UP: False, DOWN: False}

    def throttle(self, bytes_per_second: float | None) -> None:
        self._rate = bytes_per_second

    def delay(self, direction: str, seconds: float) -> None:
        """What comes from now on arrives that much later."""
        self._delay[direction] = seconds

    def hold(self, *directions: str) -> None:
        """Leaves the present connections half open: what comes in these directions is taken and kept, neither side
        hears of the other's end, and no cut ends them. New ones pass, and overtake them."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._leave_half_open(pair, set(directions or (UP, DOWN)))

    def hold_next(self, *directions: str) -> None:
        """The same for the next connection, from its first byte."""
        self._hold_next = set(directions or (UP, DOWN))

    def held(self) -> int:
        """Bytes kept for half-open connections."""
        return sum(pair.held() for pair in self._half_open if not pair.is_over())

    def release(self) -> None:
        """What was kept goes on to where it was sent, and then ends are told as well."""
        for pair in self._half_open:
            pair.keeps = set()
        wait.until(self.held, lambda count: count == 0, what="all is delivered")

    def _leave_half_open(self, pair: _Pair, directions: set[str]) -> None:
        pair.keeps = directions
        self._half_open.append(pair)

    def close(self) -> None:
        self._closed = True
        self.cut()
        for pair in self._half_open:
            pair.reset()

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
            if directions := self._hold_next:
                self._hold_next = set()
                self._leave_half_open(pair, directions)
        pair.start()

    def _allowed(self, direction: str, size: int) -> int | None:
        """How many of |size| bytes may pass, which it counts; None as long as nothing may."""
        with self._lock:
            if self._frozen[direction]:
                return None
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
        self.keeps: set[str] = set()  # directions in which nothing passes
        self._queues = {direction: collections.deque[tuple[float, bytes]]() for direction in (UP, DOWN)}  # by when due
        self._over = False
        self._reset = False
        self._left = 2
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

    def is_over(self) -> bool:
        return self._over

    def held(self) -> int:
        return sum(len(data) for queue in self._queues.values() for _, data in list(queue))

    def _run(self, direction: str, source: socket.socket, sink: socket.socket) -> None:
        queue = self._queues[direction]
        ended = False
        try:
            while not self._over:
                if self._relay._frozen[direction]:
                    time.sleep(_TICK)
                    continue
                if ended:
                    time.sleep(_TICK)
                elif select.select([source], [], [], _TICK)[0]:
                    chunk = self._take(source)
                    queue.append((time.monotonic() + self._relay._delay[direction], chunk))
                    ended = not chunk
                if not self._pass_on(direction, sink):
                    break
        except OSError:
            pass
        self._over = True
        self._finish()

    def _take(self, source: socket.socket) -> bytes:
        """What has come; nothing is the end."""
        rate = self._relay._rate
        try:
            chunk = source.recv(_CHUNK if rate is None else max(1, int(rate * _TICK)))
        except OSError:
            return b""
        if rate is not None:
            time.sleep(len(chunk) / rate)
        return chunk

    def _pass_on(self, direction: str, sink: socket.socket) -> bool:
        """What is due; false when that was the end."""
        queue = self._queues[direction]
        while queue and queue[0][0] <= time.monotonic() and direction not in self.keeps:
            if not queue[0][1] and self.keeps:
                return True  # the other direction is kept, so nobody hears of this end
            chunk = queue[0][1]
            allowed = self._relay._allowed(direction, len(chunk))
            if allowed is None:
                return True
            queue.popleft()
            try:
                if not chunk or not self._forward(direction, sink, chunk, allowed):
                    return False
            except OSError:
                if not self.keeps:
                    raise
        return True

    def _forward(self, direction: str, sink: socket.socket, chunk: bytes, allowed: int) -> bool:
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
