"""Prometheus' exposition formats: what prometheus_client writes, and the trunks' lines as bytes.

The lines of ten thousand trunks are written here, all of a family at once; everything else is given
to prometheus_client. The bytes are those of its ``generate_latest`` for the same families.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from types import SimpleNamespace
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from vats_exporter.history.ledger import Changes
from vats_exporter.metrics import table
from vats_exporter.metrics.table import Metric
from vats_exporter.redaction import Privacy
from vats_exporter.trunks import FLAGS, AccountState, Snapshot

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
    return generate(SimpleNamespace(collect=lambda: families)).removesuffix(_END)


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


def label_column(labels: Mapping[str, str | Sequence[bytes]]) -> list[bytes]:
    """Write what stands between the braces of each sample of one family.

    A label has one value for all of them, or, as one at least has, a column of escaped values.
    """
    pieces = []
    for name, values in sorted(labels.items()):
        value = _escape(values).replace("%", "%%") if isinstance(values, str) else "%b"
        pieces.append(f'{name}="{value}"')
    columns = [values for _, values in sorted(labels.items()) if not isinstance(values, str)]
    return list(map(",".join(pieces).encode().__mod__, zip(*columns, strict=True)))


def sample_lines(name: str, labels: Sequence[bytes], values: Sequence[float | None]) -> bytes:
    """Write one sample a line, its labels and its value; none for an unknown value."""
    if None in values:
        labels = [label for label, value in zip(labels, values, strict=True) if value is not None]
        values = [value for value in values if value is not None]
    ends = {value: f"}} {_number(value)}\n".encode() for value in {*values}}
    # One join of all the lines' pieces takes a quarter of the time of making each line.
    pieces = [f"{name}{{".encode(), b"", b""] * len(labels)
    pieces[1::3] = labels
    pieces[2::3] = map(ends.__getitem__, values)
    return b"".join(pieces)


TrunkLines = dict["Metric", bytes]  # the samples of an account's snapshot, family by family

_HEADERS: Final = {
    form: {one: encode([family(one)], form) for one in table.METRICS} for form in Format
}


def render_trunks(
    account: str, snapshot: Snapshot, changes: Changes, privacy: Privacy
) -> TrunkLines:
    """Write the samples of a snapshot: of each of its trunks, and of them all."""
    trunks = snapshot.trunks
    if any(privacy):
        trunks = tuple(map(privacy.trunk, trunks))
    shared: dict[str, str | Sequence[bytes]] = {
        "account": account,
        "trunk": escape_column([trunk.ref for trunk in trunks]),
        "phone": escape_column([trunk.phone for trunk in trunks]),
    }
    lines: TrunkLines = defaultdict(bytes)

    def write(metric: Metric, values: Sequence[float | None], labels: Sequence[bytes]) -> None:
        lines[metric] += sample_lines(metric.name, labels, values)

    labels = label_column(shared)
    known = {flag: list(map(flag.of, trunks)) for flag in FLAGS}
    for flag, metric in table.TRUNK_FLAGS.items():
        write(metric, known[flag], labels)
    write(table.TRUNK_EXPECTED_OFF, [trunk.expected_off or None for trunk in trunks], labels)
    names = escape_column([trunk.name for trunk in trunks])
    named = {**shared, "name": names, "line": escape_column([trunk.line for trunk in trunks])}
    write(table.TRUNK_INFO, [1.0] * len(trunks), label_column(named))
    for flag in FLAGS:
        labels = label_column({**shared, "flag": flag.key})
        seen = [changes.get((trunk.ref, flag.key)) for trunk in trunks]
        # A flag that never changed has 0 changes, if it is known.
        never = [None if value is None else 0.0 for value in known[flag]]
        totals = [
            change.total if change else none for change, none in zip(seen, never, strict=True)
        ]
        write(table.TRUNK_FLAG_CHANGES, totals, labels)
        dates = [change and change.last_changed for change in seen]
        write(table.TRUNK_FLAG_CHANGED_TIMESTAMP, dates, labels)
    patterns = sorted(Counter((trunk.pattern, trunk.known) for trunk in trunks).items())
    counted: dict[str, str | Sequence[bytes]] = {
        "account": account,
        "pattern": escape_column([pattern for (pattern, _), _ in patterns]),
        "known": [b"true" if described else b"false" for (_, described), _ in patterns],
    }
    write(table.TRUNK_PATTERNS, [count for _, count in patterns], label_column(counted))
    labels = label_column({"account": escape_column([account])})
    write(table.TRUNKS, [len(trunks)], labels)
    write(table.REFRESH_TIMESTAMP, [snapshot.taken_at], labels)
    details = [trunk.details_at for trunk in trunks if trunk.details_at is not None]
    write(table.DETAILS_TIMESTAMP, [min(details, default=None)], labels)
    return lines


def join_trunks(accounts: Sequence[TrunkLines], form: Format) -> list[bytes]:
    """Put accounts' snapshots together, family by family, each under its header."""
    chunks: list[bytes] = []
    for metric, head in _HEADERS[form].items():
        lines = [one[metric] for one in accounts if metric in one]
        if any(lines):
            chunks += (head, *lines)
    return chunks


def state_families(state: AccountState) -> Iterator[Family]:
    """Make the families of an account's own gauges, but for those of its snapshot."""
    values: dict[Metric, float | None] = {
        table.UP: state.up,
        table.REFRESH_DURATION: state.duration,
        table.LOGIN_RETRY_TIMESTAMP: state.login_retry_at,
    }
    for metric, value in values.items():
        if value is not None:
            yield family(metric, ((state.account,), value))


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
