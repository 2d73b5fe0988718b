"""Prometheus' exposition formats: what prometheus_client writes, and the trunks' lines as bytes.

The lines of ten thousand trunks are written here, all of a family at once; everything else is given
to prometheus_client. The bytes are those of its ``generate_latest`` for the same families.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from itertools import repeat
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from vats_exporter.history.ledger import Changes
from vats_exporter.metrics import table
from vats_exporter.metrics.privacy import Privacy
from vats_exporter.metrics.table import Metric
from vats_exporter.trunks import FLAGS, AccountState, Snapshot, Trunk

_number: Callable[[float], str] = floatToGoString

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


def escape_column(texts: Sequence[str]) -> list[bytes]:
    """Escape texts for the place between a label's quotes, all at once and so much faster."""
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) != len(texts) - 1:  # a text holds the separator, or there is none
        return [_escape(text).encode() for text in texts]
    return _escape(joined).encode().split(_SEPARATOR.encode())


def label_column(labels: Mapping[str, str | Sequence[bytes]], size: int) -> list[bytes]:
    """Write what stands between the braces of ``size`` samples of one family.

    A label has one value for all samples, or a column of ``size`` values that are escaped.
    """
    pieces = []
    for name, values in sorted(labels.items()):
        value = _escape(values).replace("%", "%%") if isinstance(values, str) else "%b"
        pieces.append(f'{name}="{value}"')
    template = ",".join(pieces).encode()
    columns = [values for _, values in sorted(labels.items()) if not isinstance(values, str)]
    rows = zip(*columns, strict=True) if columns else repeat((), size)
    return list(map(template.__mod__, rows))


def flag_lines(name: str, labels: Sequence[bytes], flags: Sequence[bool | None]) -> bytes:
    """Write one sample a line, with value 1 for true and 0 for false; none for an unknown flag."""
    if None in flags:
        labels = [label for label, flag in zip(labels, flags, strict=True) if flag is not None]
        flags = [flag for flag in flags if flag is not None]
    ends: dict[bool | None, bytes] = {False: b"} 0.0\n", True: b"} 1.0\n"}
    # One join of all the lines' pieces takes a quarter of the time of making each line.
    pieces = [f"{name}{{".encode(), b"", b""] * len(labels)
    pieces[1::3] = labels
    pieces[2::3] = map(ends.__getitem__, flags)
    return b"".join(pieces)


def value_lines(name: str, samples: Iterable[tuple[bytes, float]]) -> bytes:
    """Write one sample a line: its labels and its value."""
    start = f"{name}{{".encode()
    pieces: list[bytes] = []
    for label, value in samples:
        pieces += (start, label, f"}} {_number(value)}\n".encode())
    return b"".join(pieces)


TrunkLines = dict["Metric", bytes]  # the samples of an account's trunks, family by family

_HEADERS: Final = {
    form: {metric: header(metric, form) for metric in table.METRICS if metric.scope == "trunk"}
    for form in Format
}


def render_trunks(
    account: str, snapshot: Snapshot, changes: Changes | None, privacy: Privacy
) -> TrunkLines:
    """Write the samples of a snapshot's trunks; ``None`` as changes writes nothing of them."""
    trunks = list(map(privacy.trunk, snapshot.trunks))
    shared: dict[str, str | Sequence[bytes]] = {
        "account": account,
        "trunk": escape_column([trunk.ref for trunk in trunks]),
        "phone": escape_column([trunk.phone for trunk in trunks]),
    }
    labels = label_column(shared, len(trunks))
    flags = {metric: list(map(flag.of, trunks)) for flag, metric in table.TRUNK_FLAGS.items()}
    flags[table.TRUNK_EXPECTED_OFF] = [trunk.expected_off or None for trunk in trunks]
    lines = {metric: flag_lines(metric.name, labels, on) for metric, on in flags.items()}
    named = {
        **shared,
        "name": escape_column([trunk.name for trunk in trunks]),
        "line": escape_column([trunk.line for trunk in trunks]),
    }
    labels = label_column(named, len(trunks))
    lines[table.TRUNK_INFO] = flag_lines(table.TRUNK_INFO.name, labels, [True] * len(trunks))
    return lines if changes is None else lines | _change_lines(shared, trunks, changes)


def _change_lines(
    shared: Mapping[str, str | Sequence[bytes]], trunks: Sequence[Trunk], changes: Changes
) -> TrunkLines:
    """Write how often each flag changed, 0 for those that never did, and when it last did."""
    counted: list[tuple[bytes, float]] = []
    dated: list[tuple[bytes, float]] = []
    for flag in FLAGS:
        labels = label_column({**shared, "flag": flag.key}, len(trunks))
        for trunk, label in zip(trunks, labels, strict=True):
            change = changes.get((trunk.ref, flag.key))
            if change is not None:
                counted.append((label, change.total))
                dated.append((label, change.last_changed))
            elif flag.of(trunk) is not None:
                counted.append((label, 0.0))
    families = {table.TRUNK_FLAG_CHANGES: counted, table.TRUNK_FLAG_CHANGED_TIMESTAMP: dated}
    return {metric: value_lines(metric.name, samples) for metric, samples in families.items()}


def join_trunks(accounts: Sequence[TrunkLines], form: Format) -> list[bytes]:
    """Put accounts' trunk samples together, family by family, each under its header."""
    chunks: list[bytes] = []
    for metric, head in _HEADERS[form].items():
        lines = [one[metric] for one in accounts if metric in one]
        if any(lines):
            chunks += (head, *lines)
    return chunks


def state_families(state: AccountState) -> Iterator[Family]:
    """Make the families of an account's own gauges."""
    account = state.account
    values: dict[Metric, float | None] = {
        table.UP: state.up,
        table.REFRESH_DURATION: state.duration,
        table.LOGIN_RETRY_TIMESTAMP: state.login_retry_at,
    }
    if (snapshot := state.snapshot) is not None:
        values[table.TRUNKS] = len(snapshot.trunks)
        values[table.REFRESH_TIMESTAMP] = snapshot.taken_at
        values[table.DETAILS_TIMESTAMP] = snapshot.details_at
        patterns = [
            ((account, pattern, "true" if known else "false"), count)
            for (pattern, known), count in sorted(snapshot.patterns.items())
        ]
        yield gauge(table.TRUNK_PATTERNS, *patterns)
    for metric, value in values.items():
        if value is not None:
            yield gauge(metric, ((account,), value))


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
