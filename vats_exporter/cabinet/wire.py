"""The socket under a transport: trust, one connection, and a way to cut it from outside."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import certifi
import urllib3
from requests.adapters import HTTPAdapter

from vats_exporter.cabinet.errors import TlsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.cabinet.settings import TlsSettings


def ssl_context(tls: TlsSettings, host: str) -> ssl.SSLContext:
    """Make the context that verifies a cabinet's certificate.

    Args:
        tls: whom to trust, and how strong the parameters must be.
        host: for the error.

    Raises:
        TlsError: the file of authorities cannot be used.
    """
    try:
        if tls.ca_file is not None:
            context = ssl.create_default_context(cafile=str(tls.ca_file))
        else:
            context = ssl.create_default_context()
            context.load_verify_locations(certifi.where())
    except OSError as error:
        # ssl.SSLError is one too; the file's path is the user's own.
        raise TlsError(f"{host}: tls.ca_file {tls.ca_file}: {error.strerror or error}") from None
    if tls.security_level is not None:
        context.set_ciphers(f"DEFAULT:@SECLEVEL={tls.security_level}")
    return context


class Watch:
    """One call's clock: whether it ran out."""

    expired = False


class Wire:
    """The one connection of a transport, as far as it must be cut from outside.

    Attributes:
        dialled: how many connections were begun.
        opened: how many of them were made, TLS included.
        closes: how often a call under way was to be ended by closing.
    """

    def __init__(self) -> None:
        self.dialled = 0
        self.opened = 0
        self.closes = 0
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._watch = Watch()

    def keep(self, connected: socket.socket) -> None:
        """Remember a new connection; cut it at once if it came too late."""
        with self._lock:
            self.opened += 1
            self._socket = connected
            if self._watch.expired:  # pragma: no cover - a race
                self._shut()

    def close(self) -> None:
        """End the call under way, if there is one."""
        with self._lock:
            self.closes += 1
            self._shut()

    @contextlib.contextmanager
    def cut_after(self, seconds: float) -> Iterator[Watch]:
        """Shut the connection down if the block takes longer than this."""
        watch = self._watch = Watch()

        def cut() -> None:
            with self._lock:
                watch.expired = True
                self._shut()

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield watch
        finally:
            timer.cancel()
            timer.join()

    def _shut(self) -> None:
        """Let whoever reads from the connection, or writes to it, find its end."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Below TLS, whose own shutdown would change the object another thread is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Adapter(HTTPAdapter):
    """One connection, our own trust, and a handle on the socket."""

    def __init__(self, wire: Wire, context: ssl.SSLContext) -> None:
        self._wire = wire
        self._context = context
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=True)

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,  # noqa: FBT001, FBT002 - the overridden signature
        **kwargs: Any,
    ) -> None:
        """Make the pool, with our trust and with connections that show their socket."""
        super().init_poolmanager(
            connections, maxsize, block=block, ssl_context=self._context, **kwargs
        )
        wire = self._wire

        class Plain(urllib3.connection.HTTPConnection):
            def connect(self) -> None:
                wire.dialled += 1
                super().connect()
                wire.keep(self.sock)

        class Secure(urllib3.connection.HTTPSConnection):
            def connect(self) -> None:
                wire.dialled += 1
                super().connect()
                wire.keep(self.sock)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - the overridden signature
        """Leave trust to the context: it verifies always, and by the configured authorities."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None
        conn.ca_cert_dir = None
