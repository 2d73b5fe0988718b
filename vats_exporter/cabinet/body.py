"""The body of an answer: read in pieces, unpacked, and bounded both as sent and as unpacked.

A small answer can unpack to more than there is memory, and an endless one to nothing at all; so
both sizes count. Unpacking is done here, a bounded piece at a time, because libraries between us
and the wire differ in how much they unpack at once.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

from vats_exporter.cabinet.errors import UndecodableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE: Final = 64 * 1024
_PLAIN: Final = ("", "identity")
_GZIP: Final = ("gzip", "x-gzip")
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS


class Source(Protocol):
    """Where the bytes come from, as they were sent; a response of ``urllib3`` is one."""

    def read(self, amt: int, decode_content: bool) -> bytes:  # noqa: FBT001 - urllib3's signature
        """Read this many bytes, or fewer at the end."""


def read_body(source: Source, *, encoding: str, limit: int, where: str) -> bytes:
    """Read a body to its end, and unpack it.

    Args:
        source: where it comes from.
        encoding: the header ``Content-Encoding``.
        limit: its greatest length, in bytes, as sent and as unpacked.
        where: the call and the host, for errors.

    Raises:
        UndecodableError: it is longer than ``limit``, cut off, or not compressed as it says.
        Exception: of the source.
    """
    pieces = _pieces(source, limit, where)
    name = encoding.strip().lower()
    if name in _GZIP:
        return b"".join(_unpack(pieces, limit, where))
    body = b"".join(pieces)
    if name not in _PLAIN and body:
        raise UndecodableError(f"{where}: the answer is compressed in a way not asked for")
    return body


def _pieces(source: Source, limit: int, where: str) -> Iterator[bytes]:
    size = 0
    while piece := source.read(_PIECE, decode_content=False):
        size += len(piece)
        if size > limit:
            raise _too_long(limit, where)
        yield piece


def _unpack(pieces: Iterator[bytes], limit: int, where: str) -> Iterator[bytes]:
    """Unpack a body of one or more gzip members; one without any bytes is empty."""
    size = 0
    unpacker = None
    for piece in pieces:
        rest = piece
        while rest:
            unpacker = unpacker or zlib.decompressobj(_GZIP_FORMAT)
            try:
                unpacked = unpacker.decompress(rest, _PIECE)
            except zlib.error:
                raise UndecodableError(f"{where}: the answer's compression is broken") from None
            size += len(unpacked)
            if size > limit:
                raise _too_long(limit, where)
            yield unpacked
            rest = unpacker.unconsumed_tail
            if unpacker.eof:
                rest, unpacker = unpacker.unused_data, None
    if unpacker is not None:
        raise UndecodableError(f"{where}: the compressed answer is cut off")


def _too_long(limit: int, where: str) -> UndecodableError:
    return UndecodableError(f"{where}: the answer is longer than {limit} bytes")
