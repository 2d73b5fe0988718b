r"""Prometheus' exposition formats, written fast: bytes that are made once and sent many times.

It knows the two formats, text 0.0.4 and OpenMetrics 1.0, and nothing of trunks or cabinets. The
bytes are those of ``prometheus_client.generate_latest`` for the same families.

How a page is put together::

    page    = part, part, …, tail                 blocks in a row, never joined: they are sent so
    part    = blocks that change at their own time
    block   = a header, or one family's samples of one account
                ├── raw        bytes; samples look the same in both formats, only headers differ
                └── deflated   the same, compressed once, ending at a byte's boundary

A gzip member is a deflate stream with a frame: ten bytes before it, checksum and length after. Each
block is deflated on its own and flushed, so the stream of any row of blocks is their deflated bytes
in that row, then the two bytes of an empty last block. So a refresh compresses one account's
samples and no other's, and a scrape compresses only what changed since the one before.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MetricType = Literal["gauge", "counter", "histogram"]

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SEPARATOR: Final = "\x00"

_NOT_FINITE: Final = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}

_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # no name, no time, fast, any OS
_LAST_BLOCK: Final = b"\x03\x00"
_LEVEL: Final = 1
"""Of compression. Level 9 makes a page a third smaller and takes seven times as long."""


class Format(Enum):
    """A format of the page; the value is its content type without parameters of the request."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    __hash__ = object.__hash__  # an enum's own is Python code, run in every scrape


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a scraper's ``Accept`` comes to.

    Attributes:
        format: how the page is written.
        content_type: how the answer calls it.
    """

    format: Format
    content_type: str


@lru_cache(maxsize=64)
def negotiate(accept: str) -> Negotiated:
    """Choose the format a scraper likes best.

    Text 0.0.4, text 1.0.0 and OpenMetrics from 1.0.0 on are offered; anything else, and an absent
    header, gets text 0.0.4. A name escaping scheme is confirmed where it leaves this exporter's
    names as they are, which is everywhere but with ``dots``.

    Args:
        accept: the header's value; empty where there is none.
    """
    best = Negotiated(Format.TEXT, Format.TEXT.value)
    best_quality = 0.0
    for offer in accept.split(","):
        media_type, *parameters = (piece.strip() for piece in offer.split(";"))
        given = {
            key.strip().lower(): value.strip().strip('"')
            for key, _, value in (parameter.partition("=") for parameter in parameters)
        }
        answer = _offered(media_type.lower(), given)
        quality = _quality(given.get("q", "1"))
        if answer is not None and quality > best_quality:
            best, best_quality = answer, quality
    return best


def _offered(media_type: str, given: Mapping[str, str]) -> Negotiated | None:
    version = given.get("version", "")
    escaping = given.get("escaping", "")
    # What the scheme would do to a name with underscores; of the four only dots changes it.
    confirmed = "underscores" if escaping == "dots" else escaping
    known = confirmed in {"allow-utf-8", "underscores", "values"}
    suffix = f"; escaping={confirmed}" if known else ""
    if media_type == "application/openmetrics-text":
        if version and not _at_least_1(version):
            return None
        return Negotiated(Format.OPENMETRICS, Format.OPENMETRICS.value + suffix)
    if media_type == "text/plain" and version and _at_least_1(version):
        return Negotiated(Format.TEXT, "text/plain; version=1.0.0; charset=utf-8" + suffix)
    if media_type in {"text/plain", "text/*", "*/*"}:
        return Negotiated(Format.TEXT, Format.TEXT.value)
    return None


def _at_least_1(version: str) -> bool:
    major = version.partition(".")[0]
    # Not as a number: int() refuses thousands of digits.
    return major.isascii() and major.isdigit() and major.strip("0") != ""


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    # The comparison also refuses NaN.
    return quality if 0.0 <= quality <= 1.0 else 0.0


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client takes gzip.

    Args:
        accept_encoding: the header's value; empty where there is none.
    """
    wanted = {"gzip": 0.0, "*": 0.0}
    named = False
    for offer in accept_encoding.split(","):
        coding, *parameters = (piece.strip().lower() for piece in offer.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if coding in wanted:
            wanted[coding] = _quality(quality)
            named = named or coding == "gzip"
    return wanted["gzip" if named else "*"] > 0.0


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family's name, type and description.

    Attributes:
        name: as its samples are called; a counter's ends with ``_total``.
        type: of the metric.
        help: one sentence.
    """

    name: str
    type: MetricType
    help: str

    def header(self, form: Format) -> bytes:
        """Return the lines before the family's samples."""
        text = self.help.replace("\\", r"\\").replace("\n", r"\n")
        name = self.name
        if form is Format.OPENMETRICS:
            text = text.replace('"', r"\"")
            if self.type == "counter":
                name = name.removesuffix("_total")
        return f"# HELP {name} {text}\n# TYPE {name} {self.type}\n".encode()


def clean(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold, by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text  # trying takes a third of the time of looking for one


def escape(text: str) -> str:
    """Return a text as it stands between a label's quotes."""
    return clean(text).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def escape_column(texts: Sequence[str]) -> list[bytes]:
    """Return the same as :func:`escape` of each text, as UTF-8, all at once and so much faster."""
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) != len(texts) - 1:  # a text holds the separator, or there is none
        return [escape(text).encode() for text in texts]
    return escape(joined).encode().split(_SEPARATOR.encode())


def label_text(labels: Mapping[str, str]) -> str:
    """Write labels as they stand between a sample's braces, in the order of their names."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in sorted(labels.items()))


def label_column(labels: Mapping[str, str | Sequence[str]], size: int) -> list[bytes]:
    """Write the labels of many samples of one family.

    Args:
        labels: by name, one value for all samples or a sequence of ``size`` values.
        size: the number of samples.

    Returns:
        what stands between the braces of each.
    """
    pieces: list[bytes] = []
    columns: list[list[bytes]] = []
    for name, values in sorted(labels.items()):
        if isinstance(values, str):
            pieces.append(f'{name}="{escape(values)}"'.replace("%", "%%").encode())
        else:
            pieces.append(f'{name}="%b"'.encode())
            columns.append(escape_column(values))
    template = b",".join(pieces)
    rows = zip(*columns, strict=True) if columns else repeat((), size)
    return list(map(template.__mod__, rows))


def flag_lines(name: str, labels: Sequence[bytes], flags: Sequence[bool]) -> bytes:
    """Write one sample a line, with value 1 for true and 0 for false.

    Args:
        name: of the samples.
        labels: what stands between each sample's braces.
        flags: their values, as many.
    """
    ends = (b"} 0.0\n", b"} 1.0\n")
    return _lines(name, labels, [ends[flag] for flag in flags])


def value_lines(name: str, labels: Sequence[bytes], values: Sequence[float]) -> bytes:
    """Write one sample a line.

    Args:
        name: of the samples.
        labels: what stands between each sample's braces.
        values: as many.
    """
    return _lines(name, labels, [f"}} {number(value)}\n".encode() for value in values])


def _lines(name: str, labels: Sequence[bytes], ends: Sequence[bytes]) -> bytes:
    """Write lines of labels and what comes after them, from the closing brace on."""
    # One join of all the lines' pieces takes a quarter of the time of making each line.
    pieces = [f"{name}{{".encode(), b"", b""] * len(labels)
    pieces[1::3] = labels
    pieces[2::3] = ends
    return b"".join(pieces)


def number(value: float) -> str:
    """Write a sample's value as Go does: from a million on, with an exponent.

    Args:
        value: any float.
    """
    text = repr(float(value))
    # From 1e16 on Python writes an exponent itself.
    if 1e6 <= value < 1e16:
        whole, _, fraction = text.partition(".")
        mantissa = f"{whole[0]}.{whole[1:]}{fraction}".rstrip("0").rstrip(".")
        return f"{mantissa}e+{len(whole) - 1:02d}"
    return _NOT_FINITE.get(text, text)


def sample_line(name: str, labels: str, value: float) -> str:
    """Write one sample.

    Args:
        name: of the sample; a histogram's has its suffix.
        labels: what stands between its braces; empty for none.
        value: any float.
    """
    braced = f"{{{labels}}}" if labels else ""
    return f"{name}{braced} {number(value)}\n"


class Block:
    """Bytes of a page, and the same compressed. Never changed.

    Args:
        raw: whole lines.
    """

    __slots__ = ("_deflated", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: Final = raw
        self._deflated: bytes | None = None

    @property
    def deflated(self) -> bytes:
        """The same as a piece of a deflate stream; compressed when first asked for."""
        # Two threads that come at once do the same work twice, which is cheaper than a lock.
        if self._deflated is None:
            packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
            self._deflated = packer.compress(self.raw) + packer.flush(zlib.Z_FULL_FLUSH)
        return self._deflated


class Part:
    """A row of blocks that stays as it is for a while.

    Args:
        blocks: in their order; empty ones are left out.
    """

    __slots__ = ("_checked", "blocks", "length")

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks: Final = tuple(block for block in blocks if block.raw)
        self.length: Final = sum(len(block.raw) for block in self.blocks)
        self._checked: tuple[int, int] | None = None

    def checksum(self, start: int) -> int:
        """Return the CRC-32 of what comes before, continued over this part.

        The latest answer is kept: as long as nothing before this part changes, no byte is read
        again.
        """
        if self._checked is None or self._checked[0] != start:
            total = start
            for block in self.blocks:
                total = zlib.crc32(block.raw, total)
            self._checked = (start, total)
            return total
        return self._checked[1]


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent.

    Attributes:
        chunks: bytes, to be sent one after the other.
        length: of all of them.
        encoding: ``gzip``, or empty.
    """

    chunks: tuple[bytes, ...]
    length: int
    encoding: str


class Page:
    """A whole page: parts in a row. Never changed; bodies are made when first asked for.

    Args:
        parts: from the one that changes least to the one that changes most.
    """

    __slots__ = ("_bodies", "_parts")

    def __init__(self, *parts: Part) -> None:
        self._parts: Final = parts
        self._bodies: dict[bool, Body] = {}

    def body(self, *, compress: bool) -> Body:
        """Return the page as it is sent.

        Args:
            compress: as one gzip member.
        """
        body = self._bodies.get(compress)
        if body is None:
            body = self._gzipped() if compress else self._plain()
            self._bodies[compress] = body
        return body

    def _plain(self) -> Body:
        chunks = tuple(block.raw for part in self._parts for block in part.blocks)
        return Body(chunks, sum(part.length for part in self._parts), "")

    def _gzipped(self) -> Body:
        checksum = 0
        for part in self._parts:
            checksum = part.checksum(checksum)
        length = sum(part.length for part in self._parts) & 0xFFFFFFFF
        pieces = (block.deflated for part in self._parts for block in part.blocks)
        trailer = checksum.to_bytes(4, "little") + length.to_bytes(4, "little")
        chunks = (_GZIP_HEAD, *pieces, _LAST_BLOCK + trailer)
        return Body(chunks, sum(map(len, chunks)), "gzip")
