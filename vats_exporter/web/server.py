"""The HTTP server: the standard library's, a thread a connection.

It knows no path and no metric, and its answers quote nothing of a request.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
import time
from email.utils import formatdate
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import BaseRequestHandler
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.logs.logger import get_logger
from vats_exporter.redaction import describe_unexpected
from vats_exporter.web import MAX_HEAD, TEXT, Request, read_request, say
from vats_exporter.web.addresses import ListenAddress
from vats_exporter.web.connections import Connection, Connections, Limits
from vats_exporter.web.protection import Protection
from vats_exporter.web.settings import has_allowed_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from vats_exporter.web import Response

_LOOK_EVERY: Final = 0.1  # seconds between two looks at deadlines, and at whether to stop
_PAUSE: Final = 0.05  # seconds before the next try to accept a connection, where it failed
_LINGER: Final = 1.0  # seconds for which a client is still heard after its last answer
_BUFFER: Final = 64 * 1024  # bytes of an answer that leave in one piece
_HANDSHAKE: Final = b"\x16"  # the first byte of a client that speaks TLS [RFC 8446, 5.1]
_FULL: Final = "Too many connections are open."
_PLAIN_HTTP: Final = "This exporter speaks HTTPS here, and the request was plain HTTP."
_NO_TLS: Final = "This exporter speaks plain HTTP here, and not HTTPS."
_BUG: Final = "The exporter failed to make this page; its log says where."

_log = get_logger(__name__)


class LogLimit:
    """Allows one line of the log for each client and minute, of 100 clients at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}

    def allows(self, client: str) -> bool:
        """Tell whether a line about a client may be logged now; if so, it counts as logged."""
        with self._lock:
            now = time.monotonic()
            self._logged = {one: at for one, at in self._logged.items() if now - at < 60}
            if client in self._logged or len(self._logged) >= 100:
                return False
            self._logged[client] = now
            return True


class WebServer:
    """An HTTP server. Listens from its construction on, and answers from :meth:`start` on.

    Args:
        addresses: where to listen; the ``filename`` of an :class:`OSError` is the one that failed.
        respond: answers a request; called from many threads.
        limits: what clients may take, of all addresses together.
        protection: none if not given.
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
        self.connections: Final = Connections(self.limits)
        self.log_limit: Final = LogLimit()
        self._listeners: list[_Listener] = []
        try:
            for address in addresses:
                self._listeners.append(_Listener(address, self))
        except OSError:
            self.stop()
            raise
        self.addresses: Final = [listener.address for listener in self._listeners]
        """Where it listens, with the ports it got."""

    @property
    def url(self) -> str:
        """A URL that reaches the server from this machine, without a slash at the end."""
        scheme = "http" if self.protection.tls() is None else "https"
        return f"{scheme}://{self.addresses[0].reached}"

    def is_alive(self) -> bool:
        """Tell whether requests are answered, by making one; with TLS, a refusal is an answer."""
        try:
            with self.addresses[0].connect(timeout=2.0) as client:
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
        self.connections.stopping = True
        for listener in self._listeners:
            if listener.thread.is_alive():
                listener.shutdown()
            listener.server_close()
        self.connections.end_all(max(0.0, deadline - time.monotonic()))


class _Listener(ThreadingHTTPServer):
    """One address, and the thread that accepts its connections."""

    block_on_close = False

    def __init__(self, address: ListenAddress, web: WebServer) -> None:
        super().__init__((address.host, address.port), _Handler, bind_and_activate=False)
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
            # No descriptors left, most likely. An ended connection's thread gives its own back;
            # until then each turn of the loop would fail the same way.
            self.web.connections.make_room()
            if self.web.log_limit.allows(str(error)):
                _log.warning("connection not accepted", error=error.strerror)
            time.sleep(_PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a client in a thread of its own."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no more threads
            with contextlib.suppress(OSError), request:
                _say_plainly(request, 503, _FULL)

    def service_actions(self) -> None:
        """End overdue connections; called with each turn of the loop."""
        self.web.connections.end_overdue()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """Log a bug, and no more of it than is safe."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            _log.error("connection failed", error=describe_unexpected(error))


