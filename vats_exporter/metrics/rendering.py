"""Snapshots, states and counts, written as samples of the exporter's metrics.

Pure functions from what is known of an account to lines of the exposition format.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.counts import BUCKETS
from vats_exporter.metrics.exposition import (
    Block,
    Part,
    flag_lines,
    label_column,
    label_text,
    number,
    sample_line,
    value_lines,
)
from vats_exporter.metrics.privacy import Privacy
from vats_exporter.metrics.table import METRICS, Metric
from vats_exporter.trunks import FLAGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vats_exporter.history.ledger import Changes
    from vats_exporter.metrics.counts import Counts
    from vats_exporter.trunks import AccountState, Snapshot

TRUNK_METRICS: Final = tuple(metric for metric in METRICS if metric.scope == "trunk")
ACCOUNT_METRICS: Final = tuple(metric for metric in METRICS if metric.scope == "account")


def render_trunks(
    account: str,
    snapshot: Snapshot,
    changes: Changes | None = None,
    privacy: Privacy | None = None,
) -> tuple[Block, ...]:
    """Write a snapshot's samples, a block a family, in the order of :data:`METRICS`.

    Args:
        account: the account's name.
        snapshot: the trunks.
        changes: what is known of their flags' changes; ``None`` writes nothing of it.
        privacy: what labels hold back; nothing if not given.
    """
    trunks = snapshot.trunks
    discreet = privacy or Privacy()
    shared: dict[str, str | Sequence[str]] = {
        "account": account,
        "trunk": [trunk.ref for trunk in trunks],
        "phone": [discreet.phone(trunk) for trunk in trunks],
    }
    labels = label_column(shared, len(trunks))
    raw: dict[Metric, bytes] = {}
    for flag, metric in metrics.TRUNK_FLAGS.items():
        known = [
            (one, on)
            for one, on in zip(labels, map(flag.of, trunks), strict=True)
            if on is not None
        ]
        raw[metric] = flag_lines(metric.name, [one for one, _ in known], [on for _, on in known])
    expected = [one for one, trunk in zip(labels, trunks, strict=True) if trunk.expected_off]
    raw[metrics.TRUNK_EXPECTED_OFF] = flag_lines(
        metrics.TRUNK_EXPECTED_OFF.name, expected, [True] * len(expected)
    )
    counted, dated = _change_lines(shared, snapshot, changes)
    raw[metrics.TRUNK_FLAG_CHANGES] = counted
    raw[metrics.TRUNK_FLAG_CHANGED_TIMESTAMP] = dated
    named = {
        **shared,
        "name": [discreet.name(trunk) for trunk in trunks],
        "line": [discreet.line(trunk) for trunk in trunks],
    }
    labels = label_column(named, len(trunks))
    raw[metrics.TRUNK_INFO] = flag_lines(metrics.TRUNK_INFO.name, labels, [True] * len(trunks))
    return tuple(Block(raw[metric]) for metric in TRUNK_METRICS)


def join_families(rows: Sequence[tuple[Block, ...]], headers: Mapping[Metric, Block]) -> Part:
    """Put accounts' trunk series together, family by family.

    Args:
        rows: of each account, what :func:`render_trunks` gave, or nothing.
        headers: the lines before each family's samples.
    """
    blocks: list[Block] = []
    for column, metric in enumerate(TRUNK_METRICS):
        samples = [row[column] for row in rows if row and row[column].raw]
        if samples:
            blocks += (headers[metric], *samples)
    return Part(blocks)


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
        name = metrics.TRUNK_FLAG_CHANGES.name
        totals = [0.0 if change is None else change.total for _, change in rows]
        counted.append(value_lines(name, [label for label, _ in rows], totals))
        changed = [(label, change.last_changed) for label, change in rows if change is not None]
        name = metrics.TRUNK_FLAG_CHANGED_TIMESTAMP.name
        dated.append(
            value_lines(name, [label for label, _ in changed], [when for _, when in changed])
        )
    return b"".join(counted), b"".join(dated)


def render_account(state: AccountState, counts: Counts) -> Mapping[Metric, str]:
    """Write an account's samples but its trunks', as lines by metric."""
    lines: dict[Metric, str] = dict.fromkeys(ACCOUNT_METRICS, "")

    def add(metric: Metric, value: float, suffix: str = "", **labels: str) -> None:
        text = label_text({"account": state.account, **labels})
        lines[metric] += sample_line(metric.name + suffix, text, value)

    add(metrics.UP, state.up)
    if state.snapshot is not None:
        add(metrics.TRUNKS, len(state.snapshot.trunks))
        for (pattern, known), count in sorted(state.snapshot.patterns.items()):
            add(metrics.TRUNK_PATTERNS, count, pattern=pattern, known="true" if known else "false")
        add(metrics.REFRESH_TIMESTAMP, state.snapshot.taken_at)
        if state.snapshot.details_at is not None:
            add(metrics.DETAILS_TIMESTAMP, state.snapshot.details_at)
    if state.duration is not None:
        add(metrics.REFRESH_DURATION, state.duration)
    for result, count in counts.refreshes.items():
        add(metrics.REFRESHES, count, result=result)
    for result, count in counts.logins.items():
        add(metrics.LOGINS, count, result=result)
    for (call, status), count in sorted(counts.requests.items()):
        add(metrics.REQUESTS, count, call=call, status=status)
    for call, latency in sorted(counts.latencies.items()):
        for bound, count in zip((*BUCKETS, math.inf), latency.cumulated, strict=True):
            add(metrics.REQUEST_DURATION, count, "_bucket", call=call, le=number(bound))
        add(metrics.REQUEST_DURATION, latency.cumulated[-1], "_count", call=call)
        add(metrics.REQUEST_DURATION, latency.total, "_sum", call=call)
    add(metrics.REDEPLOYMENTS, counts.redeployments)
    for result, count in counts.details.items():
        add(metrics.DETAILS, count, result=result)
    if state.login_retry_at is not None:
        add(metrics.LOGIN_RETRY_TIMESTAMP, state.login_retry_at)
    return lines
