"""The HTTP server: the standard library's, a thread a connection.

Its answers quote nothing of a request. A connection's thread blocks on its socket without a time
limit. It notes until when it may wait instead, one deadline for the whole of a request's head or of
an answer, so that neither dripping nor flooding prolongs anything. To end a connection is to shut
its socket down, which wakes the thread.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache, partial
from http import HTTPStatus
from http.client import responses
from http.server import ThreadingHTTPServer
from socketserver import StreamRequestHandler
from typing import Any, Final, NamedTuple

from vats_exporter.address import ListenAddress
from vats_exporter.logs import get_logger
from vats_exporter.redaction import describe_unexpected
from vats_exporter.web import MAX_HEAD, Request, Response, read_request, say
from vats_exporter.web.protection import Protection
from vats_exporter.web.settings import has_allowed_name

_LOOK_EVERY: Final = 0.1  # seconds between two looks at deadlines, and at whether to stop
_PAUSE: Final = 0.05  # seconds before the next try to accept a connection, where it failed
_LINGER: Final = 1.0  # seconds for which a client is still heard after its last answer
_END: Final = re.compile(rb"\n\r?\n")  # of a request's head
_HANDSHAKE: Final = b"\x16"  # the first byte of a client that speaks TLS [RFC 8446, 5.1]
_PLAIN_HTTP: Final = "This exporter speaks HTTPS here, and the request was plain HTTP."
_NO_TLS: Final = "This exporter speaks plain HTTP here, and not HTTPS."

_log = get_logger(__name__)
_is_logged: Final = logging.getLogger(__name__).isEnabledFor
_date: Final = lru_cache(maxsize=1)(partial(formatdate, usegmt=True))


class Limits(NamedTuple):
    """What clients may take of the server, in seconds."""

    max_connections: int = 512
    idle_timeout: float = 150.0  # longer than scrapes are usually apart: Prometheus keeps its own
    read_timeout: float = 10.0  # for a TLS handshake; for a request's head from its first byte on
    write_timeout: float = 30.0  # for a client to take an answer


class WebServer:
    """An HTTP server. Listens from its construction on, and answers from :meth:`start` on.

    ``respond`` answers a request, and is called from many threads; the limits are of all addresses
    together. The ``filename`` of an :class:`OSError` is the address that failed.
    """

    def __init__(
        self,
        addresses: Iterable[ListenAddress],
        respond: Callable[[Request], Response],
        *,
        limits: Limits | None = None,
        protection: Protection | None = None,
    ) -> None:
        self.respond: Final = respond
        self.limits: Final = limits or Limits()
        self.protection: Final = protection or Protection()
        self.stopping = False
        self._changed = threading.Condition()
        self._open: set[_Connection] = set()
        self._listeners: list[_Listener] = []
        for address in addresses:
            try:
                self._listeners.append(_Listener(address, self))
            except OSError as error:
                error.filename = str(address)
                self.stop()
                raise
        self.addresses: Final = [one.address for one in self._listeners]  # with the ports it got

    @property
    def url(self) -> str:
        """A URL that reaches the server from this machine, without a slash at the end."""
        scheme = "http" if self.protection.tls() is None else "https"
        return f"{scheme}://{self.addresses[0].reached}"

    def is_alive(self) -> bool:
        """Tell whether requests are answered, by making one; with TLS, a refusal is an answer."""
        address = self.addresses[0].reached
        try:
            with socket.create_connection((address.host, address.port), timeout=2.0) as client:
                client.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                return client.recv(1) != b""
        except OSError:
            return False

    def start(self) -> None:
        """Answer requests, in threads of its own."""
        for listener in self._listeners:
            listener.thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more connections, let running answers end for so many seconds, and close."""
        deadline = time.monotonic() + timeout
        self.stopping = True
        for listener in self._listeners:
            if listener.thread.is_alive():
                listener.shutdown()
            listener.server_close()
        with self._changed:
            for connection in self._open:
                # An answer under way is not disturbed by the end of what is received.
                connection.end(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, max(0.0, deadline - time.monotonic()))
            for connection in self._open:
                connection.end()

    def admit(self, connection: _Connection) -> bool:
        """Take a new connection, in place of another if need be; tell whether there was room."""
        with self._changed:
            is_full = len(self._open) >= self.limits.max_connections
            has_room = not self.stopping and (not is_full or self.make_room())
            if has_room:
                self._open.add(connection)
            return has_room

    def forget(self, connection: _Connection) -> None:
        """Stop counting a connection."""
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def make_room(self) -> bool:
        """End the connection that has kept the server waiting longest; tell if there was one.

        One whose answer is being made never ends.
        """
        with self._changed:
            waiting = {one: at for one in self._open if (at := one.waiting)}
            longest = min(waiting, key=waiting.__getitem__, default=None)
            if longest is None:
                return False
            self._open.discard(longest)
        longest.end()
        return True

    def end_overdue(self) -> None:
        """End the connections whose deadline has passed."""
        now = time.monotonic()
        with self._changed:
            for connection in self._open:
                if (waiting := connection.waiting) and waiting[1] <= now:
                    connection.end()


