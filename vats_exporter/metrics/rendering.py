"""Snapshots and states as metric families: the trunks' as bytes, the others to be encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.exposition import (
    Format,
    flag_lines,
    gauge,
    header,
    label_column,
    value_lines,
)
from vats_exporter.trunks import FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric as Family

    from vats_exporter.history import Changes
    from vats_exporter.privacy import Privacy
    from vats_exporter.trunks import AccountState, Snapshot

TRUNK_METRICS: Final = tuple(metric for metric in metrics.METRICS if metric.scope == "trunk")

TrunkLines = tuple[bytes, ...]
"""The samples of an account's trunks: for each of :data:`TRUNK_METRICS` its lines."""

NO_TRUNKS: Final[TrunkLines] = (b"",) * len(TRUNK_METRICS)

_HEADERS: Final = {form: [header(metric, form) for metric in TRUNK_METRICS] for form in Format}


def render_trunks(
    account: str, snapshot: Snapshot, changes: Changes | None, privacy: Privacy
) -> TrunkLines:
    """Write the samples of a snapshot's trunks.

    Args:
        account: the account's name.
        snapshot: the trunks.
        changes: what is known of their flags' changes; ``None`` writes nothing of it.
        privacy: what labels hold back.
    """
    trunks = snapshot.trunks
    shared: dict[str, str | Sequence[str]] = {
        "account": account,
        "trunk": [trunk.ref for trunk in trunks],
        "phone": [privacy.phone(trunk) for trunk in trunks],
    }
    labels = label_column(shared, len(trunks))
    lines = {}
    for flag, metric in metrics.TRUNK_FLAGS.items():
        states = list(map(flag.of, trunks))
        known = [one for one, on in zip(labels, states, strict=True) if on is not None]
        lines[metric] = flag_lines(metric.name, known, [on for on in states if on is not None])
    expected = [one for one, trunk in zip(labels, trunks, strict=True) if trunk.expected_off]
    named = {
        **shared,
        "name": [privacy.name(trunk) for trunk in trunks],
        "line": [privacy.line(trunk) for trunk in trunks],
    }
    for metric, ones in (
        (metrics.TRUNK_EXPECTED_OFF, expected),
        (metrics.TRUNK_INFO, label_column(named, len(trunks))),
    ):
        lines[metric] = flag_lines(metric.name, ones, [True] * len(ones))
    counted, dated = _change_lines(shared, snapshot, changes)
    lines[metrics.TRUNK_FLAG_CHANGES] = counted
    lines[metrics.TRUNK_FLAG_CHANGED_TIMESTAMP] = dated
    return tuple(lines[metric] for metric in TRUNK_METRICS)


def _change_lines(
    shared: Mapping[str, str | Sequence[str]], snapshot: Snapshot, changes: Changes | None
) -> tuple[bytes, bytes]:
    """Write how often each flag changed, 0 for those that never did, and when it last did."""
    if changes is None:
        return b"", b""
    trunks = snapshot.trunks
    counted, dated = [], []
    for flag in FLAGS:
        labels = label_column({**shared, "flag": flag.key}, len(trunks))
        rows = [
            (label, changes.get((trunk.ref, flag.key)))
            for trunk, label in zip(trunks, labels, strict=True)
            if flag.of(trunk) is not None or (trunk.ref, flag.key) in changes
        ]
        totals = [0.0 if change is None else change.total for _, change in rows]
        name = metrics.TRUNK_FLAG_CHANGES.name
        counted.append(value_lines(name, [label for label, _ in rows], totals))
        changed = [(label, change.last_changed) for label, change in rows if change is not None]
        name = metrics.TRUNK_FLAG_CHANGED_TIMESTAMP.name
        dated.append(value_lines(name, [one for one, _ in changed], [when for _, when in changed]))
    return b"".join(counted), b"".join(dated)


def join_trunks(accounts: Iterable[TrunkLines], form: Format) -> list[bytes]:
    """Put accounts' trunk samples together, family by family, each under its header."""
    chunks: list[bytes] = []
    for head, lines in zip(_HEADERS[form], zip(*accounts, strict=True), strict=False):
        if any(lines):
            chunks += (head, *lines)
    return chunks


def state_families(state: AccountState) -> Iterator[Family]:
    """Make the families of an account's own gauges."""
    account = state.account
    values: dict[metrics.Metric, float | None] = {
        metrics.UP: state.up,
        metrics.REFRESH_DURATION: state.duration,
        metrics.LOGIN_RETRY_TIMESTAMP: state.login_retry_at,
    }
    if (snapshot := state.snapshot) is not None:
        values[metrics.TRUNKS] = len(snapshot.trunks)
        values[metrics.REFRESH_TIMESTAMP] = snapshot.taken_at
        values[metrics.DETAILS_TIMESTAMP] = snapshot.details_at
        patterns = [
            ((account, pattern, "true" if known else "false"), count)
            for (pattern, known), count in sorted(snapshot.patterns.items())
        ]
        yield gauge(metrics.TRUNK_PATTERNS, *patterns)
    for metric, value in values.items():
        if value is not None:
            yield gauge(metric, ((account,), value))
