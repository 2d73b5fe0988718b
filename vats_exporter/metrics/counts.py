"""What happened between the exporter and one cabinet, counted, and told to the log at level debug.

It sees every call through the cabinet's trace hook, and every refresh's end. It knows the kinds of
events, and neither metric names nor what the calls are about.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import RESULTS
from vats_exporter.cabinet.trace import (
    CallCompleted,
    CallFailed,
    CallStarted,
    Redeployed,
    SignIn,
)
from vats_exporter.logs.logger import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vats_exporter.cabinet.trace import TraceEvent
    from vats_exporter.refresh import Outcome

    _Ended = CallCompleted | CallFailed | SignIn | Redeployed

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histogram, in seconds; one without a bound follows."""

SIGN_IN_RESULTS: Final = ("success", "login_refused", "unreachable", "timeout", "not_gwt")
"""What signing in comes to; counted from 0 on, so that the first of each is seen as a rise."""

_STEPS: Final = 200
"""Events that are kept to be looked at; a refresh of 10,000 trunks makes about that many."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Latency:
    """The durations of one kind of call.

    Attributes:
        cumulated: how many took at most each of :data:`BUCKETS`; the last is how many there were.
        total: their sum, in seconds.
    """

    cumulated: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Everything counted, at one moment.

    Attributes:
        refreshes: by result.
        logins: by result.
        requests: by call and status, which is an HTTP status or, without an answer, a result.
        latencies: by call, whether answered or not.
        redeployments: changes of the cabinet's permutation.
        details: trunks whose details were asked for, by result; empty if none ever was.
    """

    refreshes: Mapping[str, int]
    logins: Mapping[str, int]
    requests: Mapping[tuple[str, str], int]
    latencies: Mapping[str, Latency]
    redeployments: int
    details: Mapping[str, int]


class Tally:
    """Counts for one account. Safe to use from several threads.

    Args:
        account: its name, for the log.

    Attributes:
        version: another number after every change.
    """

    def __init__(self, account: str) -> None:
        self.version = 0
        self._account = account
        self._lock = threading.Lock()
        self._refreshes = Counter(dict.fromkeys(RESULTS, 0))
        self._logins = Counter(dict.fromkeys(SIGN_IN_RESULTS, 0))
        self._requests: Counter[tuple[str, str]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._totals: dict[str, float] = {}
        self._redeployments = 0
        self._details: Counter[str] = Counter()
        self._steps: deque[tuple[float, TraceEvent]] = deque(maxlen=_STEPS)

    def trace(self, event: TraceEvent) -> None:
        """Count one event of the cabinet's; this is its trace hook."""
        self._steps.append((time.time(), event))
        if isinstance(event, CallStarted):
            return
        with self._lock:
            self._count(event)
            self.version += 1
        self._tell(event)

    def refreshed(self, outcome: Outcome) -> None:
        """Count one refresh."""
        with self._lock:
            self._refreshes[outcome.result] += 1
            self.version += 1

    def detailed(self, result: str, sentence: str) -> None:
        """Count one trunk whose details were asked for.

        Args:
            result: how that went.
            sentence: why it failed; empty if it did not.
        """
        with self._lock:
            if not self._details:
                self._details.update(dict.fromkeys(RESULTS, 0))
            self._details[result] += 1
            self.version += 1
        if sentence:
            _log.warning("details failed", account=self._account, result=result, error=sentence)

    def steps(self) -> list[tuple[float, str]]:
        """Return the latest events: when each was, in seconds since the epoch, and what."""
        return [(at, _step(event)) for at, event in self._steps.copy()]

    def counts(self) -> Counts:
        """Return a copy of all counts."""
        with self._lock:
            return Counts(
                refreshes=dict(self._refreshes),
                logins=dict(self._logins),
                requests=dict(self._requests),
                latencies={
                    call: Latency(tuple(accumulate(buckets)), self._totals[call])
                    for call, buckets in self._buckets.items()
                },
                redeployments=self._redeployments,
                details=dict(self._details),
            )

    def _count(self, event: _Ended) -> None:
        match event:
            case CallCompleted(call=call, status=status, duration=duration):
                self._requests[call, str(status)] += 1
                self._time(call, duration)
            case CallFailed(call=call, error=error, duration=duration):
                self._requests[call, error.result] += 1
                self._time(call, duration)
            case SignIn(result=result):
                self._logins[result] += 1
            case Redeployed():  # pragma: no branch - the last kind there is
                self._redeployments += 1

    def _time(self, call: str, duration: float) -> None:
        buckets = self._buckets.setdefault(call, [0] * (len(BUCKETS) + 1))
        buckets[bisect_left(BUCKETS, duration)] += 1
        self._totals[call] = self._totals.get(call, 0.0) + duration

    def _tell(self, event: _Ended) -> None:
        log = _log.bind(account=self._account)
        match event:
            case CallCompleted(call=call, status=status, duration=duration, size=size):
                log.debug(
                    "call answered",
                    call=call,
                    status=status,
                    duration=round(duration, 3),
                    size=size,
                )
            case CallFailed(call=call, error=error, duration=duration):
                log.debug(
                    "call failed",
                    call=call,
                    result=error.result,
                    error=str(error),
                    duration=round(duration, 3),
                )
            case SignIn(result=result, duration=duration):
                log.debug("sign-in ended", result=result, duration=round(duration, 3))
            case Redeployed(old=old, new=new):  # pragma: no branch - likewise
                log.info("cabinet was redeployed", old=old, new=new)


def _step(event: TraceEvent) -> str:
    """Write an event for people."""
    match event:
        case CallStarted(call=call):
            return f"{call}: asked"
        case CallCompleted(call=call, status=status, duration=duration, size=size):
            return f"{call}: HTTP {status}, {size} bytes, after {duration:.3f} s"
        case CallFailed(call=call, error=error, duration=duration):
            return f"{call}: {error.result} after {duration:.3f} s: {error}"
        case SignIn(result=result, duration=duration):
            return f"sign-in ended: {result} after {duration:.3f} s"
        case Redeployed(old=old, new=new):  # pragma: no branch - likewise
            return f"the cabinet was redeployed: {old} became {new}"
