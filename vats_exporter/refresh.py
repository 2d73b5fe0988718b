"""When to ask the cabinet: freshness, one flight at a time, back-off, the last good snapshot.

A :class:`Refresher` stands between the scrapes of one account and that account's cabinet. It knows
time and threads, and neither HTTP nor metrics. Its rules:

* A snapshot is **fresh** for ``ttl``, counted from when its reading began and less a little, so
  that scrapes that come every ``ttl`` each find the cabinet's newest state. What is fresh is
  served at once.
* Otherwise the first view starts a **flight**, a thread that reads the cabinet; every other view
  waits for the same one. A view waits no longer than its own timeout and then gets what there is;
  the flight goes on, and the next view finds what it brought.
* A **failure** replaces nothing: the last good snapshot stays, with its true time, until it is
  older than ``stale``. The failure itself holds for ``ttl`` too, so that a broken cabinet is asked
  no more often than a working one; longer, up to an hour, where the cabinet said so itself.
* A **refused login** is tried again after ``ttl``, then after twice that, and so on up to an hour,
  so that a changed password never locks the account. Only a success or :meth:`Refresher.reset`
  ends it.

Ages are measured with a clock that only goes forward, also while the machine is suspended, so that
a corrected wall clock neither revives nor ends a snapshot; times that people see come from the wall
clock.
"""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import CabinetError, IncompleteError
from vats_exporter.logs.logger import get_logger
from vats_exporter.redaction import describe_unexpected
from vats_exporter.states import AccountState, Clock, Listing, Outcome, Source, SystemClock
from vats_exporter.trunks import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.trunks import Trunk

    Mark = Callable[[tuple[Trunk, ...]], tuple[tuple[Trunk, ...], tuple[str, ...]]]

__all__ = [
    "AccountState",
    "Clock",
    "Listing",
    "Outcome",
    "Refresher",
    "Source",
    "SystemClock",
]

RETRY_LIMIT: Final = 3600.0
"""Seconds that a refused login, or a cabinet that said when, waits at most before it is tried again
(a longer ttl prevails)."""

EARLY: Final = 1.0
"""Seconds, and at most a twentieth of the ttl, that a view may come before it and still find the
snapshot due: scrapes every ``ttl`` come a few milliseconds early half of the time, and would find
every other snapshot two ttl old."""

RETRY_WITHOUT_TTL: Final = 60.0
"""Seconds before the first repeat of a refused login where the ttl is 0."""

_log = get_logger(__name__)


