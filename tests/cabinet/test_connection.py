"""Few connections are opened at the same time, and no body is read past its bound."""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.cabinet import connection
from vats_exporter.cabinet.connection import Connection, read_body, tls_context
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.settings import Timeouts, TlsSettings

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


# -- bodies: read whole, or refused


class Pieces:
    """A source that gives as much as it is asked for at most, and counts it."""

    def __init__(self, data: bytes, at_once: int = 1 << 20) -> None:
        self.stream = io.BytesIO(data)
        self.at_once = at_once
        self.given = 0

    def read(self, amt: int, decode_content: bool) -> bytes:
        assert not decode_content
        piece = self.stream.read(min(amt, self.at_once))
        self.given += len(piece)
        return piece


def read(data: bytes, encoding: str = "", *, limit: int = 1 << 20, at_once: int = 1 << 20) -> bytes:
    return read_body(Pieces(data, at_once), encoding=encoding, limit=limit, where="list: host")


@given(st.binary(max_size=5000), st.integers(1, 700), st.integers(0, 9))
def test_what_was_packed_is_unpacked_whatever_the_pieces(
    body: bytes, at_once: int, level: int
) -> None:
    packed = gzip.compress(body, level)
    assert read(packed, "gzip", at_once=at_once) == body
    assert read(packed, " X-GZIP ", at_once=at_once) == body
    assert read(body, at_once=at_once) == body


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 99))
def test_members_of_a_packed_body_are_joined(bodies: list[bytes], at_once: int) -> None:
    packed = b"".join(gzip.compress(body) for body in bodies)
    assert read(packed, "gzip", at_once=at_once) == b"".join(bodies)


@given(st.data(), st.binary(min_size=1, max_size=500))
def test_a_packed_body_that_is_cut_off_is_refused(data: st.DataObject, body: bytes) -> None:
    packed = gzip.compress(body)
    length = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(UndecodableError, match="cut off"):
        read(packed[:length], "gzip")


@given(st.binary(max_size=300), st.sampled_from(["gzip", "identity", "br", "deflate", "x"]))
def test_any_bytes_are_a_body_or_undecodable(data: bytes, encoding: str) -> None:
    with contextlib.suppress(UndecodableError):
        read(data, encoding)


def test_nothing_is_an_empty_body_whatever_the_encoding() -> None:
    for encoding in ("", "identity", "gzip", "br"):
        assert read(b"", encoding) == b""


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_bound_is_exact(encoding: str) -> None:
    body = b"x" * 200_000
    sent = gzip.compress(body) if encoding else body
    assert read(sent, encoding, limit=200_000) == body
    with pytest.raises(UndecodableError, match="longer than 199999 bytes"):
        read(sent, encoding, limit=199_999)


def test_little_is_read_past_the_bound() -> None:
    source = Pieces(bytes(10_000_000))
    with pytest.raises(UndecodableError):
        read_body(source, encoding="", limit=100_000, where="list: host")
    assert source.given < 200_000


def test_a_bomb_is_noticed_early() -> None:
    packed = gzip.compress(bytes(100_000_000))
    source = Pieces(packed, at_once=1000)
    with pytest.raises(UndecodableError, match="longer than 1000000 bytes"):
        read_body(source, encoding="gzip", limit=1_000_000, where="list: host")
    assert source.given < len(packed) / 20


def test_an_error_says_where() -> None:
    with pytest.raises(UndecodableError, match=r"^list: host: "):
        read(b"no gzip", "gzip")
