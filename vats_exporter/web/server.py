"""Connections: accepted, read, answered, limited, ended. Knows no path and no metric.

A thread a connection, as in the standard library's threading server, with what that one lacks:

* **A head is read at once and parsed by hand**, and head and body leave in one system call, without
  being joined. Time limits are the kernel's, so that they cost no call of their own.
* **Clients cannot stop scrapes.** A request must come whole within ``read_timeout``, an answer must
  be taken within ``write_timeout``, and where ``max_connections`` are open, a new one ends the one
  that has kept the server waiting longest. A client that just connected is the last to go, and one
  that is being answered never goes.
* **Stopping** closes idle connections at once and lets running answers end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

import structlog

from vats_exporter.bugs import describe_bug
from vats_exporter.web.addresses import ListenAddress
from vats_exporter.web.messages import MAX_HEAD, BadRequestError, parse_request, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vats_exporter.web.messages import Request, Response

_END: Final = b"\r\n\r\n"
_MOST_CHUNKS: Final = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 16
"""Chunks that one system call takes."""

_LINGER: Final = 1.0
"""Seconds for which what a client still sends is read and dropped, so that it gets its answer."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


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

    Attributes:
        address: where it listens, with the port it got.

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
    ) -> None:
        self._respond = respond
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
        self._connections: set[_Connection] = set()
        self._stopping = False
        self._date = (0, "")

    @property
    def url(self) -> str:
        """A URL that reaches the server from this machine, without a slash at the end."""
        return self.address.url

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

    def answer(self, request: Request) -> Response:
        """Answer a request, whatever happens."""
        try:
            return self._respond(request)
        except BadRequestError as error:
            return say(error.status, error.sentence)
        except Exception as error:  # noqa: BLE001 - a page's bug must not end the server
            _log.error("request failed", path=request.path, error=describe_bug(error))
            return say(500, "The exporter failed to make this page; its log says where.")

    @property
    def stopping(self) -> bool:
        """Whether connections should end after the answer they are waiting for."""
        return self._stopping

    def date(self) -> str:
        """Return the time as HTTP writes it."""
        now = int(time.time())
        kept, text = self._date
        if kept != now:
            text = formatdate(now, usegmt=True)
            self._date = (now, text)
        return text

    def forget(self, connection: _Connection) -> None:
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
        connection = _Connection(self, peer, client)
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
        with self._changed:
            waiting = [
                (since, connection)
                for connection in self._connections
                if (since := connection.waiting_since) is not None
            ]
            if not waiting:
                return False
            _, longest = min(waiting, key=lambda one: one[0])
            self._connections.discard(longest)
        longest.hang_up(socket.SHUT_RDWR)
        return True


