"""When to ask the cabinet: freshness, one refresh at a time, back-off, the last good snapshot.

Knows time and threads, and neither HTTP nor metrics.

* A snapshot is **fresh** for ``ttl``. Then the first scrape starts a **refresh**, in a thread; all
  others wait for the same one, each until its own deadline. One that is not finished by then is
  **not waited for again**, nor are the account's next ones, until the cabinet answers: an account
  that hangs delays one scrape.
* A **failure** replaces nothing: the last good snapshot stays, with its true time, until it is
  older than ``stale``. It holds for ``ttl`` as well, or as long as the cabinet said, up to an hour.
* A **refused login** is tried again after ``ttl``, but a minute at least, then after twice that,
  and so on up to an hour. Only a success or other credentials end it.

Ages are measured with a clock that only goes forward, so that a corrected wall clock neither
revives nor ends a snapshot; times that people see come from the wall clock.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, Protocol

from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.logs import get_logger
from vats_exporter.redaction import describe_unexpected
from vats_exporter.trunks import AccountState, Listing, Snapshot, Trunk

Mark = Callable[[tuple[Trunk, ...]], tuple[tuple[Trunk, ...], tuple[str, ...]]]

REFUSED_FIRST: Final = 60.0
REFUSED_LAST: Final = 3600.0
"""Seconds that a refused login waits: at least at first, and at most (a longer ttl prevails)."""

_log = get_logger(__name__)


class Clock:
    """The machine's clocks, in seconds: a wall clock, and one that only goes forward."""

    now = staticmethod(time.time)  # since the epoch
    # It goes on while the machine is suspended, too: what is fresh ages.
    monotonic = staticmethod(
        partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    )


class Source(Protocol):
    """What a refresher reads, by one thread at a time."""

    def read_trunks(self) -> Listing:
        """Read every trunk; a ``CabinetError`` if the list cannot be read whole."""

    def credentials_changed(self) -> bool:
        """Whether login and password are others than those that were last sent."""

    def close(self) -> None:
        """Give back connections and the session."""


class Outcome(NamedTuple):
    """How one refresh ended: with a snapshot, or an error's sentence."""

    result: str  # one of vats_exporter.cabinet.errors.RESULTS
    duration: float
    snapshot: Snapshot | None = None
    pages: int = 0
    error: str = ""
    retry_after: float = 0.0  # seconds after which the cabinet wants to be asked again, if any


