"""HTTP: requests and answers as values, what can go wrong between them, counts, and the server."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl
from weakref import WeakSet

HTML: Final = "text/html;charset=UTF-8"
SCRIPT: Final = "application/javascript"
JSON: Final = "application/json; charset=utf-8"


class HttpRequest(NamedTuple):
    """A request; path and query are as they came."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as a text; Java's decoder, too, replaces what is not UTF-8."""
        return self.body.decode("utf-8", "replace")

    @property
    def form(self) -> dict[str, str]:
        """The form's fields, if the body is one."""
        kind = self.headers.get("Content-Type", "")
        is_form = kind.startswith("application/x-www-form-urlencoded")
        return dict(parse_qsl(self.text)) if is_form else {}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    ``Content-Length`` is added unless it is among the headers. A body in pieces is sent one by one
    without a length, and the end of the connection ends it.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""


def text(body: str, kind: str = "text/plain", *, status: int = 200) -> Answer:
    """Make an answer of a text, in UTF-8."""
    return Answer(status, (("Content-Type", kind),), body.encode())


def redirect(location: str) -> Answer:
    """Make a redirect that turns any method into GET."""
    return Answer(302, (("Location", location),))


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request about to be answered.

    ``call`` is ``sign_in``, ``sign_out``, ``login_page``, ``home``, ``enterprise``, ``nocache``,
    ``permutation`` (or a fragment of it), ``list``, ``details``, ``selector`` or ``other``.
    """

    call: str
    number: int = 0  # which request of its call it is, from 1, since the cabinet was made
    account: str = ""  # the account's name; empty for who has no session
    page: int | None = None  # of the list, from 0; None for other calls
    trunk: str = ""  # the reference that details or selector is about; empty for other calls


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. What is not given goes right."""

    instead: Answer | None = None  # sent instead; the cabinet never learns of the request
    change: Callable[[Answer], Answer] | None = None  # of the answer; what was asked is done
    raw: Iterable[bytes] | None = None  # sent instead of head and body; the connection breaks then
    wait: Event | None = None  # the answer is held back until this is set, or the cabinet stops
    cut: int | None = None  # so many bytes of the body are sent; the connection breaks then
    drop: bool = False  # the connection breaks before anything is sent
    reset: bool = False  # a connection that breaks is reset instead of closed


@dataclass(slots=True)
class _Counts:
    requests: dict[str, int] = field(default_factory=dict)
    sign_ins: int = 0
    refused_sign_ins: int = 0
    concurrency: int = 0  # requests that are being answered
    highest_concurrency: int = 0


class Stats:
    """Counts since the cabinet was made, of all and by account, safe to use from many threads."""

    def __init__(self) -> None:
        self.connections = 0
        self._lock = threading.Lock()
        self._counts = {"": _Counts()}  # by account; of all, under no name

    @contextmanager
    def request(self, call: str, account: str) -> Iterator[int]:
        """Count a request while it is answered, and yield which one of its call it is, from 1."""
        for counts in self._of(account):
            number = counts.requests[call] = counts.requests.get(call, 0) + 1
            counts.concurrency += 1
            counts.highest_concurrency = max(counts.highest_concurrency, counts.concurrency)
        try:
            yield number
        finally:
            for counts in self._of(account):
                counts.concurrency -= 1

    def sign_in(self, account: str, *, is_refused: bool) -> None:
        """Count a sign-in that was answered; the account is empty where the login is no one's."""
        for counts in self._of(account):
            counts.refused_sign_ins += is_refused
            counts.sign_ins += not is_refused

    def as_json(self) -> dict[str, Any]:
        """Return all counts, as ``/_demo/stats`` shows them."""
        with self._lock:
            accounts = {name: asdict(counts) for name, counts in sorted(self._counts.items())}
        return {"connections": self.connections, **accounts.pop(""), "accounts": accounts}

    def _of(self, account: str) -> Iterator[_Counts]:
        """The counts of an account and then of all, which nobody else changes meanwhile."""
        with self._lock:
            for name in dict.fromkeys((account, "")):
                yield self._counts.setdefault(name, _Counts())


LOOKS_EVERY: Final = 0.05  # seconds between two looks whether the server stops
_LENGTH: Final = re.compile("[0-9]{1,9}")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """Listens in a thread of its own, and can be stopped for good: open connections end, too.

    ``responding`` answers a request; its context ends when the answer is sent, or can't be.
    """

    daemon_threads = False  # so that server_close waits for the connections' threads
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        responding: Callable[[HttpRequest], AbstractContextManager[tuple[Answer, Fault]]],
        stats: Stats,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(address, _Handler)
        self.responding = responding
        self._stats = stats
        self._connections: WeakSet[socket.socket] = WeakSet()
        if tls is not None:
            # The handshake belongs to the connection's thread, not to the one that accepts.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self.serve_forever, args=(LOOKS_EVERY,))
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, break all connections, and wait until their threads have ended."""
        self.shutdown()
        self._thread.join()
        for connection in self._connections:
            with suppress(OSError):  # it may have been closed
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count a connection, and remember it."""
        self._stats.connections += 1
        self._connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the parent's
        """Log what went wrong in a connection's thread; a client that went away is no fault."""
        is_fault = not isinstance(sys.exc_info()[1], OSError)
        _log.log(logging.ERROR if is_fault else logging.DEBUG, "a connection broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
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
        path, _, query = self.path.partition("?")
        request = HttpRequest(self.command, path, query, self.headers, body)
        with self.server.responding(request) as (answer, fault):
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
