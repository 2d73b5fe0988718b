"""The connection under a transport: one, kept between calls, that can be cut from outside."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    from vats_exporter.address import Proxy
    from vats_exporter.cabinet.settings import Timeouts

_OPENING: Final = threading.BoundedSemaphore(32)
"""Connections that the process opens at the same time: hundreds of accounts start at once."""

_MOST_INTERIM: Final = 16
"""Interim answers, such as 103 Early Hints, that may come before one answer."""


class Connection:
    """What a transport sends through: one connection, opened when it is needed.

    Attributes:
        dialled: how many connections were begun.
        opened: how many of them were made, TLS included.
        closes: how often :meth:`close` was called.
        expired: whether the time of the latest :meth:`limited` block ran out.
    """

    def __init__(self, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        self.dialled = 0
        self.opened = 0
        self.closes = 0
        self.expired = False
        self._lock = threading.Lock()
        self._opening: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        options: dict[str, Any] = {"maxsize": 1, "ssl_context": context}
        self._pools = (
            urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
            if proxy
            else urllib3.PoolManager(**options)
        )
        self._kinds = {"http": partial(_Plain, link=self), "https": partial(_Secure, link=self)}

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeouts: Timeouts,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and give the answer once its head is there.

        Raises:
            Exception: of ``urllib3``, ``http.client``, ``ssl`` or the system.
        """
        pool = self._pools.connection_from_url(url)
        pool.ConnectionCls = cast("Any", self._kinds[pool.scheme or "http"])
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

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Cut the connection if the block takes longer than this; ``expired`` tells."""
        self.expired = False

        def cut() -> None:
            with self._lock:
                self.expired = True
                self._cut()

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    @contextmanager
    def opening(self, connection: HTTPConnection, within: float) -> Iterator[None]:
        """Keep a hold on a connection while it is opened, and afterwards."""
        if not _OPENING.acquire(timeout=within):
            raise urllib3.exceptions.ConnectTimeoutError(connection, "too many are being opened")
        try:
            with self._lock:
                self.dialled += 1
                self._opening, self._socket = connection, None
            yield
        finally:
            _OPENING.release()
        with self._lock:
            self.opened += 1
            # Kept apart: an answer may still be read after its connection has let go of it.
            self._socket = connection.sock
            if self.expired:  # pragma: no cover - a race
                self._cut()

    def drop(self) -> None:
        """Let go of the connection; the next call opens another."""
        self._pools.clear()

    def close(self) -> None:
        """End the call under way, if there is one, and let go of the connection."""
        with self._lock:
            self.closes += 1
            self._cut()
        self.drop()

    def _cut(self) -> None:
        """Let whoever reads from the connection, or writes to it, find its end."""
        cut = self._socket or (self._opening.sock if self._opening else None)
        if cut is not None:
            with suppress(OSError):
                # Below TLS, whose own shutdown would change the object another thread is using.
                socket.socket.shutdown(cut, socket.SHUT_RDWR)


class _FinalResponse(http.client.HTTPResponse):
    """An answer after the interim ones before it, of which ``http.client`` passes over 100 only."""

    def begin(self) -> None:
        for _ in range(_MOST_INTERIM):
            super().begin()
            if not 100 < self.status < 200 or self.status == 101:
                return
            self.headers = self.msg = cast("http.client.HTTPMessage", None)
        raise http.client.HTTPException("too many interim answers")


class _Plain(HTTPConnection):
    response_class = _FinalResponse

    def __init__(self, *arguments: Any, link: Connection, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._link = link

    def connect(self) -> None:
        with self._link.opening(self, cast("float", self.timeout)):
            super().connect()


class _Secure(HTTPSConnection):
    response_class = _FinalResponse

    def __init__(self, *arguments: Any, link: Connection, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._link = link

    def connect(self) -> None:
        with self._link.opening(self, cast("float", self.timeout)):
            super().connect()
