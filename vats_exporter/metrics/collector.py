"""Accounts as Prometheus sees them: counted, refreshed and rendered; and the page of them all.

What changes together is made together, and no more often: the samples of an account's snapshot once
a refresh, in its thread; the other samples when a refresh ended or a call was made; the process's
own at most once a second. A scrape in between sends a page that is already there.
"""

from __future__ import annotations

import platform
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import Metric as Family

from vats_exporter import __version__, logs
from vats_exporter.cabinet.errors import RESULTS, CabinetError
from vats_exporter.cabinet.transport import (
    CallEnded,
    CallStarted,
    PageRead,
    Redeployed,
    SignIn,
    TraceEvent,
)
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.history.history import History
from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.exposition import (
    HEADERS,
    Exposition,
    Format,
    SnapshotLines,
    clean,
    encode,
    family,
    render_snapshot,
)
from vats_exporter.metrics.table import Metric
from vats_exporter.redaction import Privacy
from vats_exporter.refresh import Clock, Outcome, Refresher, Source
from vats_exporter.trunks import AccountState, Snapshot

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # of latencies, in seconds
# How signing in usually ends; counted from 0 on, so that the first of each is seen as a rise.
SIGN_IN_RESULTS: Final = ("success", "login_refused", "unreachable", "timeout", "not_gwt")
_STEPS: Final = 200  # kept to be looked at; a refresh of 10,000 trunks makes about that many
_REFRESHES: Final = 10

_log = logs.get_logger(__name__)

disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations


class AccountCounters:
    """What happened between the exporter and one cabinet, counted, and logged at level debug.

    The counters are in a registry of their own. Thread-safe.
    """

    def __init__(self, account: str) -> None:
        self.version = object()  # another one after every change
        # What was done last, and how refreshes ended: when, since the epoch, and a sentence.
        self.steps: Final[deque[tuple[float, str]]] = deque(maxlen=_STEPS)
        self.refreshes: Final[deque[tuple[float, str]]] = deque(maxlen=_REFRESHES)
        self._account = account = clean(account)
        self._log = _log.bind(account=account)
        self._registry = CollectorRegistry()
        self._refreshes = self._counter(metrics.REFRESHES, RESULTS)
        self._logins = self._counter(metrics.LOGINS, SIGN_IN_RESULTS)
        self._requests = self._counter(metrics.REQUESTS)
        self._answers = self._counter(metrics.ANSWERS, ("script", "block"))
        self._redeployments = self._counter(metrics.REDEPLOYMENTS).labels(account)
        self._details = self._counter(metrics.DETAILS)
        latency = metrics.REQUEST_DURATION
        self._latency = Histogram(
            latency.name, latency.help, latency.labels, registry=self._registry, buckets=BUCKETS
        )

    def _counter(self, metric: Metric, results: Iterable[str] = ()) -> Counter:
        made = Counter(metric.name, metric.help, metric.labels, registry=self._registry)
        for result in results:
            made.labels(self._account, result)
        return made

    def families(self, state: AccountState) -> list[Family]:
        """Return what was counted, and what a state tells but for its snapshot."""
        values: dict[Metric, float | None] = {
            metrics.UP: state.up,
            metrics.REFRESH_DURATION: state.duration,
            metrics.LOGIN_RETRY_TIMESTAMP: state.login_retry_at,
        }
        gauges = [
            family(metric, ((self._account,), value))
            for metric, value in values.items()
            if value is not None
        ]
        return [*gauges, *(counted for counted in self._registry.collect() if counted.samples)]

    def trace(self, event: TraceEvent) -> None:
        """Count and log one event of the cabinet's; this is its trace hook."""
        account, log = self._account, self._log
        match event:
            case CallStarted(call=call):
                step = f"{call}: asked"
            case CallEnded(call=call, outcome=outcome, duration=duration):
                took = round(duration, 3)
                if isinstance(outcome, CabinetError):
                    result, error = outcome.result, str(outcome)
                    step = f"{call}: {result} after {duration:.3f} s: {error}"
                    log.debug("call failed", call=call, result=result, error=error, duration=took)
                else:
                    result, size = str(outcome.status), len(outcome.body)
                    step = f"{call}: HTTP {result}, {size} bytes, after {duration:.3f} s"
                    status = outcome.status
                    log.debug("call answered", call=call, status=status, duration=took, size=size)
                self._requests.labels(account, call, result).inc()
                self._latency.labels(account, call).observe(duration)
            case SignIn(result=result, duration=duration):
                step = f"sign-in ended: {result} after {duration:.3f} s"
                self._logins.labels(account, result).inc()
                log.debug("sign-in ended", result=result, duration=round(duration, 3))
            case Redeployed(old=old, new=new):
                step = f"the cabinet was redeployed: {old} became {new}"
                self._redeployments.inc()
                log.info("cabinet was redeployed", old=old, new=new)
            case PageRead(read_by=read_by):  # pragma: no branch - the last kind there is
                step = f"list: a page was read by {read_by}"
                self._answers.labels(account, read_by).inc()
                log.debug("page read", read_by=read_by)
        self.steps.append((time.time(), step))
        if not isinstance(event, CallStarted):
            self.version = object()

    def refreshed(self, outcome: Outcome) -> None:
        """Count one refresh."""
        self._refreshes.labels(self._account, outcome.result).inc()
        what = outcome.error
        if outcome.snapshot is not None:
            what = f"{len(outcome.snapshot.trunks)} trunks on {outcome.pages} pages"
        told = f"{outcome.result} after {outcome.duration:.3f} s: {what}"
        self.refreshes.append((time.time(), told))
        self.version = object()

    def detailed(self, result: str, sentence: str) -> None:
        """Count one trunk whose details were asked for; the sentence is why that failed."""
        for one in RESULTS:  # from the first one on, all of them are there
            self._details.labels(self._account, one)
        self._details.labels(self._account, result).inc()
        self.version = object()
        if sentence:
            self._log.warning("details failed", result=result, error=sentence)


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
        self.history = history or History()
        self._recording = threading.Lock()
        self._retired = False
        self._rendered: tuple[Snapshot | None, SnapshotLines] = (None, {})
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
        if history is not self.history:
            self.history = history
            self._rendered = (None, {})  # the lines tell changes

    def retire(self) -> None:
        """Record and count nothing more: an older snapshot would make a change come again."""
        with self._recording:
            self._retired = True

    def snapshot_lines(self, snapshot: Snapshot | None) -> SnapshotLines:
        """Return the samples of a snapshot, rendered once."""
        if snapshot is None:
            return {}
        # One tuple, read and replaced whole: the refresh's thread and a scrape's may both come.
        rendered, lines = self._rendered
        if rendered is not snapshot:
            changes = self.history.changes(self.name)
            lines = render_snapshot(self.name, snapshot, changes, self.privacy)
            self._rendered = (snapshot, lines)
        return lines

    def _record(self, snapshot: Snapshot) -> None:
        with self._recording:
            if not self._retired:
                self.history.record(self.name, snapshot)

    def _count(self, outcome: Outcome) -> None:
        if self._retired:
            return
        self.counters.refreshed(outcome)
        if outcome.snapshot is not None:
            self.snapshot_lines(outcome.snapshot)  # rendered here, so that no scrape waits for it


