"""One client's requests, read and answered by the standard library's handler, in its own thread.

What is added to :class:`http.server.BaseHTTPRequestHandler`: deadlines, a bound on a request's
head, TLS, and answers that quote nothing of a request.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from vats_exporter.logs.logger import get_logger
from vats_exporter.redaction import describe_unexpected
from vats_exporter.web.log_limit import LogLimit
from vats_exporter.web.messages import Request, say
from vats_exporter.web.tls import has_allowed_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from vats_exporter.web.connections import Connection, Connections, Limits
    from vats_exporter.web.messages import Response
    from vats_exporter.web.protection import Protection

MAX_HEAD: Final = 16 * 1024
"""Bytes of a request's line and headers past which it is refused."""

_HANDSHAKE: Final = b"\x16"
"""First byte of a client that speaks TLS. [RFC 8446, 5.1]"""

_HEADS: Final = 64
_PARSED: Final = ("command", "path", "request_version", "headers", "close_connection")
"""Requests' heads that are remembered, and what the library makes of one."""

_CORK: Final[int | None] = getattr(socket, "TCP_CORK", None)
"""Has the kernel send a great answer's small pieces together with the others; Linux knows it."""

_LINGER: Final = 1.0
"""Seconds for which what a client still sends is read and dropped, so that it gets its answer."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Service:
    """What all connections share; ``stopping`` ends each after the answer it waits for."""

    respond: Callable[[Request], Response]
    protection: Protection
    limits: Limits
    connections: Connections
    stopping: bool = False
    refusals: LogLimit = field(default_factory=LogLimit)
    heads: dict[bytes, dict[str, Any]] = field(default_factory=dict)


class _Received(socket.SocketIO):
    """What a client sends.

    Attributes:
        left: bytes that may still come before a request's head must be whole.
        begun: whether a head has begun, so that its end must come.
    """

    left = MAX_HEAD
    begun = False

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        count = super().readinto(buffer)
        if self.begun and not count:
            raise ConnectionAbortedError  # the client left in the middle
        self.left -= count or 0
        if self.left < 0:
            raise LineTooLong("head of a request")
        return count


class Handler(BaseHTTPRequestHandler):
    """Answers one client's requests until either side ends the connection."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # of a line that is no request's, so its answer has a head
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024  # an answer of up to so many bytes leaves in one piece
    rfile: io.BufferedReader

    def __init__(self, service: Service, connection: Connection, *rest: Any) -> None:
        self._service = service
        self._limits = service.limits
        self._connection = connection
        self._refusal: Response | None = None
        super().__init__(*rest)

    def setup(self) -> None:
        """Shake hands, where TLS is spoken, and get ready to read requests."""
        self.command, self.request_version, self.close_connection = "", "HTTP/1.1", True
        self._client = str(self.client_address[0]).removeprefix("::ffff:")
        self._encrypt()
        super().setup()
        self._received = _Received(self.request, "rb")
        self.rfile = io.BufferedReader(self._received)

    def handle(self) -> None:
        """Answer requests; this is the connection's whole life."""
        # The client may be gone, or too slow, or may have lost its place. It can't be told.
        with contextlib.suppress(OSError):
            if self._refusal is None:
                super().handle()
            else:
                self._send(self._refusal)
            self._linger()

    def finish(self) -> None:
        """Give back what :meth:`setup` took; the server closes the socket."""
        for file in (self.wfile, self.rfile):
            with contextlib.suppress(OSError):
                file.close()

    def handle_one_request(self) -> None:
        """Wait for a request, and answer it."""
        self.close_connection = True
        self._received.left, self._received.begun = MAX_HEAD, False
        self._connection.wait(self._limits.idle_timeout)
        first = self.rfile.peek(1)[:1]
        if not first:
            return
        if first == _HANDSHAKE:
            self._send(say(400, "This exporter speaks plain HTTP here, and not HTTPS."))
            return
        self._connection.wait(self._limits.read_timeout)
        self._received.begun = True
        try:
            self.raw_requestline = self.rfile.readline()
            if self.raw_requestline == b"\r\n":  # one empty line is to be ignored [RFC 9112, 2.2]
                self.raw_requestline = self.rfile.readline()
            parsed = self.parse_request()
        except LineTooLong:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        if parsed:
            self._answer()

    def parse_request(self) -> bool:
        """Parse the head, or recall it: a scraper sends the same one every time.

        The library takes three quarters of the time of an answer for it, since it makes an e-mail
        message of the headers.
        """
        lines = [self.raw_requestline]
        while lines[-1].strip(b"\r\n"):
            lines.append(self.rfile.readline())
        head = b"".join(lines)
        if known := self._service.heads.get(head):
            vars(self).update(known)
            return True
        connection, self.rfile = self.rfile, io.BufferedReader(io.BytesIO(head[len(lines[0]) :]))
        try:
            parsed = super().parse_request()
        finally:
            self.rfile = connection
        if parsed:
            if len(self._service.heads) >= _HEADS:
                self._service.heads.clear()
            self._service.heads[head] = {name: getattr(self, name) for name in _PARSED}
        return parsed

    def handle_expect_100(self) -> bool:
        """Ask for no body: none is ever read."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the library's signature; its messages quote the request
        """Answer a request that could not be read, without quoting it."""
        status = HTTPStatus(code)
        self.close_connection = True
        self._send(say(status, f"{status.description or status.phrase}."))
        _log.debug("bad request", client=self._client, status=code)

    def _encrypt(self) -> None:
        tls = self._service.protection.tls()
        if tls is None:
            return
        context, allowed_names = tls
        self._connection.wait(self._limits.read_timeout)
        first = self.request.recv(1, socket.MSG_PEEK)
        if first and first != _HANDSHAKE:
            # Most likely plain HTTP, whose client would not understand an alert.
            sentence = "This exporter speaks HTTPS here, and the request was plain HTTP."
            self._refusal = say(400, sentence)
            return
        try:
            # Known before the handshake to whoever ends the connection from another thread: the
            # plain socket is empty from here on.
            self.request = self._connection.socket = context.wrap_socket(
                self.request, server_side=True, do_handshake_on_connect=False
            )
            if self._connection.ended:
                raise ConnectionAbortedError
            self.request.do_handshake()
        except ssl.SSLEOFError:
            raise  # the client is gone, and did not say why
        except ssl.SSLError as failure:
            reason = (failure.reason or "").replace("_", " ").lower()
            details = getattr(failure, "verify_message", "")
            self._warn("TLS handshake failed", f"{reason}: {details}" if details else reason)
            raise
        if allowed_names and not has_allowed_name(self.request.getpeercert(), allowed_names):
            self._warn("TLS client refused", "its certificate has none of client_allowed_sans")
            raise ConnectionAbortedError

    def _warn(self, event: str, error: str) -> None:
        """Log why TLS did not come about: the client itself learns next to nothing."""
        first = self._service.refusals.allows(self._client)
        (_log.warning if first else _log.debug)(event, client=self._client, error=error)

    def _answer(self) -> None:
        """Answer the request that was read."""
        began = time.perf_counter()
        self._connection.waiting = None
        names = {name.lower() for name in self.headers.keys()}  # noqa: SIM118 - it is no dictionary
        try:
            target = urlsplit(self.path)
        except ValueError:
            target = None
        hostless = self.request_version == "HTTP/1.1" and "host" not in names
        if target is None or hostless or self.headers.defects:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        # People and simple clients write names without percent signs.
        query = target.query.encode("latin-1").decode("utf-8", "replace")
        request = Request(self.command, target.path or "/", query, self.headers)
        response = self._respond(request)
        # A request's body is not read, so nothing may follow it.
        has_body = not names.isdisjoint(("content-length", "transfer-encoding"))
        if has_body or self._service.stopping or response.length is None:
            self.close_connection = True
        self._send(response)
        _log.debug(
            "request",
            client=self._client,
            method=request.method,
            path=request.path,
            status=response.status,
            size=response.length,
            duration=round(time.perf_counter() - began, 6),
        )

    def _respond(self, request: Request) -> Response:
        """Answer a request, whatever happens."""
        try:
            refusal = self._service.protection.refuse(request, self._client)
            return refusal or self._service.respond(request)
        except Exception as error:  # noqa: BLE001 - a page's bug must not end the connection
            _log.error("request failed", path=request.path, error=describe_unexpected(error))
            return say(500, "The exporter failed to make this page; its log says where.")

    def _send(self, response: Response) -> None:
        self._connection.wait(self._limits.write_timeout, taking=True)
        headers = {"Date": _date(int(time.time())), "Content-Type": response.content_type}
        if response.length is not None:
            headers["Content-Length"] = str(response.length)
        if self.close_connection:
            headers["Connection"] = "close"
        elif self.request_version == "HTTP/1.0":
            headers["Connection"] = "keep-alive"
        headers.update(response.headers)
        headers.update(self._service.protection.headers)
        self.send_response_only(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        corked = _CORK if (response.length or 0) > self.wbufsize else None
        if corked is not None:
            self.request.setsockopt(socket.IPPROTO_TCP, corked, 1)
        if self.command != "HEAD":
            for chunk in response.chunks:
                self.wfile.write(chunk)
        self.wfile.flush()
        if corked is not None:
            self.request.setsockopt(socket.IPPROTO_TCP, corked, 0)

    def _linger(self) -> None:
        """Read what the client still sends, for a moment.

        Closing a socket with unread bytes resets the connection, and a reset may overtake the
        answer.
        """
        self._connection.wait(_LINGER)
        if isinstance(self.request, ssl.SSLSocket):
            # Says that the answer ends here, which clients want to hear, and waits for the same.
            self.request.unwrap()
            return
        self.request.shutdown(socket.SHUT_WR)
        while self.request.recv(65536):
            pass


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """Return a time as HTTP writes it, which takes longer than looking for the latest one."""
    return formatdate(second, usegmt=True)
