"""Prometheus' exposition formats: what prometheus_client writes, and a snapshot's lines as bytes.

The lines of ten thousand trunks are written here, all of a family at once; everything else is given
to prometheus_client. The bytes are those of its ``generate_latest`` for the same families.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from types import SimpleNamespace
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from vats_exporter.history.history import Changes
from vats_exporter.metrics import table
from vats_exporter.metrics.table import Metric
from vats_exporter.redaction import Privacy
from vats_exporter.trunks import FLAGS, Snapshot, Trunk

_Column = list[float | None]  # of one value for each trunk; None where it is not known

_number: Final[Callable[[float | None], str]] = floatToGoString
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SEPARATOR: Final = "\x00"
_END: Final = b"# EOF\n"
_SMALL: Final = 1 << 20  # bytes of a page that is sent as one piece; a larger one is not copied


class Format(Enum):
    """A format of the page."""

    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"


@lru_cache(maxsize=64)
def negotiate(accept: str) -> tuple[Format, str]:
    """Choose format and content type by a scraper's ``Accept``, as prometheus_client does."""
    # Of the escaping schemes, this is the only one that would change the exporter's names.
    accept = accept.replace("escaping=dots", "escaping=underscores")
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        _, content_type = choose_encoder("")
    return Format(content_type.partition(";")[0]), content_type


def family(metric: Metric, *samples: tuple[Sequence[str], float]) -> Family:
    """Make a family; of each sample the labels' values and the value."""
    made = Family(metric.name.removesuffix("_total"), metric.help, metric.type)
    for values, value in samples:
        labels = dict(zip(metric.labels, map(clean, values), strict=True))
        made.add_sample(metric.name, labels, value)
    return made


def encode(families: Iterable[Family], form: Format) -> bytes:
    """Write families as prometheus_client does, without the end that OpenMetrics has."""
    generate = generate_openmetrics if form is Format.OPENMETRICS else generate_latest
    return generate(SimpleNamespace(collect=families.__iter__)).removesuffix(_END)


def clean(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold, by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text  # trying takes a third of the time of looking for one


def escape_column(texts: Sequence[str]) -> list[bytes]:
    """Escape texts for the place between a label's quotes, all at once and so much faster."""
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) >= len(texts):  # a text holds the separator, or there is none
        return [b"\0".join(escape_column(text.split(_SEPARATOR))) for text in texts]
    escaped = clean(joined).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return escaped.encode().split(b"\0")


def sample_lines(
    name: str, shared: bytes, own: Sequence[bytes], values: Sequence[float | None]
) -> bytes:
    """Write one sample a line: the labels that all share, its own, its value.

    An unknown value has no line.
    """
    if None in values:
        own = [labels for labels, value in zip(own, values, strict=True) if value is not None]
        values = [value for value in values if value is not None]
    # What stands between two samples' own labels is made once for each value. One join of all
    # pieces takes a quarter of the time of making each line.
    begin = b"%b{%b" % (name.encode(), shared)
    between = {value: f"}} {_number(value)}\n".encode() + begin for value in {*values}}
    pieces = [begin] * (2 * len(own) + 1)
    pieces[1::2] = own
    pieces[2::2] = map(between.__getitem__, values)
    pieces[-1] = pieces[-1].removesuffix(begin)
    return b"".join(pieces)


SnapshotLines = dict[Metric, list[bytes]]
"""The samples of an account's snapshot, by family."""

HEADERS: Final = {
    form: {one: encode([family(one)], form) for one in table.METRICS} for form in Format
}


def render_snapshot(
    account: str, snapshot: Snapshot, changes: Changes, privacy: Privacy
) -> SnapshotLines:
    """Write the samples of a snapshot: of each of its trunks, and of them all."""
    trunks = snapshot.trunks
    if any(privacy):
        trunks = tuple(map(privacy.trunk, trunks))
    refs, phones, lines, names = (
        escape_column(list(map(attrgetter(one), trunks)))
        for one in ("ref", "phone", "line", "name")
    )
    patterns = sorted(Counter(map(attrgetter("pattern", "known"), trunks)).items())
    described = [b"true" if known else b"false" for (_, known), _ in patterns]
    texts = escape_column([text for (text, _), _ in patterns])
    # Labels stand in the order of their names: account and flag before those that differ.
    shared = b'account="%b"' % escape_column([account])[0]
    own = list(map(b',phone="%b",trunk="%b"'.__mod__, zip(phones, refs, strict=True)))
    named = list(map(b',line="%b",name="%b"%b'.__mod__, zip(lines, names, own, strict=True)))
    counted = list(map(b',known="%b",pattern="%b"'.__mod__, zip(described, texts, strict=True)))
    details = [trunk.details_at for trunk in trunks if trunk.details_at is not None]
    samples: list[tuple[Metric, bytes, Sequence[bytes], Sequence[float | None]]] = [
        (table.TRUNK_EXPECTED_OFF, shared, own, [one.expected_off or None for one in trunks]),
        (table.TRUNK_INFO, shared, named, [1.0] * len(trunks)),
        (table.TRUNK_PATTERNS, shared, counted, [count for _, count in patterns]),
        (table.TRUNKS, shared, [b""], [len(trunks)]),
        (table.REFRESH_TIMESTAMP, shared, [b""], [snapshot.taken_at]),
        (table.DETAILS_TIMESTAMP, shared, [b""], [min(details, default=None)]),
    ]
    columns = _flag_columns(trunks, changes)
    for flag in FLAGS:
        flagged = b'%b,flag="%b"' % (shared, flag.key.encode())
        now, totals, dates = columns[flag.key]
        samples += (
            (table.TRUNK_FLAGS[flag], shared, own, now),
            (table.TRUNK_FLAG_CHANGES, flagged, own, totals),
            (table.TRUNK_FLAG_CHANGED_TIMESTAMP, flagged, own, dates),
        )
    written: SnapshotLines = defaultdict(list)
    for metric, labels, differing, values in samples:
        if text := sample_lines(metric.name, labels, differing, values):
            written[metric].append(text)
    return written


def _flag_columns(
    trunks: Sequence[Trunk], changes: Changes
) -> dict[str, tuple[_Column, _Column, _Column]]:
    """Return by flag, trunk by trunk: its values, how often it changed, and when last."""
    columns: dict[str, tuple[_Column, _Column, _Column]] = {}
    for flag in FLAGS:
        values: _Column = [*map(flag.of, trunks)]
        # A flag that never changed has 0 changes, if it is known.
        totals = [None if value is None else 0.0 for value in values]
        columns[flag.key] = values, totals, [None] * len(trunks)
    place = {trunk.ref: at for at, trunk in enumerate(trunks)} if changes else {}
    for (ref, key), change in changes.items():
        if ref in place and key in columns:
            _, totals, dates = columns[key]
            totals[place[ref]], dates[place[ref]] = change
    return columns


class Exposition:
    """A whole page, in the pieces that are sent, with a compressed copy made when asked for."""

    def __init__(self, chunks: Iterable[bytes], form: Format) -> None:
        pieces = tuple(filter(None, (*chunks, _END if form is Format.OPENMETRICS else b"")))
        small = sum(map(len, pieces)) <= _SMALL
        self.chunks: Final = (b"".join(pieces),) if small else pieces
        self._packed = b""
        self._packing = threading.Lock()

    def gzipped(self) -> bytes:
        """Return the page as one gzip member."""
        with self._packing:
            if not self._packed:
                # Level 9 makes a page a third smaller and takes seven times as long.
                packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
                self._packed = b"".join([*map(packer.compress, self.chunks), packer.flush()])
            return self._packed