class Refresher:
    """Keeps one account's snapshot fresh: for ``ttl`` seconds, and served for ``stale`` at most.

    Args:
        on_snapshot: called with each snapshot, in the refresh's thread, before anyone can see it.
        on_result: called after each refresh, in its thread, before those who wait for it continue.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        ttl: float = 60.0,
        stale: float = 900.0,
        clock: Clock | None = None,
        on_snapshot: Callable[[Snapshot], None] | None = None,
        on_result: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.name = name
        self.mark: Mark | None = None  # marks the trunks that are off on purpose; None if none is
        self.ttl = ttl
        self.stale = stale
        self._source = source
        self._clock = clock or Clock()
        self._on_snapshot = on_snapshot or (lambda _: None)
        self._on_result = on_result or (lambda _: None)
        self._lock = threading.Lock()
        self._running: threading.Event | None = None
        self._thread: threading.Thread | None = None  # of the latest refresh
        self._closed = self._hangs = False
        self._state = AccountState(name)
        self._log = _log.bind(account=name)
        self._taken = 0.0  # both are monotonic: when the snapshot that is served was taken,
        self._next = -math.inf  # and when the next attempt is due
        self._refusals = 0
        self._warned: frozenset[str] = frozenset()
        self._read_by = ""

    def start(self) -> threading.Event | None:
        """Start a refresh if one is due; return the one under way, to :meth:`wait` for."""
        with self._lock:
            if self._running is None and not self._closed and self._is_due():
                running = threading.Event()
                thread = threading.Thread(
                    target=self._run, args=(running,), name=f"refresh {self.name}", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError as error:  # the machine has no thread left at the moment
                    self._log.error("refresh was not started", error=str(error))
                else:
                    self._running, self._thread = running, thread
            return self._running

    def _is_due(self) -> bool:
        """Whether it is time to ask again, or other credentials than the refused ones are there."""
        # Scrapes every ttl come a few milliseconds early half of the time, and would find every
        # other snapshot two ttl old.
        early = min(1.0, self.ttl / 20) if self._state.result == "success" else 0.0
        if self._clock.monotonic() >= self._next - early:
            return True
        return self._state.login_retry_at is not None and self._source.credentials_changed()

    def wait(self, refresh: threading.Event | None, timeout: float) -> bool:
        """Wait for a refresh that :meth:`start` gave; whether it has ended.

        Not at all if one was waited for in vain, and the cabinet has not answered since.
        """
        if refresh is not None and not self._hangs and not refresh.wait(timeout):
            self._hangs = timeout > 0
        return refresh is None or self._running is not refresh

    def peek(self) -> AccountState:
        """Return the account's state as it is, without a refresh."""
        with self._lock:
            age = self._clock.monotonic() - self._taken
            if self._state.snapshot is not None and age >= self.stale:
                self._state = replace(self._state, snapshot=None, up=False)
            return self._state

    def retime(self, ttl: float, stale: float) -> None:
        """Change ttl and stale, also of the current snapshot, but no refused login's delay."""
        with self._lock:
            if self._state.login_retry_at is None:
                self._next += ttl - self.ttl
            self.ttl, self.stale = ttl, stale

    def adopt(self, other: Refresher, *, same_login: bool) -> None:
        """Serve the last good snapshot of the account as it was configured before.

        With the same login, a refusal keeps its delay.
        """
        with other._lock:
            state, taken = other._state, other._taken
            waits = (other._next, other._refusals) if state.login_retry_at is not None else None
        with self._lock:
            self._taken = taken
            if same_login and waits is not None:
                self._state, (self._next, self._refusals) = state, waits
            else:
                self._state = replace(self._state, snapshot=state.snapshot)

    def release(self) -> None:
        """Start no more refreshes, and release those who wait for one."""
        with self._lock:
            self._closed = True
            if self._running is not None:
                self._running.set()

    def close(self, timeout: float = 5.0) -> None:
        """Close the source; a refresh under way may take ``timeout`` seconds more."""
        self.release()
        if self._thread is not None:
            self._thread.join(timeout)
        try:
            self._source.close()
        except CabinetError as error:
            self._log.warning("sign-out failed", error=str(error))

    def _run(self, running: threading.Event) -> None:
        """Refresh once; the body of the thread."""
        began = self._clock.monotonic()
        try:
            outcome = self._read(began)
            if outcome.snapshot is not None:
                try:
                    self._on_snapshot(outcome.snapshot)
                except Exception as bug:  # noqa: BLE001 - it is served all the same
                    self._log.error("snapshot was not recorded", error=describe_unexpected(bug))
            self._keep(outcome, began)
            self._log_outcome(outcome)
            self._on_result(outcome)
        except Exception as bug:  # noqa: BLE001 - a listener's bug must not end the account
            self._log.error("refresh was not recorded", error=describe_unexpected(bug))
        finally:
            with self._lock:
                self._running = None
            running.set()

    def _read(self, began: float) -> Outcome:
        """Read the source, and return the outcome, whatever happens."""
        try:
            listing, mark = self._source.read_trunks(), self.mark
            trunks, warnings = mark(listing.trunks) if mark else (listing.trunks, ())
        except CabinetError as failure:
            took = self._clock.monotonic() - began
            return Outcome(failure.result, took, None, 0, str(failure), failure.retry_after)
        except Exception as bug:  # noqa: BLE001 - a bug must not end the account
            took = self._clock.monotonic() - began
            return Outcome("undecodable", took, error=describe_unexpected(bug))
        took = self._clock.monotonic() - began
        told = (*listing.warnings, *warnings)
        snapshot = Snapshot(trunks, self._clock.now(), told, listing.read_by)
        return Outcome("success", took, snapshot, listing.pages)

    def _keep(self, outcome: Outcome, began: float) -> None:
        """Make the outcome the account's state."""
        with self._lock:
            ended = self._clock.monotonic()
            delay = min(outcome.retry_after, REFUSED_LAST)
            retry_at = None
            if outcome.result != "timeout":
                self._hangs = False
            if outcome.snapshot is not None:
                self._taken = ended
                self._next = began + self.ttl
                self._refusals = 0
            elif outcome.result == "login_refused":
                delay = max(self._back_off(), delay)
                self._next = ended + delay
                retry_at = self._clock.now() + delay
            else:
                self._next = ended + max(self.ttl, delay)
            snapshot = outcome.snapshot or self._state.snapshot
            result, error, took = outcome.result, outcome.error, outcome.duration
            up = outcome.snapshot is not None
            self._state = AccountState(self.name, snapshot, result, error, took, retry_at, up)

    def _back_off(self) -> float:
        """Count a refusal; return the seconds until the login may be tried again."""
        base = max(self.ttl, REFUSED_FIRST)
        # The exponent is bounded: 2.0 to the power of a month of refusals is no float.
        delay = base * 2.0 ** min(self._refusals, 32)
        self._refusals += 1
        return min(delay, max(REFUSED_LAST, base))

    def _log_outcome(self, outcome: Outcome) -> None:
        """Write the refresh's log line, and the warnings that were not there before."""
        log = self._log
        result, snapshot, duration = outcome.result, outcome.snapshot, round(outcome.duration, 3)
        if snapshot is None:
            log.warning("refresh failed", result=result, error=outcome.error, duration=duration)
            return
        trunks, pages = len(snapshot.trunks), outcome.pages
        log.info("refreshed", result=result, trunks=trunks, pages=pages, duration=duration)
        if snapshot.read_by != self._read_by:
            self._read_by = snapshot.read_by
            log.info("list read", read_by=self._read_by)
        for warning in snapshot.warnings:
            if warning not in self._warned:
                log.warning("snapshot has a flaw", warning=warning)
        self._warned = frozenset(snapshot.warnings)
