"""From what is known of the accounts to the page Prometheus reads.

It knows snapshots, states, counts and the metrics they become, and neither the cabinet nor HTTP.

What changes together is rendered together, and no more often: an account's trunk series once per
refresh, in the refresh's own thread; its other series when a refresh ended or a call was made; the
process's own at most once a second. A scrape in between sends bytes that are already there.
"""

from __future__ import annotations

import math
import operator
import platform
import threading
import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from vats_exporter import __version__, metrics
from vats_exporter.exposition import (
    Block,
    Format,
    Page,
    Part,
    flag_lines,
    label_column,
    label_text,
    number,
    sample_line,
    value_lines,
)
from vats_exporter.history import FLAGS
from vats_exporter.metrics import METRICS, Metric
from vats_exporter.refresh import Refresher
from vats_exporter.tally import BUCKETS, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vats_exporter.history import History
    from vats_exporter.history.ledger import Changes
    from vats_exporter.refresh import AccountState, Clock, Outcome, Source
    from vats_exporter.tally import Counts
    from vats_exporter.trunks import Snapshot

__all__ = ["METRICS", "Account", "Collector", "Metric", "render_account", "render_trunks"]

_TRUNK_METRICS: Final = tuple(metric for metric in METRICS if metric.scope == "trunk")
_ACCOUNT_METRICS: Final = tuple(metric for metric in METRICS if metric.scope == "account")

_PROCESS_AGE: Final = 1.0
"""Seconds for which the process's own metrics are sent again."""


class Account:
    """One account: its refresher, its counts, and its series as bytes.

    Args:
        name: the account's; no two may share one.
        connect: makes what is read, given the tally that counts its calls.
        ttl: as :class:`~vats_exporter.refresh.Refresher` takes it.
        stale: likewise.
        clock: likewise.
        history: remembers the trunks' changes; ``None`` counts none.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[Tally], Source],
        *,
        ttl: float = 60.0,
        stale: float = 900.0,
        clock: Clock | None = None,
        history: History | None = None,
    ) -> None:
        self.name: Final = name
        self._history = history
        self.tally: Final = Tally(name)
        self.refresher: Final = Refresher(
            name,
            connect(self.tally),
            ttl=ttl,
            stale=stale,
            clock=clock,
            on_snapshot=self._read,
            on_result=self._refreshed,
        )
        self._trunks: tuple[Snapshot | None, tuple[Block, ...]] = (None, ())
        self._samples: tuple[AccountState | None, int, Mapping[Metric, str]] = (None, -1, {})

    def trunk_blocks(self, snapshot: Snapshot | None) -> tuple[Block, ...]:
        """Return the trunks' samples, a block a family; none without a snapshot."""
        # One tuple, read and replaced whole: the refresh's thread and a scrape's may both come.
        kept, blocks = self._trunks
        if kept is not snapshot:
            changes = self._history.changes(self.name) if self._history is not None else None
            blocks = () if snapshot is None else render_trunks(self.name, snapshot, changes)
            self._trunks = (snapshot, blocks)
        return blocks

    def samples(self, state: AccountState, version: int) -> Mapping[Metric, str]:
        """Return the account's other samples, as lines.

        Args:
            state: the account's.
            version: its tally's.
        """
        kept_state, kept_version, lines = self._samples
        if kept_state is not state or kept_version != version:
            lines = render_account(state, self.tally.counts())
            self._samples = (state, version, lines)
        return lines

    def _read(self, snapshot: Snapshot) -> None:
        """Record a snapshot, before its series are made: they tell the changes it brought."""
        if self._history is not None:
            devices = {
                trunk.ref: trunk.sip_device_enabled
                for trunk in snapshot.trunks
                if trunk.sip_device_enabled is not None
            }
            self._history.record(self.name, snapshot, devices)

    def _refreshed(self, outcome: Outcome) -> None:
        self.tally.refreshed(outcome)
        if outcome.snapshot is not None:
            for block in self.trunk_blocks(outcome.snapshot):
                _ = block.deflated  # compressed here, so that no scrape has to wait for it


