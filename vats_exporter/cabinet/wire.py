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
        if tls.security_level is not None:
            context.set_ciphers(f"DEFAULT:@SECLEVEL={tls.security_level}")
    except OSError as error:
        # ssl.SSLError is one too; the file's path is the user's own.
        raise TlsError(f"{host}: tls.ca_file {tls.ca_file}: {error.strerror or error}") from None
    return context


class Watch:
    """One call's clock: whether it ran out."""

    expired = False


class Wire:
    """The one connection of a transport, as far as it must be cut from outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    @property
    def connected(self) -> bool:
        """Whether a connection is kept."""
        return self._socket is not None

    def opened(self, raw: socket.socket) -> None:
        """Keep a handle of a new connection; TLS takes the socket itself away from its object."""
        with self._lock:
            self._drop()
            self._socket = raw.dup()

    def closed(self) -> None:
        """Give the handle back."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @contextlib.contextmanager
    def cut_after(self, seconds: float) -> Iterator[Watch]:
        """Shut the connection down if the block takes longer than this."""
        watch = Watch()

        def cut() -> None:
            watch.expired = True
            with self._lock:
                if self._socket is not None:
                    with contextlib.suppress(OSError):
                        self._socket.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield watch
        finally:
            timer.cancel()


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
            def _new_conn(self) -> socket.socket:
                raw = super()._new_conn()
                wire.opened(raw)
                return raw

            def close(self) -> None:
                super().close()
                wire.closed()

        class Secure(urllib3.connection.HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                raw = super()._new_conn()
                wire.opened(raw)
                return raw

            def close(self) -> None:
                super().close()
                wire.closed()

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
