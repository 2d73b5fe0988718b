"""What happened between the exporter and one cabinet, counted, and logged at level debug."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import Metric as Family

from vats_exporter.cabinet.errors import RESULTS, CabinetError
from vats_exporter.cabinet.transport import (
    CallEnded,
    CallStarted,
    PageRead,
    Redeployed,
    SignIn,
    TraceEvent,
)
from vats_exporter.logs import get_logger
from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.exposition import clean
from vats_exporter.metrics.table import Metric
from vats_exporter.refresh import Outcome

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # of latencies, in seconds
# How signing in usually ends; counted from 0 on, so that the first of each is seen as a rise.
SIGN_IN_RESULTS: Final = ("success", "login_refused", "unreachable", "timeout", "not_gwt")
_STEPS: Final = 200  # kept to be looked at; a refresh of 10,000 trunks makes about that many
_REFRESHES: Final = 10

_log = get_logger(__name__)

disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations


class AccountCounters:
    """The counters of one account, in a registry of their own. Thread-safe."""

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

    def families(self) -> list[Family]:
        """Return what was counted."""
        return [family for family in self._registry.collect() if family.samples]

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