def render_trunks(
    account: str, snapshot: Snapshot, changes: Changes | None = None
) -> tuple[Block, ...]:
    """Write a snapshot's samples, a block a family, in the order of :data:`METRICS`.

    Args:
        account: the account's name.
        snapshot: the trunks.
        changes: what is known of their flags' changes; ``None`` writes nothing of it.
    """
    trunks = snapshot.trunks
    shared: dict[str, str | Sequence[str]] = {
        "account": account,
        "trunk": [trunk.ref for trunk in trunks],
        "phone": [trunk.phone for trunk in trunks],
    }
    labels = label_column(shared, len(trunks))
    flags = [trunk.flags for trunk in trunks]
    raw = {
        metrics.TRUNK_ACTIVE: flag_lines(
            metrics.TRUNK_ACTIVE.name, labels, [one.active for one in flags]
        ),
        metrics.TRUNK_MARKED_FOR_DELETION: flag_lines(
            metrics.TRUNK_MARKED_FOR_DELETION.name,
            labels,
            [one.marked_for_deletion for one in flags],
        ),
        metrics.TRUNK_BOUND: flag_lines(
            metrics.TRUNK_BOUND.name, labels, [one.bound for one in flags]
        ),
    }
    devices = [trunk.sip_device_enabled for trunk in trunks]
    raw[metrics.TRUNK_SIP_DEVICE_ENABLED] = flag_lines(
        metrics.TRUNK_SIP_DEVICE_ENABLED.name,
        [label for label, enabled in zip(labels, devices, strict=True) if enabled is not None],
        [enabled for enabled in devices if enabled is not None],
    )
    counted, dated = _change_lines(shared, snapshot, changes)
    raw[metrics.TRUNK_FLAG_CHANGES] = counted
    raw[metrics.TRUNK_FLAG_CHANGED_TIMESTAMP] = dated
    named = {
        **shared,
        "name": [trunk.name for trunk in trunks],
        "line": [trunk.line for trunk in trunks],
    }
    labels = label_column(named, len(trunks))
    raw[metrics.TRUNK_INFO] = flag_lines(metrics.TRUNK_INFO.name, labels, [True] * len(trunks))
    return tuple(Block(raw[metric]) for metric in _TRUNK_METRICS)


