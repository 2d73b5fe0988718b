"""From what is known of the accounts to the page Prometheus reads.

It knows snapshots, states, counts and the metrics they become, and neither the cabinet nor HTTP.

What changes together is rendered together, and no more often: an account's trunk series once per
refresh, in the refresh's own thread; its other series when a refresh ended or a call was made; the
process's own at most once a second. A scrape in between sends bytes that are already there.
"""

from __future__ import annotations

import platform
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from vats_exporter import __version__
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.logs.setup import dropped_lines
from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.counts import Tally
from vats_exporter.metrics.exposition import (
    Block,
    Format,
    Page,
    Part,
    label_text,
    sample_line,
)
from vats_exporter.metrics.privacy import Privacy
from vats_exporter.metrics.rendering import (
    ACCOUNT_METRICS,
    join_families,
    render_account,
    render_trunks,
)
from vats_exporter.metrics.table import METRICS, Metric
from vats_exporter.refresh import Refresher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vats_exporter.clock import Clock
    from vats_exporter.history import Changes, History
    from vats_exporter.refresh import Outcome, Source
    from vats_exporter.trunks import AccountState, Snapshot

__all__ = ["METRICS", "Account", "Collector", "Loaded", "Metric"]

HEADERS: Final = {
    form: {metric: Block(metric.family.header(form)) for metric in METRICS} for form in Format
}
"""The lines before each family's samples."""

_REFRESHES: Final = 20
"""Refreshes of an account that can be looked at."""

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
        privacy: what the trunks' labels hold back.
        before: the same account as it was configured before: its counts go on.

    Attributes:
        labels: what service discovery adds to its target.
        expected_off: the trunks that are off on purpose.
        refreshes: the latest ones: when each ended, in seconds since the epoch, how, without its
            snapshot, and how many trunks it brought.
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
        privacy: Privacy | None = None,
        before: Account | None = None,
    ) -> None:
        self.name: Final = name
        self.labels: Mapping[str, str] = {}
        self.expected_off = ExpectedOff()
        self._history = history
        self.privacy: Final = privacy or Privacy()
        self._recording = threading.Lock()
        self._retired = False
        self.refreshes: deque[tuple[float, Outcome, int]] = deque(maxlen=_REFRESHES)
        if before is not None:
            self.refreshes.extend(before.refreshes)
        self.tally: Final[Tally] = Tally(name) if before is None else before.tally
        self.refresher: Final = Refresher(
            name,
            connect(self.tally),
            ttl=ttl,
            stale=stale,
            clock=clock,
            mark=self.expected_off.mark,
            on_snapshot=self._read,
            on_result=self._refreshed,
        )
        self._trunks: tuple[Snapshot | None, tuple[Block, ...]] = (None, ())
        self._samples: tuple[AccountState | None, int, Mapping[Metric, str]] = (None, -1, {})
        self._parts: dict[Format, tuple[tuple[Block, ...], Part]] = {}

    def remember_in(self, history: History) -> None:
        """Count the trunks' changes in another history from now on."""
        if history is not self._history:
            self._history = history
            self._trunks = (None, ())  # they tell changes, and are to be rendered again

    def changes(self) -> Changes:
        """Return how often, and when last, each flag of its trunks changed."""
        return self._history.changes(self.name) if self._history is not None else {}

    def retire(self) -> None:
        """Record and count nothing more, from when this returns.

        For an account in whose place there is another one: a refresh that is still under way brings
        an older snapshot than the other's, and recorded after that, a change would come again.
        """
        with self._recording:
            self._retired = True

    def trunk_blocks(self, snapshot: Snapshot | None) -> tuple[Block, ...]:
        """Return the trunks' samples, a block a family; none without a snapshot."""
        # One tuple, read and replaced whole: the refresh's thread and a scrape's may both come.
        kept, blocks = self._trunks
        if kept is not snapshot:
            blocks = () if snapshot is None else self._render(snapshot)
            self._trunks = (snapshot, blocks)
        return blocks

    def trunk_part(self, form: Format, snapshot: Snapshot | None) -> Part:
        """Return the trunks' samples with their families' headers."""
        blocks = self.trunk_blocks(snapshot)
        kept = self._parts.get(form)
        if kept is None or kept[0] is not blocks:
            kept = self._parts[form] = (blocks, join_families([blocks], HEADERS[form]))
        return kept[1]

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

    def _render(self, snapshot: Snapshot) -> tuple[Block, ...]:
        changes = self._history.changes(self.name) if self._history is not None else None
        return render_trunks(self.name, snapshot, changes, self.privacy)

    def _read(self, snapshot: Snapshot) -> None:
        """Record a snapshot, before its series are made: they tell the changes it brought."""
        if self._history is None:
            return
        with self._recording:
            if not self._retired:
                self._history.record(self.name, snapshot)

    def _refreshed(self, outcome: Outcome) -> None:
        if self._retired:
            return
        self.tally.refreshed(outcome)
        trunks = 0 if outcome.snapshot is None else len(outcome.snapshot.trunks)
        self.refreshes.append((time.time(), replace(outcome, snapshot=None), trunks))
        if outcome.snapshot is not None:
            for block in self.trunk_blocks(outcome.snapshot):
                _ = block.deflated  # compressed here, so that no scrape has to wait for it


