"""The open connections: how many there may be, and how long each may hold its thread.

A connection's thread blocks on its socket without a time limit. It notes until when it may wait
instead, one deadline for the whole of a request's head or of an answer, so that neither dripping
nor flooding prolongs anything. To end a connection is to shut its socket down, which wakes the
thread.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take of the server, in seconds."""

    max_connections: int = 512
    idle_timeout: float = 150.0  # longer than scrapes are usually apart: Prometheus keeps its own
    read_timeout: float = 10.0  # for a TLS handshake; for a request's head from its first byte on
    write_timeout: float = 30.0  # for a client to take an answer


class Connection:
    """A client's connection, as far as other threads may know it."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        # Since when and until when its thread waits for the client, in monotonic seconds, and
        # whether for an answer to be taken; None while it is the client that waits.
        self.waiting: tuple[float, float, bool] | None = None

    def wait(self, seconds: float, *, taking: bool = False) -> None:
        """Note that the thread waits for the client from now on, so long at most."""
        now = time.monotonic()
        self.waiting = (now, now + seconds, taking)  # replaced whole: other threads read it

    def end(self, how: int = socket.SHUT_RDWR) -> None:
        """End one or both directions."""
        with contextlib.suppress(OSError):  # it may have ended by itself
            # The plain socket's own, also with TLS, whose state is its thread's alone.
            socket.socket.shutdown(self._client, how)


class Connections:
    """All open connections. Safe to use from many threads."""

    def __init__(self, limits: Limits) -> None:
        self.stopping = False
        self._limits = limits
        self._changed = threading.Condition()
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Take a new connection, in place of another if need be; tell whether there was room."""
        with self._changed:
            is_full = len(self._open) >= self._limits.max_connections
            has_room = not self.stopping and (not is_full or self.make_room())
            if has_room:
                self._open.add(connection)
            return has_room

    def forget(self, connection: Connection) -> None:
        """Stop counting a connection."""
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def make_room(self) -> bool:
        """End the connection that has kept the server waiting longest; tell if there was one.

        One that is taking its answer counts as if it had begun half of ``write_timeout`` later, so
        that a crowd of idle clients cuts off no answer, and slow readers do not hold every place.
        One whose answer is being made never ends.
        """
        favour = self._limits.write_timeout / 2
        with self._changed:
            waiting = {one: one.waiting for one in self._open}
            since = {one: at[0] + favour * at[2] for one, at in waiting.items() if at}
            if not since:
                return False
            longest = min(since, key=since.__getitem__)
            self._open.discard(longest)
        longest.end()
        return True

    def end_overdue(self) -> None:
        """End the connections whose deadline has passed."""
        now = time.monotonic()
        with self._changed:
            for connection in self._open:
                waiting = connection.waiting
                if waiting and waiting[1] <= now:
                    connection.end()

    def end_all(self, timeout: float) -> None:
        """End what waits for a request at once, and the rest after some seconds."""
        with self._changed:
            self.stopping = True
            for connection in self._open:
                # An answer under way is not disturbed by the end of what is received.
                connection.end(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, timeout)
            for connection in self._open:
                connection.end()