class _Listener(ThreadingHTTPServer):
    """One address, and the thread that accepts its connections."""

    block_on_close = False

    def __init__(self, address: ListenAddress, web: WebServer) -> None:
        super().__init__((address.host, address.port), _Connection, bind_and_activate=False)
        self.socket.close()
        self.socket = address.listen()
        self.address = ListenAddress(address.host, self.socket.getsockname()[1])
        self.thread = threading.Thread(
            target=self.serve_forever, args=(_LOOK_EVERY,), name="web", daemon=True
        )
        self.web = web

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection."""
        try:
            return super().get_request()
        except OSError as error:
            # No descriptors are left, most likely, and each turn of the loop would fail the same
            # way until an ended connection's thread gives its own back.
            self.web.make_room()
            _log.warn_seldom("connection not accepted", error=error.strerror)
            time.sleep(_PAUSE)
            raise

    def service_actions(self) -> None:
        """End overdue connections; called with each turn of the loop."""
        self.web.end_overdue()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """Log a bug. An OSError is none: the client is gone, too slow, or has lost its place."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            _log.error("connection failed", error=describe_unexpected(error))


class _Connection(StreamRequestHandler):
    """One client's connection: its requests are read and answered in a thread of its own."""

    server: _Listener
    rbufsize = 0  # requests are received from the socket itself
    wbufsize = 64 * 1024  # bytes of an answer that leave in one piece
    disable_nagle_algorithm = True
    waiting: tuple[float, float] | None = None
    """Since when and until when its thread waits for the client, in monotonic seconds; ``None``
    while it is the client that waits."""

    def setup(self) -> None:
        """Wrap the socket where TLS is on, before others know it: the plain one is empty then."""
        self._web, self._limits = self.server.web, self.server.web.limits
        self._client = str(self.client_address[0]).removeprefix("::ffff:")
        self._tls = self._web.protection.tls()
        if self._tls is not None:
            self.request = self._tls[0].wrap_socket(
                self.request, server_side=True, do_handshake_on_connect=False
            )
        self._received = b""  # of the next request
        super().setup()

    def handle(self) -> None:
        """Answer requests until either side ends the connection, if there is room for it."""
        self._wait(self._limits.idle_timeout if self._tls is None else self._limits.read_timeout)
        try:
            with self.request:
                if not self._web.admit(self):
                    self._say_plainly(503, "Too many connections are open.")
                    return
                self._begin()
                while self._answer_one():
                    pass
                if self._tls is None:
                    self._linger()
                else:
                    self._wait(_LINGER)
                    self.request.unwrap()  # says that nothing was cut off
        finally:
            self._web.forget(self)

    def _wait(self, seconds: float, favour: float = 0.0) -> None:
        """Wait for the client so long at most, as if it had begun some seconds of favour later."""
        now = time.monotonic()
        self.waiting = (now + favour, now + seconds)  # replaced whole: other threads read it

    def end(self, how: int = socket.SHUT_RDWR) -> None:
        """End one or both directions."""
        with contextlib.suppress(OSError):  # it may have ended by itself
            # The plain socket's own, also with TLS, whose state is its thread's alone.
            socket.socket.shutdown(self.request, how)

    def _begin(self) -> None:
        """Begin TLS where it is on; an OSError ends one that speaks otherwise, or may not come."""
        speaks_tls = socket.socket.recv(self.request, 1, socket.MSG_PEEK) == _HANDSHAKE
        if speaks_tls is (self._tls is None):
            self._say_plainly(400, _NO_TLS if speaks_tls else _PLAIN_HTTP)
            self._linger()
            raise ConnectionAbortedError
        if self._tls is None:
            return
        self._wait(self._limits.read_timeout)
        try:
            self.request.do_handshake()
        except ssl.SSLError as failure:
            if not isinstance(failure, ssl.SSLEOFError):  # that client left, and did not say why
                reason = (failure.reason or "").replace("_", " ").lower()
                error = ": ".join(filter(None, (reason, getattr(failure, "verify_message", ""))))
                _log.warn_seldom("TLS handshake failed", client=self._client, error=error)
            raise
        _, allowed = self._tls
        if allowed and not has_allowed_name(self.request.getpeercert(), allowed):
            error = "its certificate has none of client_allowed_sans"
            _log.warn_seldom("TLS client refused", client=self._client, error=error)
            raise ConnectionAbortedError

    def _linger(self) -> None:
        """Read what the client still sends: unread, it resets the connection before the answer."""
        self._wait(_LINGER)
        socket.socket.shutdown(self.request, socket.SHUT_WR)
        while socket.socket.recv(self.request, 65536):
            pass

    def _answer_one(self) -> bool:
        """Wait for a request, and answer it; tell whether another one may follow."""
        request = read_request(self._read_head())
        if isinstance(request, int):
            if request:
                status = HTTPStatus(request)
                self._send(say(status, f"{status.description or status.phrase}."))
                _log.debug("bad request", client=self._client, status=status)
            return False
        began = time.perf_counter()
        self.waiting = None
        try:
            refusal = self._web.protection.refuse(request, self._client)
            response = refusal or self._web.respond(request)
        except Exception as error:  # noqa: BLE001 - a page's bug must not end the connection
            _log.error("request failed", path=request.path, error=describe_unexpected(error))
            response = say(500, "The exporter failed to make this page; its log says where.")
        keeps = request.keeps_connection and not self._web.stopping
        self._send(response, keeps=keeps, with_body=request.method != "HEAD")
        if _is_logged(logging.DEBUG):  # to make the fields takes a tenth of the time of an answer
            _log.debug(
                "request",
                client=self._client,
                method=request.method,
                path=request.path,
                status=response.status,
                size=response.length,
                duration=round(time.perf_counter() - began, 6),
            )
        return keeps

    def _read_head(self) -> bytes:
        """Receive a request up to the empty line after its headers, or past what it may take.

        Nothing comes of a client that leaves before.
        """
        received = self._received
        if not received:
            self._wait(self._limits.idle_timeout)
            received = self.request.recv(MAX_HEAD)
        if not (end := _END.search(received)):
            self._wait(self._limits.read_timeout)
        while received and not end and len(received) <= MAX_HEAD:
            piece = self.request.recv(MAX_HEAD)
            received = piece and received + piece
            end = _END.search(received)
        size = end.end() if end else len(received)
        self._received = received[size:]
        return received[:size]

    def _send(self, response: Response, *, keeps: bool = False, with_body: bool = True) -> None:
        # A crowd of idle clients cuts off no answer, and slow readers do not hold every place.
        self._wait(self._limits.write_timeout, favour=self._limits.write_timeout / 2)
        chunks = response.chunks if with_body else ()
        self.wfile.writelines([self._head(response, keeps=keeps), *chunks])
        self.wfile.flush()

    def _say_plainly(self, status: int, sentence: str) -> None:
        """Answer without TLS, and without waiting for the client to take it."""
        response = say(status, sentence)
        data = b"".join([self._head(response), *response.chunks])
        socket.socket.send(self.request, data, socket.MSG_DONTWAIT)

    def _head(self, response: Response, *, keeps: bool = False) -> bytes:
        headers = {
            "Date": _date(int(time.time())),
            "Content-Type": response.content_type,
            "Content-Length": str(response.length),
            "Connection": "keep-alive" if keeps else "close",
            **dict(response.headers),
            **self._web.protection.headers,
        }
        first = f"HTTP/1.1 {response.status} {responses[response.status]}"
        return "\r\n".join([first, *map(": ".join, headers.items()), "", ""]).encode("latin-1")