class Loaded(NamedTuple):
    """How the latest attempt to load the configuration went.

    Attributes:
        successful: whether it worked.
        succeeded_at: when one last did, in seconds since the epoch.
    """

    successful: bool
    succeeded_at: float


class _Own(NamedTuple):
    """What is told of the exporter itself, apart from the process."""

    history: tuple[str, int] | None
    loaded: Loaded | None
    log_dropped: int


class _View(NamedTuple):
    """A page in one format, and what it was made of."""

    accounts: tuple[Account, ...] | None = None
    seen: tuple[tuple[AccountState, int], ...] = ()
    own: _Own | None = None
    trunks: Part = Part(())
    live: Part = Part(())
    process: Part = Part(())
    page: Page = Page()


class Collector:
    """Makes pages of all accounts.

    Args:
        accounts: in the order of the page; their names differ.
        history: that of the accounts, to tell whether it works; ``None`` tells nothing of it.
        probe_only: the page tells nothing of the accounts, and refreshes none: they are asked for
            one by one, with :func:`vats_exporter.metrics.probe.probe`.

    Attributes:
        history: as given; replacing it takes effect with the next page.
        loaded: how the configuration was last loaded; ``None`` tells nothing of it.
    """

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        *,
        history: History | None = None,
        probe_only: bool = False,
    ) -> None:
        self._accounts = tuple(accounts)
        self._probe_only = probe_only
        self._shown = () if probe_only else self._accounts
        self.history = history
        self.loaded: Loaded | None = None
        self._lock = threading.Lock()
        self._views = dict.fromkeys(Format, _View())
        self._process = _Process()
        build = {"version": __version__, "python": platform.python_version()}
        self._build_info = sample_line(metrics.BUILD_INFO.name, label_text(build), 1.0)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts; replacing them takes effect with the next page."""
        return self._accounts

    @accounts.setter
    def accounts(self, accounts: Iterable[Account]) -> None:
        self._accounts = tuple(accounts)
        self._shown = () if self._probe_only else self._accounts

    def account(self, name: str) -> Account | None:
        """Return the account of a name; ``None`` if there is none."""
        return next((account for account in self._accounts if account.name == name), None)

    def refresh(self, timeout: float) -> None:
        """Refresh every account for which that is due, all at the same time.

        Args:
            timeout: seconds to wait for all of them together; what takes longer goes on.
        """
        deadline = time.monotonic() + timeout
        started = [(one.refresher, one.refresher.start()) for one in self._shown]
        for refresher, refresh in started if timeout else ():
            # For a moment at least, so that each of those that hang is known to.
            refresher.wait(refresh, max(0.001, deadline - time.monotonic()))

    def states(self) -> list[AccountState]:
        """Return every account's state as it is, asking nobody."""
        return [account.refresher.peek() for account in self._accounts]

    def scrape(self, form: Format, timeout: float) -> Page:
        """Refresh what is due, and return the page.

        Args:
            form: the page's.
            timeout: as :meth:`refresh` takes it.
        """
        page = self.settled(form)
        if page is None:
            self.refresh(timeout)
            page = self.page(form)
        return page

    def settled(self, form: Format) -> Page | None:
        """Return the page where it is still what it would be if it were made now; else ``None``.

        Args:
            form: the page's.
        """
        view = self._views[form]
        if view.accounts is not self._shown:
            return None
        for account, (state, version) in zip(view.accounts, view.seen, strict=True):
            if account.refresher.settled() is not state or account.tally.version != version:
                return None
        same_own = view.process is self._process.part(form) and view.own == self._own()
        return view.page if same_own else None

    def page(self, form: Format) -> Page:
        """Return the page as it is, asking nobody.

        Two calls between which nothing changed give the same object.
        """
        accounts = self._shown
        seen = tuple([(account.refresher.peek(), account.tally.version) for account in accounts])
        process = self._process.part(form)
        own = self._own()
        with self._lock:
            view = self._views[form]
            same_accounts = view.accounts is accounts
            # A state is equal to itself alone, so this compares identities and numbers.
            same_live = same_accounts and view.seen == seen and view.own == own
            if same_live and view.process is process:
                return view.page
            same_trunks = same_accounts and all(
                old.snapshot is new.snapshot
                for (old, _), (new, _) in zip(view.seen, seen, strict=True)
            )
            trunks = view.trunks if same_trunks else _trunk_part(form, accounts, seen)
            live = view.live if same_live else self._live_part(form, accounts, seen, own)
            page = Page(trunks, live, process)
            # Replaced as one, for those who look at it without the lock.
            self._views[form] = _View(accounts, seen, own, trunks, live, process, page)
            return page

    def _own(self) -> _Own:
        """Return what is told of the exporter itself."""
        history = self.history
        remembered = None if history is None else (history.problem, history.errors_total)
        return _Own(remembered, self.loaded, dropped_lines())

    def _live_part(
        self,
        form: Format,
        accounts: Sequence[Account],
        seen: Sequence[tuple[AccountState, int]],
        own: _Own,
    ) -> Part:
        rows = [
            account.samples(state, version)
            for account, (state, version) in zip(accounts, seen, strict=True)
        ]
        lines: dict[Metric, str] = {
            metric: "".join(row[metric] for row in rows) for metric in ACCOUNT_METRICS
        }
        if own.loaded is not None:
            for metric, value in zip(
                (metrics.CONFIG_RELOAD_SUCCESSFUL, metrics.CONFIG_RELOAD_TIMESTAMP),
                own.loaded,
                strict=True,
            ):
                lines[metric] = sample_line(metric.name, "", value)
        if own.history is not None:
            problem, errors = own.history
            lines[metrics.HISTORY_UP] = sample_line(metrics.HISTORY_UP.name, "", not problem)
            lines[metrics.HISTORY_ERRORS] = sample_line(metrics.HISTORY_ERRORS.name, "", errors)
        lines[metrics.LOG_DROPPED] = sample_line(metrics.LOG_DROPPED.name, "", own.log_dropped)
        lines[metrics.BUILD_INFO] = self._build_info
        raw = b"".join(
            HEADERS[form][metric].raw + samples.encode()
            for metric, samples in lines.items()
            if samples
        )
        return Part((Block(raw),))


def _trunk_part(
    form: Format, accounts: Sequence[Account], seen: Sequence[tuple[AccountState, int]]
) -> Part:
    rows = [
        account.trunk_blocks(state.snapshot)
        for account, (state, _) in zip(accounts, seen, strict=True)
    ]
    return join_families(rows, HEADERS[form])


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
