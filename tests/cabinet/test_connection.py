"""One connection, of which few are opened at the same time, and which can be cut from outside."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from vats_exporter.cabinet import connection
from vats_exporter.cabinet.connection import Connection
from vats_exporter.cabinet.settings import Timeouts, TlsSettings
from vats_exporter.cabinet.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0


class Silent:
    """Accepts connections and never answers, so that a TLS handshake takes until it is cut."""

    def __init__(self) -> None:
        self.accepted = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}/"

    def drop(self) -> None:
        """End the connection that was accepted first."""
        self._open.pop(0).close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            one.close()
        self._thread.join(PATIENCE)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._open.append(self._listener.accept()[0])
                self.accepted.release()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def opening(url: str, connect: float) -> threading.Thread:
    """Begin a request that ends with an error, whenever that is."""
    timeouts = Timeouts(connect=connect, read=connect, call=connect)
    made = Connection(tls_context(TlsSettings(), "host"), None)

    def send() -> None:
        with contextlib.suppress(Exception):
            made.send("GET", url, None, {}, timeouts)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_no_more_connections_are_opened_at_the_same_time_than_that(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connection._OPENING._value == 32
    monkeypatch.setattr(connection, "_OPENING", threading.BoundedSemaphore(2))
    threads = [opening(silent.url, PATIENCE) for _ in range(4)]
    for _ in range(2):
        assert silent.accepted.acquire(timeout=PATIENCE)
    assert not silent.accepted.acquire(timeout=0.2)
    silent.drop()
    assert silent.accepted.acquire(timeout=PATIENCE)  # the next one's turn
    silent.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_who_waits_too_long_for_a_turn_has_a_timeout(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    none_left = threading.BoundedSemaphore(1)
    none_left.acquire()
    monkeypatch.setattr(connection, "_OPENING", none_left)
    thread = opening(silent.url, 0.1)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not silent.accepted.acquire(blocking=False)
