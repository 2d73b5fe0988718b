"""Prometheus' exposition formats: what prometheus_client writes, and the trunks' lines as bytes.

The lines of ten thousand trunks are written here, all of a family at once; everything else is given
to prometheus_client. The bytes are those of its ``generate_latest`` for the same families.
"""

from __future__ import annotations

import re
import threading
import zlib
from enum import Enum
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vats_exporter.metrics.table import Metric

_number: Callable[[float], str] = floatToGoString

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SEPARATOR: Final = "\x00"
_END: Final = b"# EOF\n"

_SMALL: Final = 1 << 20
"""Bytes of a page up to which it is sent as one piece; a larger one is never copied."""


class Format(Enum):
    """A format of the page."""

    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"


class Negotiated(NamedTuple):
    """The format that a scraper's ``Accept`` asks for, and the answer's content type."""

    format: Format
    content_type: str


@lru_cache(maxsize=64)
def negotiate(accept: str) -> Negotiated:
    """Choose the format by ``Accept``, as prometheus_client does."""
    # Of the escaping schemes, this is the only one that would change the exporter's names.
    accept = accept.replace("escaping=dots", "escaping=underscores")
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        _, content_type = choose_encoder("")
    return Negotiated(Format(content_type.partition(";")[0]), content_type)


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str) -> bool:
    """Tell by ``Accept-Encoding`` whether a client takes gzip."""
    offers = [offer.partition(";") for offer in accept_encoding.lower().split(",")]
    quality = {coding.strip(): parameters for coding, _, parameters in offers}
    return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", quality.get("gzip", quality.get("*", "q=0")))


def gauge(metric: Metric, *samples: tuple[Sequence[str], float]) -> GaugeMetricFamily:
    """Make a family of gauges; of each sample the labels' values and the value."""
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(list(map(clean, labels)), value)
    return family


def counter(metric: Metric, value: float) -> CounterMetricFamily:
    """Make a family of one counter without labels."""
    return CounterMetricFamily(metric.name, metric.help, value=value)


class _Families(list[Family]):
    def collect(self) -> Iterable[Family]:
        return self


def encode(families: Iterable[Family], form: Format) -> bytes:
    """Write families as prometheus_client does, without the end that OpenMetrics has."""
    generate = generate_openmetrics if form is Format.OPENMETRICS else generate_latest
    return generate(_Families(families)).removesuffix(_END)


def header(metric: Metric, form: Format) -> bytes:
    """Write the lines before a family's samples."""
    return encode([Family(metric.name.removesuffix("_total"), metric.help, metric.type)], form)


def clean(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold, by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text  # trying takes a third of the time of looking for one


def _escape(text: str) -> str:
    return clean(text).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _escape_column(texts: Sequence[str]) -> list[bytes]:
    """Escape texts for the place between a label's quotes, all at once and so much faster."""
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) != len(texts) - 1:  # a text holds the separator, or there is none
        return [_escape(text).encode() for text in texts]
    return _escape(joined).encode().split(_SEPARATOR.encode())


def label_column(labels: Mapping[str, str | Sequence[str]], size: int) -> list[bytes]:
    """Write what stands between the braces of many samples of one family.

    Args:
        labels: by name, one value for all samples or a sequence of ``size`` values.
        size: the number of samples.
    """
    pieces: list[bytes] = []
    columns: list[list[bytes]] = []
    for name, values in sorted(labels.items()):
        if isinstance(values, str):
            pieces.append(f'{name}="{_escape(values)}"'.replace("%", "%%").encode())
        else:
            pieces.append(f'{name}="%b"'.encode())
            columns.append(_escape_column(values))
    template = b",".join(pieces)
    rows = zip(*columns, strict=True) if columns else repeat((), size)
    return list(map(template.__mod__, rows))


def flag_lines(name: str, labels: Sequence[bytes], flags: Iterable[bool]) -> bytes:
    """Write one sample a line, with value 1 for true and 0 for false."""
    ends = (b"} 0.0\n", b"} 1.0\n")
    return _lines(name, labels, [ends[flag] for flag in flags])


def value_lines(name: str, labels: Sequence[bytes], values: Iterable[float]) -> bytes:
    """Write one sample a line."""
    return _lines(name, labels, [f"}} {_number(value)}\n".encode() for value in values])


def _lines(name: str, labels: Sequence[bytes], ends: Sequence[bytes]) -> bytes:
    """Write lines of labels and what comes after them, from the closing brace on."""
    # One join of all the lines' pieces takes a quarter of the time of making each line.
    pieces = [f"{name}{{".encode(), b"", b""] * len(labels)
    pieces[1::3] = labels
    pieces[2::3] = ends
    return b"".join(pieces)


class Body(NamedTuple):
    """What is sent: pieces one after the other, and ``gzip`` or nothing."""

    chunks: tuple[bytes, ...]
    length: int
    encoding: str


class Page:
    """A whole page, with one compressed copy that is made when first asked for."""

    def __init__(self, chunks: Iterable[bytes], form: Format) -> None:
        pieces = tuple(filter(None, (*chunks, _END if form is Format.OPENMETRICS else b"")))
        length = sum(map(len, pieces))
        self._plain = Body(pieces if length > _SMALL else (b"".join(pieces),), length, "")
        self._packed: Body | None = None
        self._packing = threading.Lock()

    def body(self, *, compress: bool) -> Body:
        """Return the page as it is sent, as one gzip member if it is compressed."""
        if not compress:
            return self._plain
        with self._packing:
            if self._packed is None:
                # Level 9 makes a page a third smaller and takes seven times as long.
                packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
                packed = b"".join([*map(packer.compress, self._plain.chunks), packer.flush()])
                self._packed = Body((packed,), len(packed), "gzip")
            return self._packed