class Refresher:
    """Keeps one account's snapshot as fresh as it is asked for.

    Args:
        name: the account's name, for logs.
        source: what is read; only ever by one thread at a time.
        ttl: seconds for which a snapshot is fresh, and a failure holds; 0 reads for every view.
        stale: seconds after which a snapshot that could not be replaced is no longer served.
        clock: the machine's, unless a test brings its own.
        mark: marks the trunks that were read, and tells what is to be warned of.
        on_snapshot: called with each snapshot, in the refresh's thread, before anyone can see it.
        on_result: called after each refresh, in its thread, before those who wait for it go on.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        ttl: float = 60.0,
        stale: float = 900.0,
        clock: Clock | None = None,
        mark: Mark | None = None,
        on_snapshot: Callable[[Snapshot], None] | None = None,
        on_result: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.name = name
        self.ttl = ttl
        self.stale = stale
        self._source = source
        self._clock: Clock = clock or SystemClock()
        self._mark = mark
        self._on_snapshot = on_snapshot
        self._on_result = on_result
        self._lock = threading.Lock()
        self._flight: threading.Event | None = None
        self._thread: threading.Thread | None = None  # of the latest flight
        self._closed = False
        self._state = AccountState(name)
        self._taken: float | None = None  # both are monotonic: when the snapshot was taken,
        self._next: float | None = None  # when the next attempt is due; None means now
        self._settled = (-math.inf, self._state)
        self._refusals = 0
        self._warned: frozenset[str] = frozenset()

    @property
    def refreshing(self) -> bool:
        """Whether a flight is under way."""
        return self._flight is not None

    def view(self, timeout: float) -> AccountState:
        """Return the account's state, refreshed if that is due and can be done in time.

        Args:
            timeout: seconds to wait for a refresh at most; 0 starts it and does not wait.
        """
        self.landed(self.begin(), timeout)
        return self.peek()

    def begin(self) -> threading.Event | None:
        """Start a refresh if one is due and none is under way.

        Returns:
            What is set when the refresh under way ends, or need not be waited for any longer;
            ``None`` if there is none.
        """
        with self._lock:
            if self._flight is None and not self._closed and self._is_due():
                self._flight = self._take_off()
                self._settle()
            return self._flight

    def landed(self, flight: threading.Event | None, timeout: float) -> bool:
        """Wait for a flight, and tell whether it ended.

        Args:
            flight: what :meth:`begin` gave; ``None`` is none to wait for.
            timeout: seconds to wait at most.
        """
        if flight is None:
            return True
        flight.wait(timeout)
        return self._flight is not flight

    def settled(self) -> AccountState | None:
        """Return the state where nothing is due, under way or about to be stale; else ``None``.

        What a scrape asks first. Takes no lock: the time and the state are replaced as one.
        """
        until, state = self._settled
        return state if self._clock.monotonic() < until else None

    def peek(self) -> AccountState:
        """Return the account's state as it is, asking nobody."""
        with self._lock:
            if self._taken is not None and self._clock.monotonic() - self._taken >= self.stale:
                self._taken = None
                self._state = replace(self._state, snapshot=None)
                self._settle()
            return self._state

    def reset(self) -> None:
        """Forget freshness and back-off: the next view asks the cabinet."""
        with self._lock:
            self._next = None
            self._refusals = 0
            self._state = replace(self._state, login_retry_at=None)
            self._settle()

    def retime(self, ttl: float, stale: float) -> None:
        """Change how long things hold, also what is known now.

        A refused login is not affected: it waits for as long as it was told to.

        Args:
            ttl: as the constructor takes it.
            stale: likewise.
        """
        with self._lock:
            if self._next is not None and self._state.login_retry_at is None:
                self._next += ttl - self.ttl
                if self._state.up:
                    self._next -= min(EARLY, ttl / 20) - min(EARLY, self.ttl / 20)
            self.ttl, self.stale = ttl, stale
            self._settle()

    def adopt(self, other: Refresher) -> None:
        """Serve another refresher's last good snapshot until there is one of one's own.

        Args:
            other: of the same account, as it was configured before.
        """
        with other._lock:
            snapshot, taken = other._state.snapshot, other._taken
        with self._lock:
            self._state = replace(self._state, snapshot=snapshot)
            self._taken = taken
            self._settle()

    def hurry(self) -> None:
        """Start no more refreshes, and let those who wait for one go on with what there is."""
        with self._lock:
            self._closed = True
            if self._flight is not None:
                self._flight.set()

    def close(self, timeout: float = 5.0) -> None:
        """Start no more refreshes, and close the source; nobody waits for one any longer.

        Args:
            timeout: seconds that a refresh under way may still take. One that takes longer loses
                its connection, which ends it.
        """
        self.hurry()
        if self._thread is not None:
            self._thread.join(timeout)
        try:
            self._source.close()
        except CabinetError as error:
            _log.warning("sign-out failed", account=self.name, error=str(error))

    def _is_due(self) -> bool:
        return self._next is None or self._clock.monotonic() >= self._next

    def _take_off(self) -> threading.Event | None:
        """Start a flight's thread; ``None`` if the machine has none left, which may pass."""
        flight = threading.Event()
        thread = threading.Thread(
            target=self._fly, args=(flight,), name=f"refresh {self.name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            _log.error("refresh was not started", account=self.name, error=str(error))
            return None
        self._thread = thread
        return flight

    def _fly(self, flight: threading.Event) -> None:
        """Refresh once; the body of the flight's thread."""
        began = self._clock.monotonic()
        try:
            outcome = self._read(began)
            if outcome.snapshot is not None:
                self._show(outcome.snapshot)
            self._keep(outcome, began)
            self._tell(outcome)
            if self._on_result is not None:
                self._on_result(outcome)
        except Exception as error:  # noqa: BLE001 - a listener's bug must not end the account
            _log.error(
                "refresh was not recorded", account=self.name, error=describe_unexpected(error)
            )
        finally:
            with self._lock:
                self._flight = None
                self._settle()
            flight.set()

    def _show(self, snapshot: Snapshot) -> None:
        """Let the listener see a snapshot first; it may fail, and the snapshot is served anyway."""
        if self._on_snapshot is None:
            return
        try:
            self._on_snapshot(snapshot)
        except Exception as error:  # noqa: BLE001 - a listener's bug must not cost the snapshot
            _log.error(
                "snapshot was not recorded", account=self.name, error=describe_unexpected(error)
            )

    def _read(self, began: float) -> Outcome:
        """Read the source, and say how it went, whatever happens."""
        try:
            listing = self._source.read_trunks()
            _require_unique(listing.trunks)
        except CabinetError as error:
            took = self._clock.monotonic() - began
            return Outcome(error.result, took, error=str(error), retry_after=error.retry_after)
        except Exception as error:  # noqa: BLE001 - a bug must not end the account
            took = self._clock.monotonic() - began
            return Outcome("undecodable", took, error=describe_unexpected(error))
        took = self._clock.monotonic() - began
        trunks, warnings = listing.trunks, listing.warnings
        if self._mark is not None:
            trunks, more = self._mark(trunks)
            warnings = (*warnings, *more)
        snapshot = Snapshot(trunks, self._clock.now(), took, warnings)
        return Outcome("success", took, snapshot, listing.pages)

    def _keep(self, outcome: Outcome, began: float) -> None:
        """Make the outcome the account's state."""
        with self._lock:
            ended = self._clock.monotonic()
            now = self._clock.now()
            retry_at = None
            if outcome.snapshot is not None:
                self._taken = ended
                self._next = began + self.ttl - min(EARLY, self.ttl / 20)
                self._refusals = 0
            elif outcome.result == "login_refused":
                delay = self._back_off()
                self._next = ended + delay
                retry_at = now + delay
            else:
                self._next = ended + max(self.ttl, min(outcome.retry_after, RETRY_LIMIT))
            self._state = AccountState(
                account=self.name,
                snapshot=outcome.snapshot or self._state.snapshot,
                result=outcome.result,
                error=outcome.error,
                refreshed_at=now,
                duration=outcome.duration,
                login_retry_at=retry_at,
            )
            self._settle()

    def _settle(self) -> None:
        """Work out how long the state stays as it is; with the lock held, after every change."""
        until = -math.inf
        if self._flight is None and self._next is not None:
            until = self._next
            if self._taken is not None:
                until = min(until, self._taken + self.stale)
        self._settled = (until, self._state)

    def _back_off(self) -> float:
        """Count a refusal; return the seconds until the login may be tried again."""
        base = self.ttl or RETRY_WITHOUT_TTL
        # The exponent is bounded: 2.0 to the power of a month of refusals is no float.
        delay = base * 2.0 ** min(self._refusals, 32)
        self._refusals += 1
        return min(delay, max(RETRY_LIMIT, base))

    def _tell(self, outcome: Outcome) -> None:
        """Write the refresh's log line, and the warnings that were not there before."""
        duration = round(outcome.duration, 3)
        if outcome.snapshot is None:
            _log.warning(
                "refresh failed",
                account=self.name,
                result=outcome.result,
                error=outcome.error,
                duration=duration,
            )
            return
        _log.info(
            "refreshed",
            account=self.name,
            result=outcome.result,
            trunks=len(outcome.snapshot.trunks),
            pages=outcome.pages,
            duration=duration,
        )
        for warning in outcome.snapshot.warnings:
            if warning not in self._warned:
                _log.warning("snapshot has a flaw", account=self.name, warning=warning)
        self._warned = frozenset(outcome.snapshot.warnings)


def _require_unique(trunks: tuple[Trunk, ...]) -> None:
    """Refuse a reference that comes twice.

    It would make two series with the same labels, for which Prometheus refuses the whole page, the
    other accounts' series with it.
    """
    if len({trunk.ref for trunk in trunks}) != len(trunks):
        raise IncompleteError("the list names a trunk twice")
