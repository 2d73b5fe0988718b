"""The connection to a cabinet: one, kept between calls, which can be cut from outside.

Certificates are always verified: by the system's authorities and those of ``certifi``, or by
``tls.ca_file`` alone. Accounts with the same TLS settings share a context, which takes about a
megabyte and 50 ms.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import zlib
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from vats_exporter.cabinet.errors import TlsError, UndecodableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vats_exporter.address import Proxy
    from vats_exporter.cabinet.settings import Timeouts, TlsSettings

_OPENING: Final = threading.BoundedSemaphore(32)
"""Connections that the process opens at the same time: hundreds of accounts start at once."""

_MOST_INTERIM: Final = 16
"""Interim answers, such as 103 Early Hints, that may come before one answer."""

_LEGACY_RENEGOTIATION: Final = getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
"""Python names it from 3.12 on."""

_PIECE: Final = 64 * 1024
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS


class Connection:
    """What a transport sends through.

    Attributes:
        dialled: how many connections were begun.
        connected: whether the latest request got as far as to a connection, TLS included.
        stale: whether its connection had been kept, and ended before any answer.
        cut: why the latest :meth:`limited` block was ended from outside; empty if it was not.
    """

    def __init__(self, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        self.dialled = 0
        self.connected = False
        self.stale = False
        self.cut: Literal["", "too late", "closed"] = ""
        self._lock = threading.Lock()
        self._opening: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        options: dict[str, Any] = {"maxsize": 1, "ssl_context": context}
        self._pools = (
            urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
            if proxy
            else urllib3.PoolManager(**options)
        )
        self._classes: Any = _classes(self)

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeouts: Timeouts,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and return the answer once its head is there.

        Raises:
            Exception: of ``urllib3``, ``http.client``, ``ssl`` or the system.
        """
        pool = self._pools.connection_from_url(url)
        pool.ConnectionCls = self._classes[pool.scheme]
        dialled, self.connected, self.stale = self.dialled, True, False
        try:
            return self._pools.urlopen(
                method,
                url,
                body=body,
                headers=dict(headers),
                timeout=urllib3.Timeout(connect=timeouts.connect, read=timeouts.read),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except BaseException:
            self.stale = self.dialled == dialled and not self.cut
            raise

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Cut the connection if the block takes longer than this."""
        self.cut = ""
        timer = threading.Timer(seconds, self._cut, ["too late"])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    @contextmanager
    def opening(self, connection: HTTPConnection) -> Iterator[None]:
        """Keep a hold on a connection while it is opened, and afterwards."""
        if not _OPENING.acquire(timeout=cast("float", connection.timeout)):
            raise urllib3.exceptions.ConnectTimeoutError(connection, "too many are being opened")
        try:
            self.dialled += 1
            self.connected = False
            with self._lock:
                self._opening, self._socket = connection, None
            yield
        finally:
            _OPENING.release()
        self.connected = True
        with self._lock:
            # Kept apart: an answer may still be read after its connection has let go of it.
            self._socket = connection.sock
        if self.cut:  # pragma: no cover - a race
            self._cut(self.cut)

    def drop(self) -> None:
        """Let go of the connection; the next call opens another."""
        self._pools.clear()

    def close(self) -> None:
        """End the call under way, if there is one, and let go of the connection."""
        self._cut("closed")
        self.drop()

    def _cut(self, why: Literal["too late", "closed"]) -> None:
        """Let whoever reads from the connection, or writes to it, find its end."""
        with self._lock:
            self.cut = why
            cut = self._socket or (self._opening.sock if self._opening else None)
            if cut is not None:
                with suppress(OSError):
                    # Below TLS, whose own shutdown would change the object another thread uses.
                    socket.socket.shutdown(cut, socket.SHUT_RDWR)


def _classes(link: Connection) -> dict[str, type[HTTPConnection]]:
    """The connections of ``urllib3`` by their scheme, held by ``link``."""

    class Plain(HTTPConnection):
        response_class = _FinalResponse

        def connect(self) -> None:
            with link.opening(self):
                super().connect()

    class Secure(HTTPSConnection):
        response_class = _FinalResponse

        def connect(self) -> None:
            with link.opening(self):
                super().connect()

    return {"http": Plain, "https": Secure}


class _FinalResponse(http.client.HTTPResponse):
    """An answer after the interim ones before it, of which ``http.client`` passes over 100 only."""

    def begin(self) -> None:
        for _ in range(_MOST_INTERIM):
            super().begin()
            if not 100 < self.status < 200 or self.status == 101:
                return
            self.headers = self.msg = cast("http.client.HTTPMessage", None)
        raise http.client.HTTPException("too many interim answers")


def tls_context(tls: TlsSettings, where: str) -> ssl.SSLContext:
    """The context that verifies a cabinet's certificate; a file that changed is read again.

    Raises:
        TlsError: the file of authorities cannot be used.
    """
    try:
        status = tls.ca_file.stat() if tls.ca_file is not None else None
        return _context(tls, (status.st_mtime_ns, status.st_ino) if status else None)
    except OSError as error:
        # ssl.SSLError is one too; the file's path is the user's own.
        raise TlsError(f"{where}: tls.ca_file {tls.ca_file}: {error.strerror or error}") from None


@lru_cache(maxsize=64)
def _context(tls: TlsSettings, _changed: tuple[int, int] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
    if tls.ca_file is None:
        context.load_verify_locations(certifi.where())
    if tls.security_level is not None:
        context.set_ciphers(f"DEFAULT:@SECLEVEL={tls.security_level}")
        if tls.security_level == 0:
            # OpenSSL allows TLS 1.0 and 1.1 at this level; Python asks for 1.2 all the same.
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if tls.legacy_renegotiation:
        context.options |= _LEGACY_RENEGOTIATION
    return context


class Source(Protocol):
    """Where a body's bytes come from, as they were sent; a response of ``urllib3`` is one."""

    def read(self, amt: int, decode_content: bool) -> bytes:  # noqa: FBT001 - urllib3's signature
        """Read this many bytes, or fewer at the end."""


def read_body(source: Source, *, encoding: str, limit: float, where: str) -> bytes:
    """Read a body to its end, and unpack it, in bounded pieces.

    A small body can unpack to more than there is memory, and an endless one to nothing at all: so
    ``limit`` bounds its bytes both as sent and as unpacked.

    Raises:
        UndecodableError: it is longer, cut off, or not compressed as ``encoding`` says.
        Exception: of the source.
    """
    packed = encoding.strip().lower()
    body, sent, unpacker = bytearray(), 0, None
    while piece := source.read(_PIECE, decode_content=False):
        if packed not in ("", "identity", "gzip", "x-gzip"):
            raise UndecodableError(f"{where}: the answer is compressed in a way not asked for")
        sent += len(piece)
        if "gzip" not in packed:
            body += piece
            piece = b""
        while piece and len(body) <= limit:  # one or more members of gzip
            unpacker = unpacker or zlib.decompressobj(_GZIP_FORMAT)
            try:
                body += unpacker.decompress(piece, _PIECE)
            except zlib.error:
                raise UndecodableError(f"{where}: the answer's compression is broken") from None
            piece = unpacker.unconsumed_tail
            if unpacker.eof:
                piece, unpacker = unpacker.unused_data, None
        if max(sent, len(body)) > limit:
            raise UndecodableError(f"{where}: the answer is longer than {limit} bytes")
    if unpacker is not None:
        raise UndecodableError(f"{where}: the compressed answer is cut off")
    return bytes(body)
