"""A body is read whole, or refused: never past its bound, packed or unpacked."""

from __future__ import annotations

import contextlib
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.cabinet.body import read_body
from vats_exporter.cabinet.errors import UndecodableError


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
