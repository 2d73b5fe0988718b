"""Connections accepted, limited, and ended; answers made for them. Knows no path and no metric.

A thread a connection, as in the standard library's threading server, with what that one lacks:

* **Little is done for an answer.** Threads that hold Python's one lock for long stand in each
  other's way: halving the work for a cached answer made eight clients at once three times as fast.
  So heads are parsed by hand, once for all that are the same, and head and body leave in one
  system call.
* **Clients cannot stop scrapes.** A request must come whole within ``read_timeout``, an answer must
  be taken within ``write_timeout``, and where ``max_connections`` are open, a new one ends the one
  that has kept the server waiting longest. Of those that owe it a request, or the rest of one, a
  client that just connected is the last to go. One that is taking its answer goes after all these,
  unless it has been at it for half of ``write_timeout``: slow readers must not hold every place.
  One whose answer is being made never goes.
* **Stopping** closes idle connections at once and lets running answers end.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from vats_exporter.logs.logger import get_logger
from vats_exporter.redaction import describe_unexpected
from vats_exporter.web.addresses import ListenAddress
from vats_exporter.web.connection import Connection
from vats_exporter.web.messages import BadRequestError, say
from vats_exporter.web.protection import Protection
from vats_exporter.web.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vats_exporter.web.messages import Request, Response


_SMALL: Final = 64 * 1024
"""Bytes up to which an answer is joined to one piece, which is then cheaper than not to copy."""

_ALIVE_WITHIN: Final = 2.0
"""Seconds for an answer to oneself."""

_log = get_logger(__name__)


class WebServer:
    """An HTTP server. Listens from its construction on, and answers from :meth:`start` on.

    Args:
        address: where to listen.
        respond: answers a request; called from many threads.
        max_connections: open at the same time.
        idle_timeout: seconds a connection may wait for its next request. Longer than scrapes are
            usually apart, so that Prometheus keeps its connection.
        read_timeout: seconds from a request's first byte to the end of its headers.
        write_timeout: seconds for a client to take an answer.
        protection: TLS, passwords and headers; none if not given.

    Attributes:
        address: where it listens, with the port it got.
        refusals: says which client's refusal is worth a line of the log.
        log: for a line a request.

    Raises:
        OSError: if the address is not to be had.
    """

    def __init__(
        self,
        address: ListenAddress,
        respond: Callable[[Request], Response],
        *,
        max_connections: int = 512,
        idle_timeout: float = 150.0,
        read_timeout: float = 10.0,
        write_timeout: float = 30.0,
        protection: Protection | None = None,
    ) -> None:
        self._respond = respond
        self.protection: Final = protection or Protection()
        self._max_connections = max_connections
        self.idle_timeout: Final = idle_timeout
        self.read_timeout: Final = read_timeout
        self.write_timeout: Final = write_timeout
        self._listener = address.listen()
        self._listener.setblocking(False)  # noqa: FBT003 - the socket's own interface
        self.address: Final = ListenAddress(address.host, self._listener.getsockname()[1])
        self._waker, self._wake = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="web", daemon=True)
        self._changed = threading.Condition()
        self._connections: set[Connection] = set()
        self._stopping = False
        self._second = 0
        self._date = ""
        self._packed: tuple[Response | None, str, Sequence[bytes]] = (None, "", ())
        self.refusals: Final = Throttle()
        self.log = _log

    @property
    def url(self) -> str:
        """A URL that reaches the server from this machine, without a slash at the end."""
        if self.protection.encrypted:
            return self.address.url.replace("http:", "https:", 1)
        return self.address.url

    def is_alive(self) -> bool:
        """Tell whether requests are answered, by making one; with TLS, a refusal is an answer."""
        try:
            with self.address.connect(timeout=_ALIVE_WITHIN) as client:
                client.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                return client.recv(1) != b""
        except OSError:
            return False

    def start(self) -> None:
        """Answer requests, in threads of its own."""
        self._acceptor.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more connections, let running answers end, and close.

        Args:
            timeout: seconds for running answers; what takes longer is cut off.
        """
        deadline = time.monotonic() + timeout
        self._stopping = True
        self._wake.close()
        if self._acceptor.ident is not None:
            self._acceptor.join()
        self._listener.close()
        self._waker.close()
        with self._changed:
            for connection in self._connections:
                # Ends waiting for a request; an answer under way is not disturbed by it.
                connection.hang_up(socket.SHUT_RD)
            self._changed.wait_for(
                lambda: not self._connections, max(0.0, deadline - time.monotonic())
            )
            for connection in self._connections:
                connection.hang_up(socket.SHUT_RDWR)

    def answer(self, request: Request, client: str) -> Response:
        """Answer a request, whatever happens.

        Args:
            request: as it came.
            client: the address it came from.
        """
        try:
            return self.protection.refuse(request, client) or self._respond(request)
        except BadRequestError as error:
            return say(error.status, error.sentence)
        except Exception as error:  # noqa: BLE001 - a page's bug must not end the server
            _log.error("request failed", path=request.path, error=describe_unexpected(error))
            return say(500, "The exporter failed to make this page; its log says where.")

    @property
    def stopping(self) -> bool:
        """Whether connections should end after the answer they are waiting for."""
        return self._stopping

    def tick(self) -> str:
        """Do what is due once a second; return the time as HTTP writes it."""
        now = int(time.time())
        if now != self._second:
            # Looking up how the log is configured takes longer than an answer.
            self.log = _log.bind()
            # Before the second that it is of, which tells other threads that it is there.
            self._date = formatdate(now, usegmt=True)
            self._second = now
        return self._date

    def pack(
        self, response: Response, *, close: bool, with_body: bool
    ) -> Sequence[bytes | memoryview]:
        """Return the bytes of an answer, to be sent one after the other.

        A small answer that is given again within its second, as to several scrapers at once, is
        packed once.
        """
        date = self.tick()
        extra = self.protection.headers
        if not with_body or close or response.length > _SMALL:
            chunks = response.chunks if with_body else ()
            return (response.head(date, close=close, extra=extra), *chunks)
        latest, packed_at, packed = self._packed
        if latest is not response or packed_at is not date:
            head = response.head(date, close=False, extra=extra)
            packed = (b"".join((head, *response.chunks)),)
            self._packed = (response, date, packed)
        return packed

    def forget(self, connection: Connection) -> None:
        """Count a connection no more; it calls this when it ends."""
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()

    def _accept(self) -> None:
        """Take connections until told to stop; the body of the acceptor's thread."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._waker, selectors.EVENT_READ)
            while True:
                selector.select()
                if self._stopping:
                    return
                try:
                    peer, address = self._listener.accept()
                except BlockingIOError:
                    continue  # the client was gone before it was accepted
                except OSError as error:
                    self._make_room()
                    _log.warning("connection not accepted", error=error.strerror)
                    # No descriptors left, most likely. The evicted connection's thread gives its
                    # own back; until then each turn of this loop would fail the same way.
                    self._waker.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        self._waker.recv(1)
                    continue
                # A client of IPv4 at a socket of both.
                self._admit(peer, str(address[0]).removeprefix("::ffff:"))

    def _admit(self, peer: socket.socket, client: str) -> None:
        connection = Connection(self, peer, client)
        with self._changed:
            full = len(self._connections) >= self._max_connections
        if full and not self._make_room():
            connection.refuse(say(503, "Too many connections are being answered."))
            return
        with self._changed:
            self._connections.add(connection)
        try:
            threading.Thread(target=connection.serve, name=f"web {client}", daemon=True).start()
        except RuntimeError:  # no more threads are to be had
            self.forget(connection)
            connection.refuse(say(503, "Too many connections are open."))

    def _make_room(self) -> bool:
        """End the connection that has kept the server waiting longest; tell if there was one."""
        # For those that are taking an answer: as if they had begun to wait that much later.
        in_favour = self.write_timeout / 2
        with self._changed:
            waiting = [
                (since + in_favour * connection.taking, connection)
                for connection in self._connections
                if (since := connection.waiting_since) is not None
            ]
            if not waiting:
                return False
            _, longest = min(waiting, key=lambda one: one[0])
            self._connections.discard(longest)
        longest.hang_up(socket.SHUT_RDWR)
        return True
