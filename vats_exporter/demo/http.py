"""HTTP: requests and answers as values, what can go wrong between the two, and the server."""

from __future__ import annotations

import json
import logging
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from email.message import Message
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

HTML: Final = "text/html;charset=UTF-8"
SCRIPT: Final = "application/javascript"
JSON: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; ``target`` is path and query as they came."""

    method: str
    target: str
    headers: Mapping[str, str] | Message
    body: bytes = b""
    is_secure: bool = False

    @property
    def text(self) -> str:
        """The body as a text; Java's decoder, too, replaces what is not UTF-8."""
        return self.body.decode("utf-8", "replace")

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    def query(self, name: str) -> str | None:
        """Return the first parameter of the query that has a name."""
        return _first(urlsplit(self.target).query, name)

    def form(self, name: str) -> str | None:
        """Return a field of the form, if the body is one."""
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("application/x-www-form-urlencoded"):
            return None
        return _first(self.text, name)

    def cookie(self, name: str) -> str:
        """Return a cookie's value, empty where there is none."""
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(name)
        return cookie.value if cookie else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    ``Content-Length`` is added unless it is among the headers. A body in pieces is sent one by one
    without a length, and the end of the connection ends it.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request about to be answered.

    Attributes:
        call: ``sign_in``, ``sign_out``, ``login_page``, ``home``, ``enterprise``, ``nocache``,
            ``permutation`` (or a fragment of it), ``list``, ``details``, ``selector``, ``other``.
        number: which request of its call it is, from 1, since the cabinet was made.
        account: the account's name; empty for who has no session.
        page: of the list, from 0; ``None`` for other calls.
        trunk: the reference that ``details`` or ``selector`` is about; empty for other calls.
    """

    call: str
    number: int = 0
    account: str = ""
    page: int | None = None
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. What is not given goes right.

    Attributes:
        instead: sent instead of an answer; the cabinet never learns of the request.
        change: makes another answer of the right one; the cabinet has done what it was asked.
        raw: sent as they are, piece by piece, instead of an answer's head and body; then the
            connection breaks.
        wait: the answer is held back until this is set, or the cabinet stops.
        cut: so many bytes of the body are sent, and then the connection breaks.
        drop: the connection breaks before anything is sent.
        reset: a connection that breaks is reset instead of closed.
    """

    instead: Answer | None = None
    change: Callable[[Answer], Answer] | None = None
    raw: Iterable[bytes] | None = None
    wait: Event | None = None
    cut: int | None = None
    drop: bool = False
    reset: bool = False


FaultHook: TypeAlias = "Callable[[Incoming], Fault | None]"
"""Sees each request before it is answered; called by several threads."""


def text(body: str, kind: str = "text/plain", *, status: int = 200) -> Answer:
    """Make an answer of a text, in UTF-8."""
    return Answer(status, (("Content-Type", kind),), body.encode())


def as_json(value: object, *, status: int = 200) -> Answer:
    """Make an answer of JSON for people and programs."""
    return text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", JSON, status=status)


def redirect(location: str) -> Answer:
    """Make a redirect that turns any method into GET."""
    return Answer(302, (("Location", location),))


def _first(encoded: str, name: str) -> str | None:
    values = parse_qs(encoded, keep_blank_values=True).get(name)
    return values[0] if values else None


_LOOKS_EVERY: Final = 0.05
"""Seconds between two looks, by who waits, whether the server stops."""

_LENGTH: Final = re.compile("[0-9]{1,9}")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """Listens in a thread of its own, and can be stopped for good: open connections end, too.

    Args:
        address: host and port to listen on; port 0 for any.
        connected: called with each new connection.
        responding: answers a request; the context ends when the answer is sent, or can't be.
        tls: makes it HTTPS.
    """

    daemon_threads = False  # so that server_close waits for the connections' threads
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        connected: Callable[[], None],
        responding: Callable[[HttpRequest], AbstractContextManager[tuple[Answer, Fault]]],
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(address, _Handler)
        self.responding = responding
        self._connected = connected
        self.is_secure = tls is not None
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        if tls is not None:
            # The handshake belongs to the connection's thread, not to the one that accepts.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self.serve_forever, args=(_LOOKS_EVERY,))
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, break all connections, and wait until their threads have ended."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        for connection in self._connections.copy():
            with suppress(OSError):  # it may have been closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count a connection, and remember it while it is open."""
        self._connected()
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends."""
        self._connections.discard(request)
        super().shutdown_request(request)

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
    timeout = 120  # of a connection that is idle

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's
        _log.debug(format, *args)

    def _respond(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not _LENGTH.fullmatch(length):
            self.send_error(400)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        request = HttpRequest(
            self.command, self.path, self.headers, body, is_secure=self.server.is_secure
        )
        with self.server.responding(request) as (answer, fault):
            while fault.wait and not fault.wait.wait(_LOOKS_EVERY):
                if self.server.stopping.is_set():
                    self.close_connection = True
                    return
            self._send(answer, fault)

    do_GET = do_POST = do_DELETE = _respond  # noqa: N815 - the parent's names

    def _send(self, answer: Answer, fault: Fault) -> None:
        pieces = () if fault.drop else fault.raw
        is_broken = pieces is not None or fault.cut is not None
        if pieces is None:
            self._send_head(answer)
            pieces = [answer.body] if isinstance(answer.body, bytes) else answer.body
            if fault.cut is not None:
                pieces = [b"".join(pieces)[: fault.cut]]
        for piece in pieces:
            self.wfile.write(piece)
        self.close_connection |= is_broken
        if is_broken and fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            # The parent's files keep the socket open; taken from them, it closes at once.
            socket.socket(fileno=self.connection.detach()).close()

    def _send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not isinstance(answer.body, bytes):
            self.send_header("Connection", "close")  # which the parent sees to
        elif "Content-Length" not in dict(answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