class _Handler(BaseRequestHandler):
    """One client's connection: its requests are read and answered in a thread of its own."""

    server: _Listener

    def handle(self) -> None:
        """Serve the connection, if there is room for it; the body of its thread."""
        self._web, self._limits = self.server.web, self.server.web.limits
        self._client = str(self.client_address[0]).removeprefix("::ffff:")
        # The client may be gone, or too slow, or may have lost its place. It can't be told.
        with contextlib.suppress(OSError):
            tls = self._web.protection.tls()
            if tls is not None:  # before others know the socket: the plain one is empty from here
                self.request = tls[0].wrap_socket(
                    self.request, server_side=True, do_handshake_on_connect=False
                )
            self._connection = Connection(self.request)
            self._connection.wait(self._limits.idle_timeout)
            try:
                with self.request:
                    if not self._web.connections.admit(self._connection):
                        _say_plainly(self.request, 503, _FULL)
                    elif tls is None or self._shake_hands(self.request, tls[1]):
                        self._serve()
            finally:
                self._web.connections.forget(self._connection)

    def _shake_hands(self, client: ssl.SSLSocket, allowed_names: Collection[str]) -> bool:
        """Begin TLS; return whether the client speaks it and is let in."""
        self._connection.wait(self._limits.read_timeout)
        first = socket.socket.recv(client, 1, socket.MSG_PEEK)
        if first and first != _HANDSHAKE:
            _say_plainly(client, 400, _PLAIN_HTTP)  # it would not understand an alert
            self._linger()
            return False
        try:
            client.do_handshake()
        except ssl.SSLEOFError:
            return False  # the client is gone, and did not say why
        except ssl.SSLError as failure:
            reason = (failure.reason or "").replace("_", " ").lower()
            details = getattr(failure, "verify_message", "")
            self._warn("TLS handshake failed", f"{reason}: {details}" if details else reason)
            return False
        if allowed_names and not has_allowed_name(client.getpeercert(), allowed_names):
            self._warn("TLS client refused", "its certificate has none of client_allowed_sans")
            return False
        return True

    def _serve(self) -> None:
        """Answer requests until either side ends the connection."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with (
            self.request.makefile("rb") as self._received,
            self.request.makefile("wb", _BUFFER) as self._sent,
        ):
            while self._answer_one():
                pass
            if isinstance(self.request, ssl.SSLSocket):
                self._connection.wait(_LINGER)
                self.request.unwrap()  # says that nothing was cut off, and waits for the same
            else:
                self._linger()

    def _linger(self) -> None:
        """Read what the client still sends: unread, it would reset the connection.

        A reset may overtake the answer.
        """
        self._connection.wait(_LINGER)
        socket.socket.shutdown(self.request, socket.SHUT_WR)
        while socket.socket.recv(self.request, 65536):
            pass

    def _warn(self, event: str, error: str) -> None:
        """Log why TLS failed: the client itself learns next to nothing."""
        first = self._web.log_limit.allows(self._client)
        (_log.warning if first else _log.debug)(event, client=self._client, error=error)

    def _answer_one(self) -> bool:
        """Wait for a request, and answer it; tell whether another one may follow."""
        self._connection.wait(self._limits.idle_timeout)
        first = self._received.peek(1)[:1]
        if first == _HANDSHAKE:
            self._send(say(400, _NO_TLS))
        if first in {b"", _HANDSHAKE}:
            return False
        self._connection.wait(self._limits.read_timeout)
        request = read_request(self._read_head())
        if isinstance(request, int):
            if request:
                status = HTTPStatus(request)
                self._send(say(status, f"{status.description or status.phrase}."))
                _log.debug("bad request", client=self._client, status=status)
            return False
        began = time.perf_counter()
        self._connection.waiting = None
        response = self._respond(request)
        keeps = request.keeps_connection and not self._web.connections.stopping
        self._send(response, keeps=keeps, with_body=request.method != "HEAD")
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
        """Read up to the empty line after the headers, or past what a head may take."""
        head = b""
        while not head.endswith((b"\n\r\n", b"\n\n")) and len(head) <= MAX_HEAD:
            line = self._received.readline(MAX_HEAD + 1 - len(head))
            head += line
            if not line.endswith(b"\n") and len(head) <= MAX_HEAD:
                raise ConnectionAbortedError  # the client left in the middle
        return head

    def _respond(self, request: Request) -> Response:
        """Answer a request, whatever happens."""
        try:
            refusal = self._web.protection.refuse(request, self._client)
            return refusal or self._web.respond(request)
        except Exception as error:  # noqa: BLE001 - a page's bug must not end the connection
            _log.error("request failed", path=request.path, error=describe_unexpected(error))
            return say(500, _BUG)

    def _send(self, response: Response, *, keeps: bool = False, with_body: bool = True) -> None:
        self._connection.wait(self._limits.write_timeout, taking=True)
        headers = {
            "Date": formatdate(usegmt=True),
            "Content-Type": response.content_type,
            "Content-Length": str(response.length),
            "Connection": "keep-alive" if keeps else "close",
            **dict(response.headers),
            **self._web.protection.headers,
        }
        first = f"HTTP/1.1 {response.status:d} {HTTPStatus(response.status).phrase}"
        lines = [first, *map(": ".join, headers.items()), "", ""]
        self._sent.write("\r\n".join(lines).encode("latin-1"))
        for chunk in response.chunks if with_body else ():
            self._sent.write(chunk)
        self._sent.flush()


def _say_plainly(client: socket.socket, status: int, sentence: str) -> None:
    """Answer without TLS, and without waiting for the client to take it."""
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {TEXT}\r\n"
    data = f"{head}Connection: close\r\n\r\n{sentence}\n".encode()
    socket.socket.send(client, data, socket.MSG_DONTWAIT)