class _Connection:
    """One client's connection, served by one thread.

    Attributes:
        waiting_since: since when the client keeps the server waiting, be it for a request or for
            taking an answer, in monotonic seconds; ``None`` while it is the other way round.
    """

    def __init__(self, server: WebServer, peer: socket.socket, client: str) -> None:
        self.waiting_since: float | None = time.monotonic()
        self._server = server
        self._socket = peer
        self._client = client
        self._buffer = b""
        peer.setblocking(True)  # noqa: FBT003 - the socket's own interface

    def serve(self) -> None:
        """Answer the client's requests until either side ends it; the body of its thread."""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._limit(socket.SO_SNDTIMEO, self._server.write_timeout)
            self._limit(socket.SO_RCVTIMEO, self._server.idle_timeout)
            while self._serve_one():
                pass
        except OSError:
            # The client is gone, or too slow, or was evicted. Nobody is left to be told.
            pass
        finally:
            self._server.forget(self)
            self._socket.close()

    def hang_up(self, how: int) -> None:
        """End one or both directions, from another thread."""
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._socket.shutdown(how)

    def refuse(self, response: Response) -> None:
        """Say one thing without waiting for a request, and close."""
        with contextlib.suppress(OSError), self._socket:
            self._socket.setblocking(False)  # noqa: FBT003 - the socket's own interface
            self._socket.sendmsg([response.head(self._server.date(), close=True), *response.chunks])

    def _serve_one(self) -> bool:
        """Answer one request; tell whether another may follow."""
        try:
            head = self._read_head()
            if head is None:
                return False
            self.waiting_since = None
            began = time.perf_counter()
            request = parse_request(head)
        except BadRequestError as error:
            self._send(say(error.status, error.sentence), close=True, with_body=True)
            _log.debug("bad request", client=self._client, error=error.sentence)
            self._drain()
            return False
        response = self._server.answer(request)
        close = self._server.stopping or not request.keep_alive
        self.waiting_since = time.monotonic()
        size = self._send(response, close=close, with_body=request.method != "HEAD")
        _log.debug(
            "request",
            client=self._client,
            method=request.method,
            path=request.path,
            status=response.status,
            size=size,
            duration=round(time.perf_counter() - began, 6),
        )
        if close:
            self._drain()
        return not close

    def _read_head(self) -> bytes | None:
        """Read up to the empty line; ``None`` if no request comes."""
        data, self._buffer = self._buffer, b""
        deadline: float | None = None
        while True:
            if data[:1] in {b"\r", b"\n"}:
                data = data.lstrip(b"\r\n")  # an empty line before a request is to be ignored
            end = data.find(_END, 0, MAX_HEAD + len(_END))
            if end >= 0:
                break
            if len(data) > MAX_HEAD:
                raise BadRequestError(431, f"The request's head is over {MAX_HEAD} bytes.")
            if b"\n\n" in data:
                raise BadRequestError(400, "Lines of HTTP end with CR and LF.")
            if data:
                deadline = deadline or time.monotonic() + self._server.read_timeout
                # Never 0, which would mean forever.
                self._limit(socket.SO_RCVTIMEO, max(0.001, deadline - time.monotonic()))
            try:
                piece = self._socket.recv(65536)
            except BlockingIOError:
                if data:
                    raise BadRequestError(408, "The request took too long to come.") from None
                return None
            if not piece:
                return None
            data += piece
        if deadline is not None:
            self._limit(socket.SO_RCVTIMEO, self._server.idle_timeout)
        self._buffer = data[end + len(_END) :]
        return data[:end]

    def _send(self, response: Response, *, close: bool, with_body: bool) -> int:
        """Send an answer; return the bytes of its body that were sent."""
        head = response.head(self._server.date(), close=close)
        chunks: list[bytes | memoryview] = [head]
        if with_body:
            chunks += response.chunks
        deadline = time.monotonic() + self._server.write_timeout
        size = 0
        for start in range(0, len(chunks), _MOST_CHUNKS):
            batch: Sequence[bytes | memoryview] = chunks[start : start + _MOST_CHUNKS]
            size += sum(map(len, batch))
            left = sum(map(len, batch))
            while left:
                sent = self._socket.sendmsg(batch)
                left -= sent
                if left:
                    if time.monotonic() >= deadline:
                        raise TimeoutError
                    batch = _after(batch, sent)
        return size - len(head)

    def _drain(self) -> None:
        """Read what the client still sends, for a moment.

        Closing a socket with unread bytes resets the connection, and a reset may overtake the
        answer.
        """
        self._socket.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _LINGER
        while (left := deadline - time.monotonic()) > 0:
            self._limit(socket.SO_RCVTIMEO, left)
            if not self._socket.recv(65536):
                return

    def _limit(self, option: int, seconds: float) -> None:
        """Set the kernel's time limit for receiving or sending."""
        whole = int(seconds)
        value = struct.pack("@ll", whole, int((seconds - whole) * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, option, value)


def _after(chunks: Sequence[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """Return what is left of chunks after that many bytes, without copying them."""
    rest = list(chunks)
    first = 0
    while count >= len(rest[first]):
        count -= len(rest[first])
        first += 1
    rest[first] = memoryview(rest[first])[count:]
    return rest[first:]
