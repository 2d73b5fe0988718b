"""Builds the page that Prometheus reads from the state of the accounts.

What changes together is made together, and no more often: an account's trunk samples once a
refresh, in its thread; the other samples when a refresh ended or a call was made; the process's own
at most once a second. A scrape in between sends a page that is already there.
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric as Family

from vats_exporter import __version__, logs
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.history.history import History
from vats_exporter.history.ledger import Changes
from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.counters import AccountCounters
from vats_exporter.metrics.exposition import (
    Exposition,
    Format,
    TrunkLines,
    encode,
    family,
    join_trunks,
    render_trunks,
    state_families,
)
from vats_exporter.redaction import Privacy
from vats_exporter.refresh import Clock, Outcome, Refresher, Source
from vats_exporter.trunks import AccountState, Snapshot


class MonitoredAccount:
    """One account as Prometheus sees it: refreshed, counted, rendered once a refresh.

    ``counters`` are those that the trace of what is read goes to; its own unless given.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        counters: AccountCounters | None = None,
        *,
        ttl: float = 60.0,
        stale: float = 900.0,
        clock: Clock | None = None,
        history: History | None = None,
        privacy: Privacy | None = None,
    ) -> None:
        self.name: Final = name
        self.privacy: Final = privacy or Privacy()
        self.labels: Mapping[str, str] = {}  # what service discovery adds to its target
        self.expected_off = ExpectedOff()
        self.counters: Final = counters or AccountCounters(name)
        self._history = history or History()
        self._recording = threading.Lock()
        self._retired = False
        self._rendered: tuple[Snapshot | None, TrunkLines] = (None, {})
        self.refresher: Final = Refresher(
            name,
            source,
            ttl=ttl,
            stale=stale,
            clock=clock,
            on_snapshot=self._record,
            on_result=self._count,
        )

    def remember_in(self, history: History) -> None:
        """Count the trunks' changes in another history from now on."""
        if history is not self._history:
            self._history = history
            self._rendered = (None, {})  # the lines tell changes

    def changes(self) -> Changes:
        """Return its trunks' changes."""
        return self._history.changes(self.name)

    def retire(self) -> None:
        """Record and count nothing more: an older snapshot would make a change come again."""
        with self._recording:
            self._retired = True

    def trunk_lines(self, snapshot: Snapshot | None) -> TrunkLines:
        """Return the samples of a snapshot's trunks."""
        if snapshot is None:
            return {}
        # One tuple, read and replaced whole: the refresh's thread and a scrape's may both come.
        rendered, lines = self._rendered
        if rendered is not snapshot:
            lines = render_trunks(self.name, snapshot, self.changes(), self.privacy)
            self._rendered = (snapshot, lines)
        return lines

    def _record(self, snapshot: Snapshot) -> None:
        with self._recording:
            if not self._retired:
                self._history.record(self.name, snapshot)

    def _count(self, outcome: Outcome) -> None:
        if self._retired:
            return
        self.counters.refreshed(outcome)
        if outcome.snapshot is not None:
            self.trunk_lines(outcome.snapshot)  # rendered here, so that no scrape waits for it


Accounts = tuple[MonitoredAccount, ...]
Seen = tuple[tuple[AccountState, object], ...]  # of each account, and its counters' version


class Collector:
    """Makes pages of all accounts, in their order; their names differ. They may be replaced.

    With ``probe_only``, a page tells nothing of the accounts, and refreshes none: each is probed.
    """

    def __init__(
        self,
        accounts: Iterable[MonitoredAccount] = (),
        *,
        history: History | None = None,
        probe_only: bool = False,
    ) -> None:
        self.accounts = tuple(accounts)
        self.history = history or History()
        self._probe_only = probe_only
        self._loaded = (True, time.time())
        self._second = float("-inf")  # when the process was last looked at
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._lock = threading.Lock()
        # Of each format the latest: the accounts' part, and the page, by what they are made of.
        self._chunks = {form: lru_cache(1)(partial(write_accounts, form)) for form in Format}
        self._pages = {form: lru_cache(1)(partial(self._make, form)) for form in Format}

    def account(self, name: str) -> MonitoredAccount | None:
        """Return the account of a name."""
        return next((account for account in self.accounts if account.name == name), None)

    def config_loaded(self, *, successful: bool) -> None:
        """Note how the latest attempt to load the configuration went."""
        self._loaded = (successful, time.time() if successful else self._loaded[1])

    def refresh(self, timeout: float) -> None:
        """Refresh every account for which that is due, all at once, and wait for all together."""
        deadline = time.monotonic() + timeout
        started = [(one.refresher, one.refresher.start()) for one in self._shown()]
        for refresher, refresh in started if timeout else ():
            # For a moment at least, so that each of those that hang is known to.
            refresher.wait(refresh, max(0.001, deadline - time.monotonic()))

    def page(self, form: Format) -> Exposition:
        """Return the page as it is: the same object, until something changes."""
        accounts, history = self._shown(), self.history
        seen = tuple((one.refresher.peek(), one.counters.version) for one in accounts)
        written = (history.problem, history.errors_total)
        with self._lock:
            if time.monotonic() - self._second >= 1.0:
                self._second = time.monotonic()
            return self._pages[form](accounts, seen, self._second, self._loaded, written)

    def _make(self, form: Format, accounts: Accounts, seen: Seen, *_: object) -> Exposition:
        """Make a page of the accounts as they are seen, and of the exporter as it is now."""
        own = encode(self._registry.collect(), form)
        return Exposition([*self._chunks[form](accounts, seen), own], form)

    def _shown(self) -> Accounts:
        return () if self._probe_only else self.accounts

    def collect(self) -> Iterator[Family]:
        """Make the families of the exporter itself, but for the process's."""
        build = [__version__, platform.python_version()]
        yield family(metrics.BUILD_INFO, (build, 1))
        successful, succeeded_at = self._loaded
        yield family(metrics.CONFIG_RELOAD_SUCCESSFUL, ((), successful))
        yield family(metrics.CONFIG_RELOAD_TIMESTAMP, ((), succeeded_at))
        yield family(metrics.HISTORY_UP, ((), not self.history.problem))
        yield family(metrics.HISTORY_ERRORS, ((), self.history.errors_total))
        yield family(metrics.LOG_DROPPED, ((), logs.writer.dropped))


def write_accounts(form: Format, accounts: Accounts, seen: Seen) -> list[bytes]:
    """Write all samples of the accounts as they are seen."""
    families: dict[str, Family] = {}
    lines = []
    for account, (state, _) in zip(accounts, seen, strict=True):
        for one in (*state_families(state), *account.counters.families()):
            known = families.setdefault(one.name, one)
            if known is not one:
                known.samples += one.samples
        lines.append(account.trunk_lines(state.snapshot))
    return [*join_trunks(lines, form), encode(families.values(), form)]