def _change_lines(
    shared: Mapping[str, str | Sequence[str]], snapshot: Snapshot, changes: Changes | None
) -> tuple[bytes, bytes]:
    """Write how often each flag changed, 0 for those that never did, and when it last did."""
    if changes is None:
        return b"", b""
    trunks = snapshot.trunks
    counted, dated = [], []
    for flag in FLAGS:
        labels = label_column({**shared, "flag": flag}, len(trunks))
        rows = [
            (label, changes.get((trunk.ref, flag)))
            for trunk, label in zip(trunks, labels, strict=True)
            if flag != "sip_device_enabled"
            or trunk.sip_device_enabled is not None
            or (trunk.ref, flag) in changes
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
    lines: dict[Metric, str] = dict.fromkeys(_ACCOUNT_METRICS, "")

    def add(metric: Metric, value: float, suffix: str = "", **labels: str) -> None:
        text = label_text({"account": state.account, **labels})
        lines[metric] += sample_line(metric.name + suffix, text, value)

    add(metrics.UP, state.up)
    if state.snapshot is not None:
        add(metrics.TRUNKS, len(state.snapshot.trunks))
        for (pattern, known), count in sorted(state.snapshot.patterns.items()):
            add(metrics.TRUNK_PATTERNS, count, pattern=pattern, known="true" if known else "false")
        add(metrics.REFRESH_TIMESTAMP, state.snapshot.taken_at)
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


class _View:
    """A page in one format, and what it was made of."""

    __slots__ = ("accounts", "history", "live", "page", "process", "seen", "snapshots", "trunks")

    def __init__(self) -> None:
        self.accounts: tuple[Account, ...] | None = None
        self.snapshots: list[Snapshot | None] = []
        self.seen: list[tuple[AccountState, int]] = []
        self.history: tuple[str, int] | None = None
        self.trunks = Part(())
        self.live = Part(())
        self.process = Part(())
        self.page = Page()


class Collector:
    """Makes pages of all accounts.

    Args:
        accounts: in the order of the page; their names differ.
        history: that of the accounts, to tell whether it works; ``None`` tells nothing of it.
    """

    def __init__(self, accounts: Iterable[Account] = (), *, history: History | None = None) -> None:
        self._accounts = tuple(accounts)
        self._history = history
        self._lock = threading.Lock()
        self._views = {form: _View() for form in Format}
        self._process = _Process()
        build = {"version": __version__, "python": platform.python_version()}
        self._build_info = sample_line(metrics.BUILD_INFO.name, label_text(build), 1.0)
        self._headers = {
            form: {metric: Block(metric.family.header(form)) for metric in METRICS}
            for form in Format
        }

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts; replacing them takes effect with the next page."""
        return self._accounts

    @accounts.setter
    def accounts(self, accounts: Iterable[Account]) -> None:
        self._accounts = tuple(accounts)

    def refresh(self, timeout: float) -> None:
        """Refresh every account for which that is due, all at the same time.

        Args:
            timeout: seconds to wait for all of them together; what takes longer goes on.
        """
        deadline = time.monotonic() + timeout
        flights = [account.refresher.begin() for account in self._accounts]
        for flight in flights:
            if flight is not None:
                flight.wait(max(0.0, deadline - time.monotonic()))

    def states(self) -> list[AccountState]:
        """Return every account's state as it is, asking nobody."""
        return [account.refresher.peek() for account in self._accounts]

    def page(self, form: Format) -> Page:
        """Return the page as it is, asking nobody.

        Two calls between which nothing changed give the same object.
        """
        accounts = self._accounts
        seen = [(account.refresher.peek(), account.tally.version) for account in accounts]
        process = self._process.part(form)
        history = self._history
        remembered = (history.problem, history.errors_total) if history is not None else None
        view = self._views[form]
        with self._lock:
            same_accounts = view.accounts is accounts
            snapshots = [state.snapshot for state, _ in seen]
            same_trunks = same_accounts and _identical(view.snapshots, snapshots)
            # A state is equal to itself alone, so this compares identities and numbers.
            same_live = same_accounts and view.seen == seen and view.history == remembered
            if not (same_trunks and same_live and view.process is process):
                if not same_trunks:
                    view.trunks = self._trunk_part(form, accounts, snapshots)
                if not same_live:
                    view.live = self._live_part(form, accounts, seen, remembered)
                view.accounts, view.snapshots, view.seen = accounts, snapshots, seen
                view.history, view.process = remembered, process
                view.page = Page(view.trunks, view.live, process)
            return view.page

    def _trunk_part(
        self, form: Format, accounts: Sequence[Account], snapshots: Sequence[Snapshot | None]
    ) -> Part:
        rows = [
            account.trunk_blocks(snapshot)
            for account, snapshot in zip(accounts, snapshots, strict=True)
        ]
        blocks: list[Block] = []
        for column, metric in enumerate(_TRUNK_METRICS):
            samples = [row[column] for row in rows if row and row[column].raw]
            if samples:
                blocks += (self._headers[form][metric], *samples)
        return Part(blocks)

    def _live_part(
        self,
        form: Format,
        accounts: Sequence[Account],
        seen: Sequence[tuple[AccountState, int]],
        remembered: tuple[str, int] | None,
    ) -> Part:
        rows = [
            account.samples(state, version)
            for account, (state, version) in zip(accounts, seen, strict=True)
        ]
        lines: dict[Metric, str] = {
            metric: "".join(row[metric] for row in rows) for metric in _ACCOUNT_METRICS
        }
        if remembered is not None:
            problem, errors = remembered
            lines[metrics.HISTORY_UP] = sample_line(metrics.HISTORY_UP.name, "", not problem)
            lines[metrics.HISTORY_ERRORS] = sample_line(metrics.HISTORY_ERRORS.name, "", errors)
        lines[metrics.BUILD_INFO] = self._build_info
        raw = b"".join(
            self._headers[form][metric].raw + samples.encode()
            for metric, samples in lines.items()
            if samples
        )
        return Part((Block(raw),))


class _Process:
    """The process's own metrics, which every Prometheus client has, and the page's end."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._kept: dict[Format, tuple[float, Part]] = {}

    def part(self, form: Format) -> Part:
        """Return them as they are now, or were less than a second ago."""
        now = time.monotonic()
        kept = self._kept.get(form)
        if kept is None or now - kept[0] >= _PROCESS_AGE:
            write = generate_openmetrics if form is Format.OPENMETRICS else generate_latest
            kept = (now, Part((Block(write(self._registry)),)))
            self._kept[form] = kept
        return kept[1]


def _identical(one: Sequence[object], other: Sequence[object]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))
