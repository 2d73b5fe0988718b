"""The open connections: how many there may be, and how long each may keep its thread waiting.

A connection's thread blocks on its socket without a time limit of its own. Here is the deadline of
what it waits for, one for the whole of it, so that neither dripping nor flooding prolongs anything.
A connection ends by shutting its socket down, which wakes the thread: because the deadline has
passed, because a new client needs the room, or because the server stops.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take of the server, in seconds.

    Attributes:
        max_connections: open at the same time.
        idle_timeout: for a client to begin a request. Longer than scrapes are usually apart, so
            that Prometheus keeps its connection.
        read_timeout: for a TLS handshake, and for a request's head from its first byte on.
        write_timeout: for a client to take an answer.
    """

    max_connections: int = 512
    idle_timeout: float = 150.0
    read_timeout: float = 10.0
    write_timeout: float = 30.0


class Connection:
    """One client's connection.

    Attributes:
        waiting: what its thread waits for: since when and until when, in monotonic seconds, and
            whether for an answer to be taken; ``None`` while it is the client that waits.
        socket: the client's; replaced when TLS is wrapped around it.
        ended: whether it was ended from outside its own thread.
    """

    def __init__(self, client: socket.socket, seconds: float) -> None:
        self.socket = client
        self.ended = False
        self.wait(seconds)

    def wait(self, seconds: float, *, taking: bool = False) -> None:
        """Note that the thread waits for the client from now on, so long at most."""
        now = time.monotonic()
        # One tuple, replaced whole: other threads read it.
        self.waiting: tuple[float, float, bool] | None = (now, now + seconds, taking)

    def end(self, how: int = socket.SHUT_RDWR) -> None:
        """End one or both directions, from another thread."""
        self.ended = True  # before the rest, for a socket that is just being replaced
        with contextlib.suppress(OSError):  # it may have ended by itself
            # The plain socket's own, also with TLS, whose state is its thread's alone.
            socket.socket.shutdown(self.socket, how)


class Connections:
    """All open connections. Safe to use from many threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._open: dict[socket.socket, Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, client: socket.socket) -> Connection | None:
        """Return a connection that was admitted; ``None`` if it has lost its place."""
        return self._open.get(client)

    def admit(self, client: socket.socket) -> bool:
        """Take a new connection, in place of another if need be; tell whether there was room."""
        with self._changed:
            full = len(self._open) >= self._limits.max_connections
            if full and not self.make_room():
                return False
            self._open[client] = Connection(client, self._limits.idle_timeout)
            return True

    def forget(self, client: socket.socket) -> None:
        """Count a connection no more."""
        with self._changed:
            self._open.pop(client, None)
            self._changed.notify_all()

    def make_room(self) -> bool:
        """End the connection that has kept the server waiting longest; tell if there was one.

        One that is taking its answer counts as if it had begun half of ``write_timeout`` later, so
        that a crowd of idle clients cuts off no answer, and slow readers do not hold every place.
        One whose answer is being made never ends.
        """
        favour = self._limits.write_timeout / 2
        with self._changed:
            waiting = [
                (since + favour * taking, client)
                for client, connection in self._open.items()
                if connection.waiting is not None
                for since, _, taking in [connection.waiting]
            ]
            if not waiting:
                return False
            connection = self._open.pop(min(waiting, key=lambda one: one[0])[1])
        connection.end()
        return True

    def end_overdue(self) -> None:
        """End the connections whose deadline has passed."""
        now = time.monotonic()
        with self._changed:
            for connection in self._open.values():
                waiting = connection.waiting
                if waiting is not None and waiting[1] <= now:
                    connection.end()

    def end_all(self, timeout: float) -> None:
        """End what waits for a request at once, and the rest after some seconds."""
        with self._changed:
            for connection in self._open.values():
                # An answer under way is not disturbed by the end of what is received.
                connection.end(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, timeout)
            for connection in self._open.values():
                connection.end()
