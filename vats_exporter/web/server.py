"""The HTTP server: the standard library's, a thread a connection, with limits on what clients take.

It accepts connections and ends those that are overdue; :mod:`vats_exporter.web.handler` reads and
answers requests. It knows no path and no metric.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.logs.logger import get_logger
from vats_exporter.redaction import describe_unexpected
from vats_exporter.web.addresses import ListenAddress
from vats_exporter.web.connections import Connections, Limits
from vats_exporter.web.handler import Handler, Service
from vats_exporter.web.log_limit import LogLimit
from vats_exporter.web.protection import Protection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vats_exporter.web.messages import Request, Response

_LOOK_EVERY: Final = 0.1
"""Seconds between two looks at the connections' deadlines, and at whether to stop."""

_PAUSE: Final = 0.05
"""Seconds before the next try to accept a connection, where the system could not."""

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\nToo many connections are open.\n"
)

_log = get_logger(__name__)


class WebServer:
    """An HTTP server. Listens from its construction on, and answers from :meth:`start` on.

    Args:
        addresses: where to listen, one at least.
        respond: answers a request; called from many threads.
        limits: what clients may take, of all addresses together.
        protection: TLS, passwords and headers; none if not given.

    Attributes:
        addresses: where it listens, with the ports it got.

    Raises:
        OSError: an address cannot be listened on; its ``filename`` is the address.
    """

    def __init__(
        self,
        addresses: Iterable[ListenAddress],
        respond: Callable[[Request], Response],
        *,
        limits: Limits | None = None,
        protection: Protection | None = None,
    ) -> None:
        limits = limits or Limits()
        self.connections: Final = Connections(limits)
        self._service = Service(respond, protection or Protection(), limits, self.connections)
        self._listeners: list[_Listener] = []
        try:
            for address in addresses:
                self._listeners.append(_Listener(address, self._service))
        except OSError:
            self.stop()
            raise
        self.addresses: Final = [listener.address for listener in self._listeners]

    @property
    def url(self) -> str:
        """A URL that reaches the server from this machine, without a slash at the end."""
        url = self.addresses[0].url
        return url.replace("http:", "https:", 1) if self._service.protection.encrypted else url

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
        self._service.stopping = True
        for listener in self._listeners:
            if listener.thread.is_alive():
                listener.shutdown()
            listener.server_close()
        self.connections.end_all(max(0.0, deadline - time.monotonic()))


class _Listener(ThreadingHTTPServer):
    """One address, and the thread that accepts its connections."""

    block_on_close = False

    def __init__(self, address: ListenAddress, service: Service) -> None:
        super().__init__((address.host, address.port), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = address.listen()
        # A client may be gone before it is accepted; the loop must not wait for the next one.
        self.socket.setblocking(False)  # noqa: FBT003 - the socket's own interface
        self.address = ListenAddress(address.host, self.socket.getsockname()[1])
        self.thread = threading.Thread(
            target=self.serve_forever, args=(_LOOK_EVERY,), name="web", daemon=True
        )
        self._service = service
        self._connections = service.connections
        self._failures = LogLimit()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection."""
        try:
            client, address = self.socket.accept()
        except BlockingIOError:
            raise
        except OSError as error:
            # No descriptors left, most likely. An ended connection's thread gives its own back;
            # until then each turn of the loop would fail the same way.
            self._connections.make_room()
            if self._failures.allows(str(error.errno)):
                _log.warning("connection not accepted", error=error.strerror)
            time.sleep(_PAUSE)
            raise
        client.setblocking(True)  # noqa: FBT003 - the socket's own interface
        return client, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a client in a thread of its own, where there is room for one."""
        try:
            if self._connections.admit(request):
                super().process_request(request, client_address)
                return
        except RuntimeError:  # the system has no more threads
            self._connections.forget(request)
        with contextlib.suppress(OSError), request:
            request.setblocking(False)  # noqa: FBT003 - the socket's own interface
            request.send(_FULL)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end; the body of its thread."""
        connection = self._connections.get(request)
        if connection is None:
            return
        try:
            Handler(self._service, connection, request, client_address, self)
        finally:
            self._connections.forget(request)
            connection.socket.close()

    def service_actions(self) -> None:
        """End overdue connections; called with each turn of the loop."""
        self._connections.end_overdue()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """Log a bug; a client that is gone, or was refused by TLS, is none."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            _log.error("connection failed", error=describe_unexpected(error))
