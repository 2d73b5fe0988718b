"""One client's connection: requests in, answers out, both within their time.

It knows bytes and time limits, and no page. The limits are the kernel's, so that keeping them costs
no system call of its own; with TLS, which Python's sockets do not let the kernel limit, they are
the socket's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Final

from vats_exporter.web.messages import MAX_HEAD, BadRequestError, parse_request, say
from vats_exporter.web.tls import has_allowed_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.web.messages import Response
    from vats_exporter.web.server import WebServer

_END: Final = b"\r\n\r\n"
_MOST_CHUNKS: Final = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 16
"""Chunks that one system call takes."""

_PIECE: Final = 64 * 1024
"""Bytes that are received at once."""

_HANDSHAKE: Final = b"\x16"
"""First byte of a client that speaks TLS. [RFC 8446, 5.1]"""

_LINGER: Final = 1.0
"""Seconds for which what a client still sends is read and dropped, so that it gets its answer."""


class Connection:
    """One client's connection, served by one thread.

    Attributes:
        waiting_since: since when the client keeps the server waiting, be it for a request or for
            taking an answer, in monotonic seconds; ``None`` while it is the other way round.
        taking: whether it is an answer that it is waited for to take.
    """

    def __init__(self, server: WebServer, peer: socket.socket, client: str) -> None:
        self.waiting_since: float | None = time.monotonic()
        self.taking = False
        self._server = server
        self._socket = peer
        self._client = client
        self._buffer = b""
        self._hung_up = False
        peer.setblocking(True)  # noqa: FBT003 - the socket's own interface

    def serve(self) -> None:
        """Answer the client's requests until either side ends it; the body of its thread."""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._limit(socket.SO_SNDTIMEO, self._server.write_timeout)
            self._limit_receiving(self._server.idle_timeout)
            if self._encrypt():
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
        # First, for a socket that changes hands just now.
        self._hung_up = True
        with contextlib.suppress(OSError):  # it may have ended by itself
            # The plain socket's own, also with TLS: what lies above is its thread's alone.
            socket.socket.shutdown(self._socket, how)

    def refuse(self, response: Response) -> None:
        """Say one thing without waiting for a request, and close."""
        with contextlib.suppress(OSError), self._socket:
            self._socket.setblocking(False)  # noqa: FBT003 - the socket's own interface
            self._socket.sendmsg([response.head(self._server.tick(), close=True), *response.chunks])

    def _encrypt(self) -> bool:
        """Shake hands, where TLS is spoken; tell whether requests may follow."""
        tls = self._server.protection.tls()
        if tls is None:
            return True
        context, allowed_names = tls
        if not self._begins_tls():
            return False
        self._socket.settimeout(self._server.read_timeout)
        try:
            # Kept before the handshake: the plain socket is empty from here on, and whoever hangs
            # up from another thread must find the one that is connected.
            encrypted = self._socket = context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            if self._hung_up:
                return False
            encrypted.do_handshake()
        except ssl.SSLEOFError:
            raise  # the client is gone, and did not say why
        except ssl.SSLError as failure:
            self._tell_refusal("TLS handshake failed", _reason(failure))
            return False
        if allowed_names and not has_allowed_name(encrypted.getpeercert(), allowed_names):
            error = "its certificate has none of client_allowed_sans"
            self._tell_refusal("TLS client refused", error)
            return False
        self._socket.settimeout(self._server.idle_timeout)
        return True

    def _tell_refusal(self, event: str, error: str) -> None:
        """Write why TLS did not come about: the client itself is told next to nothing."""
        log = self._server.log
        tell = log.warning if self._server.refusals.lets_through(self._client) else log.debug
        tell(event, client=self._client, error=error)

    def _begins_tls(self) -> bool:
        """Wait for a client's first byte; tell whether it speaks TLS."""
        self._limit_receiving(self._server.read_timeout)
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        if first and first != _HANDSHAKE:
            # Most likely plain HTTP, whose client would not understand an alert.
            answer = say(400, "This exporter speaks HTTPS here, and the request was plain HTTP.")
            self._send(answer, close=True, with_body=True)
            self._drain()
            return False
        return bool(first)

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
            self.waiting_since = time.monotonic()
            self._send(say(error.status, error.sentence), close=True, with_body=True)
            self._server.log.debug("bad request", client=self._client, error=error.sentence)
            self._drain()
            return False
        response = self._server.answer(request, self._client)
        close = self._server.stopping or not request.keep_alive
        self.taking = True
        self.waiting_since = time.monotonic()
        with_body = request.method != "HEAD"
        self._send(response, close=close, with_body=with_body)
        self.taking = False
        self._server.log.debug(
            "request",
            client=self._client,
            method=request.method,
            path=request.path,
            status=response.status,
            size=response.length if with_body else 0,
            duration=round(time.perf_counter() - began, 6),
        )
        if close:
            self._drain()
        return not close

    def _read_head(self) -> bytes | None:
        """Read up to the empty line; ``None`` if no request comes."""
        data = self._buffer
        if not data:
            try:
                data = self._socket.recv(_PIECE)
            except (BlockingIOError, TimeoutError):
                return None
        end = data.find(_END, 0, MAX_HEAD + len(_END))
        if end < 0 or data[0] in b"\r\n":  # not all of it, or an empty line before it
            data, end = self._read_rest(data)
        self._buffer = data[end + len(_END) :]
        return data[:end] or None

    def _read_rest(self, data: bytes) -> tuple[bytes, int]:
        """Read on until a head is whole.

        Args:
            data: what has come of it.

        Returns:
            the data with what came after, and where the head ends; nothing if the client left.
        """
        if data.startswith(_HANDSHAKE) and not isinstance(self._socket, ssl.SSLSocket):
            raise BadRequestError(400, "This exporter speaks plain HTTP here, and not HTTPS.")
        deadline = time.monotonic() + self._server.read_timeout
        while True:
            data = data.lstrip(b"\r\n")  # empty lines before a request are to be ignored
            end = data.find(_END, 0, MAX_HEAD + len(_END))
            if end >= 0:
                break
            if len(data) > MAX_HEAD:
                raise BadRequestError(431, f"The request's head is over {MAX_HEAD} bytes.")
            if b"\n\n" in data:
                raise BadRequestError(400, "Lines of HTTP end with CR and LF.")
            # Never 0, with which TLS would not wait at all.
            self._limit_receiving(max(0.001, deadline - time.monotonic()))
            try:
                piece = self._socket.recv(_PIECE)
            except (BlockingIOError, TimeoutError):
                raise BadRequestError(408, "The request took too long to come.") from None
            if not piece:
                return b"", 0
            data += piece
        self._limit_receiving(self._server.idle_timeout)
        return data, end

    def _send(self, response: Response, *, close: bool, with_body: bool) -> None:
        """Send an answer."""
        deadline = time.monotonic() + self._server.write_timeout
        chunks = self._server.pack(response, close=close, with_body=with_body)
        if isinstance(self._socket, ssl.SSLSocket):
            self._send_encrypted(self._socket, chunks, deadline)
            return
        for start in range(0, len(chunks), _MOST_CHUNKS):
            batch = chunks[start : start + _MOST_CHUNKS]
            left = sum(map(len, batch))
            while left:
                sent = self._socket.sendmsg(batch)
                left -= sent
                if left:
                    if time.monotonic() >= deadline:
                        raise TimeoutError
                    batch = _after(batch, sent)

    def _send_encrypted(
        self,
        peer: ssl.SSLSocket,
        chunks: Sequence[bytes | memoryview],
        deadline: float,
    ) -> None:
        """Send an answer with TLS, which takes one piece at a time."""
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                peer.settimeout(left)
                rest = rest[peer.send(rest) :]
        peer.settimeout(self._server.idle_timeout)

    def _drain(self) -> None:
        """Read what the client still sends, for a moment.

        Closing a socket with unread bytes resets the connection, and a reset may overtake the
        answer.
        """
        deadline = time.monotonic() + _LINGER
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(_LINGER)
            # Says that the answer ends here, which clients want to hear, and waits for the same.
            self._socket = self._socket.unwrap()
        self._socket.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            self._limit_receiving(left)
            if not self._socket.recv(65536):
                return

    def _limit_receiving(self, seconds: float) -> None:
        """Set how long the next piece may take to come."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(seconds)
        else:
            self._limit(socket.SO_RCVTIMEO, seconds)

    def _limit(self, option: int, seconds: float) -> None:
        """Set the kernel's time limit for receiving or sending."""
        # Never 0, which would mean forever.
        whole, micro = divmod(max(1, int(seconds * 1_000_000)), 1_000_000)
        value = struct.pack("@ll", whole, micro)
        self._socket.setsockopt(socket.SOL_SOCKET, option, value)


def _reason(failure: ssl.SSLError) -> str:
    """Say what OpenSSL found wrong."""
    reason = (failure.reason or "").replace("_", " ").lower()
    details = getattr(failure, "verify_message", "")
    return f"{reason}: {details}" if details else reason


def _after(chunks: Sequence[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """Return what is left of chunks after that many bytes, without copying them."""
    rest = list(chunks)
    first = 0
    while count >= len(rest[first]):
        count -= len(rest[first])
        first += 1
    rest[first] = memoryview(rest[first])[count:]
    return rest[first:]