_BUILD: Final = family(metrics.BUILD_INFO, ([__version__, platform.python_version()], 1))

Accounts = tuple[MonitoredAccount, ...]
States = tuple[tuple[AccountState, object], ...]  # of each account, and its counters' version


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
        self._process = ProcessCollector(registry=None)
        self._lock = threading.Lock()
        # Of each format the latest: the accounts' part, and the page with what it is made of.
        self._chunks = {form: lru_cache(1)(partial(write_accounts, form)) for form in Format}
        self._pages: dict[Format, tuple[object, Exposition]] = {}

    def account(self, name: str) -> MonitoredAccount | None:
        """Return the account of a name."""
        return next((account for account in self.accounts if account.name == name), None)

    def config_loaded(self, *, successful: bool) -> None:
        """Note how the latest attempt to load the configuration went."""
        self._loaded = (successful, time.time() if successful else self._loaded[1])

    def refresh(self, timeout: float) -> None:
        """Refresh every account for which that is due, all at once, and wait for all together."""
        deadline = time.monotonic() + timeout
        accounts = () if self._probe_only else self.accounts
        started = [(one.refresher, one.refresher.start()) for one in accounts]
        for refresher, refresh in started if timeout else ():
            # For a moment at least, so that each of those that hang is known to.
            refresher.wait(refresh, max(0.001, deadline - time.monotonic()))

    def page(self, form: Format) -> Exposition:
        """Return the page as it is: the same object, until something changes."""
        accounts, history = () if self._probe_only else self.accounts, self.history
        states = tuple((one.refresher.peek(), one.counters.version) for one in accounts)
        successful, succeeded_at = self._loaded
        own = {
            metrics.CONFIG_RELOAD_SUCCESSFUL: successful,
            metrics.CONFIG_RELOAD_TIMESTAMP: succeeded_at,
            metrics.HISTORY_UP: not history.problem,
            metrics.HISTORY_ERRORS: history.errors_total,
            metrics.LOG_DROPPED: logs.writer.dropped,
        }
        with self._lock:
            if time.monotonic() - self._second >= 1.0:
                self._second = time.monotonic()
            made_of = (accounts, states, self._second, *own.values())
            if form not in self._pages or self._pages[form][0] != made_of:
                chunks = self._chunks[form](accounts, states)
                gauges = [family(metric, ((), value)) for metric, value in own.items()]
                families = [_BUILD, *gauges, *self._process.collect()]
                page = Exposition([*chunks, encode(families, form)], form)
                self._pages[form] = made_of, page
            return self._pages[form][1]


def write_accounts(form: Format, accounts: Accounts, states: States) -> list[bytes]:
    """Write all samples of the accounts in these states."""
    families: dict[str, Family] = {}
    lines: dict[Metric, list[bytes]] = {metric: [head] for metric, head in HEADERS[form].items()}
    for account, (state, _) in zip(accounts, states, strict=True):
        for one in account.counters.families(state):
            known = families.setdefault(one.name, one)
            if known is not one:
                known.samples += one.samples
        for metric, texts in account.snapshot_lines(state.snapshot).items():
            lines[metric] += texts
    chunks = [text for texts in lines.values() if len(texts) > 1 for text in texts]
    return [*chunks, encode(families.values(), form)]
