"""Sockets for the simulated cabinet: HTTP/1.1 with connections that are kept, and broken on demand.

It knows how bytes come and go, and nothing of what they mean.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.demo.http import Answer, HttpRequest, text

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from vats_exporter.demo.http import Fault

_LARGEST_BODY: Final = 4 * 1024 * 1024
_LOOKS_EVERY: Final = 0.05
"""Seconds between two looks, by who waits, whether the server stops."""

_IDLE: Final = 120.0
_JOIN: Final = 5.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """Listens, and can be stopped for good: open connections end, too.

    Args:
        address: host and port to listen on; port 0 for any.
        connected: called with each new connection.
        responding: answers a request; the context ends when the answer is sent, or can't be.
        tls: makes it HTTPS.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        connected: Callable[[], None],
        responding: Callable[[HttpRequest], AbstractContextManager[tuple[Answer, Fault | None]]],
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(address, _Handler)
        self.responding = responding
        self._connected = connected
        self.is_secure = tls is not None
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        if tls is not None:
            # The handshake belongs to the connection's thread, not to the one that accepts.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_LOOKS_EVERY,), name="simulated-cabinet", daemon=True
        )

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, break all connections, and wait until their threads have ended."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            open_connections = dict(self._connections)
        for connection in open_connections.values():
            with suppress(OSError):  # it may have been closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_connections:
            thread.join(_JOIN)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection a thread, and remember both."""
        self._connected()
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._lock:
            self._connections[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the parent's
        """Log what went wrong in a connection's thread; a client that went away is no fault."""
        is_fault = not isinstance(sys.exc_info()[1], OSError)
        _log.log(logging.ERROR if is_fault else logging.DEBUG, "a connection broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "SimulatedCabinet"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's
        _log.debug(format, *args)

    def _respond(self) -> None:
        body = self._read_body()
        if body is None:
            self.close_connection = True
            return
        if isinstance(body, Answer):
            self.close_connection = True
            self._send(body, None)
            return
        request = HttpRequest(
            self.command, self.path, self.headers, body, is_secure=self.server.is_secure
        )
        with self.server.responding(request) as (answer, fault):
            if fault is None or fault.wait is None or self._wait(fault.wait):
                self._send(answer, fault)

    def _wait(self, event: threading.Event) -> bool:
        """Wait for an event; False, and an end of the connection, if the server stops before."""
        while not event.wait(_LOOKS_EVERY):
            if self.server.stopping.is_set():
                self.close_connection = True
                return False
        return True

    def _read_body(self) -> bytes | Answer | None:
        """Read the request's body; an answer where it can't be, ``None`` if it ends too early."""
        if "Transfer-Encoding" in self.headers:
            return text("Not Implemented", status=501)
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            return text("Bad Request", status=400)
        if int(length[:10]) > _LARGEST_BODY:
            return text("Content Too Large", status=413)
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        if fault is not None and fault.drop:
            self._break(fault)
            return
        if fault is not None and fault.raw is not None:
            for piece in fault.raw:
                self.wfile.write(piece)
                self.wfile.flush()
            self._break(fault)
            return
        cut = fault.cut if fault is not None else None
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not isinstance(answer.body, bytes):
            self.close_connection = True
        elif not any(name.lower() == "content-length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for piece in _pieces(answer, cut):
            self.wfile.write(piece)
            self.wfile.flush()
        self.wfile.flush()
        if fault is not None and cut is not None:
            self._break(fault)

    def _break(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            # The parent's files keep the socket open; taken from them, it closes at once.
            socket.socket(fileno=self.connection.detach()).close()


def _pieces(answer: Answer, cut: int | None) -> Iterator[bytes]:
    """Yield a body's pieces, up to so many bytes."""
    left = cut
    for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
        if left is None:
            yield piece
        elif left > 0:
            yield piece[:left]
            left -= len(piece)
        else:
            return
