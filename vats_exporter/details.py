"""Which trunks' details to ask for next, and what is known of them meanwhile.

A trunk's details (selector, SIP line, its phone where the list does not tell) cost one or two
requests each, so they follow a slower schedule of their own:

* a run follows a listing, on the same connection, for :data:`BUDGET` at most, and lets a listing
  go before each trunk. Trunks never asked for come first, then those asked for longest ago, once
  their ``ttl`` has passed; all are known a quarter of the ``ttl`` after a start;
* a trunk whose details fail keeps what it had, and takes its turn again; what is older than
  ``ttl`` and ``stale`` together is no longer shown;
* a failure that is not about this one trunk ends the run, and the next one waits, longer each time,
  and as long as the cabinet says. Details never sign in: that is left to the listing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, Protocol

from vats_exporter.cabinet.contract import TrunkDetails
from vats_exporter.cabinet.errors import (
    CabinetError,
    GwtExceptionError,
    RedeployedError,
    UndecodableError,
)
from vats_exporter.redaction import describe_unexpected
from vats_exporter.refresh import REFUSED_LAST, Clock, Source
from vats_exporter.trunks import Listing, Trunk

BUDGET: Final = 30.0  # seconds after which a run asks for no other trunk
MIN_BATCH: Final = 10  # trunks asked for in one run at least
CATCH_UP: Final = 4  # the part of the ttl in which all trunks are asked for, or a failed one again
PAUSE: Final = 30.0  # seconds that the next run waits after one given up, doubled each time

# Failures that may concern one trunk, unless the cabinet was redeployed; others would repeat.
_OF_A_TRUNK: Final = (GwtExceptionError, UndecodableError)


class _Entry(NamedTuple):
    """What is known of a trunk, when it was read, and when it was asked for and is due again."""

    asked: float
    due: float
    details: TrunkDetails | None = None
    read: float = -math.inf
    read_at: float = 0.0  # the same, in seconds since the epoch


class DetailsBook:
    """What is known of the details of one account's trunks. All times are monotonic seconds.

    Used by one thread at a time, except :meth:`apply`, which may be called during a run.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._entries: dict[str, _Entry] = {}
        self._last_run: float | None = None
        self._fruitless = 0
        self._resume = -math.inf

    def due(self, trunks: Sequence[Trunk], now: float) -> list[str]:
        """The references to ask for in this run, in order; forget trunks that are gone."""
        present = {trunk.ref for trunk in trunks}
        entries = {ref: one for ref, one in self._entries.items() if ref in present}
        self._entries = entries
        new = [trunk.ref for trunk in trunks if trunk.ref not in entries]
        old = sorted((entry.asked, ref) for ref, entry in entries.items() if now >= entry.due)
        elapsed = 0.0 if self._last_run is None else now - self._last_run
        self._last_run = now
        if now < self._resume:
            return []
        paced = math.ceil(CATCH_UP * len(present) * elapsed / self._ttl) if self._ttl else 0
        return [*new, *(ref for _, ref in old)][: max(MIN_BATCH, paced)]

    def give_up(self, now: float, retry_after: float) -> None:
        """Delay the next run: longer after each that read nothing, and as the cabinet asks."""
        self._fruitless += 1
        # The exponent is bounded: 2.0 to the power of a month of them is no float.
        pause = min(PAUSE * 2.0 ** min(self._fruitless, 32), self._ttl / CATCH_UP)
        self._resume = now + max(pause, min(retry_after, REFUSED_LAST))

    def put(self, ref: str, details: TrunkDetails, now: float, at: float) -> None:
        """Keep what was read of a trunk; ``at`` is in seconds since the epoch."""
        self._entries[ref] = _Entry(now, now + self._ttl, details, now, at)
        self._fruitless = -1  # so that a run which reads something counts as none

    def failed(self, ref: str, now: float, *, its_own: bool) -> None:
        """Note that a request for a trunk failed; it keeps its earlier details.

        One that never had any and fails by itself (``its_own``) may have none, and waits as long as
        those that have. Any other comes sooner, but after the rest.
        """
        known = self._entries.get(ref, _Entry(now, now))
        never = its_own and known.details is None
        due = now + (self._ttl if never else self._ttl / CATCH_UP)
        self._entries[ref] = known._replace(asked=now, due=due)

    def apply(self, trunks: Sequence[Trunk], now: float, stale: float) -> tuple[Trunk, ...]:
        """Add what is known: line, selector, and the phone where it is empty, however old it is."""
        entries, oldest = self._entries, now - self._ttl - stale
        return tuple(_with_details(trunk, entries.get(trunk.ref), oldest) for trunk in trunks)


def _with_details(trunk: Trunk, entry: _Entry | None, oldest: float) -> Trunk:
    if entry is None or (details := entry.details) is None:
        return trunk
    trunk = trunk._replace(phone=trunk.phone or details.phone)
    if entry.read <= oldest:
        return trunk
    enabled, at = details.enabled, entry.read_at
    return trunk._replace(line=details.line, sip_device_enabled=enabled, details_at=at)


class Detailable(Source, Protocol):
    """A cabinet, as far as it is needed here; ``CabinetClient`` is one."""

    def read_details(self, ref: str, *, renew: bool = True) -> TrunkDetails:
        """Read one trunk's details, without signing in or discovering unless ``renew``."""


class DetailedSource:
    """A cabinet whose listings tell the details too, as far as they are known.

    A trunk's details are asked for again after ``ttl`` seconds, and told for ``stale()`` more.
    ``on_details`` is told how each went: the result word, and the error's sentence or nothing.
    """

    def __init__(
        self,
        cabinet: Detailable,
        *,
        ttl: float,
        stale: Callable[[], float],
        on_details: Callable[[str, str], None] = lambda result, sentence: None,  # noqa: ARG005
        clock: Clock | None = None,
    ) -> None:
        self._cabinet = cabinet
        self._book = DetailsBook(ttl)
        self._stale = stale
        self._on_details = on_details
        self._clock = clock or Clock()
        self.credentials_changed = cabinet.credentials_changed
        self._no_listing = threading.Event()
        self._closed = False
        self._run: threading.Thread | None = None

    def read_trunks(self) -> Listing:
        """Read every trunk, add what is known, and set off to read what is not."""
        self._no_listing.clear()
        try:
            listing = self._cabinet.read_trunks()
        finally:
            self._no_listing.set()
        now = self._clock.monotonic()
        running = self._closed or (self._run is not None and self._run.is_alive())
        if not running and (due := self._book.due(listing.trunks, now)):
            read = partial(self._read, due)
            self._run = threading.Thread(target=read, name="details", daemon=True)
            with suppress(RuntimeError):  # no thread is left; the next listing tries again
                self._run.start()
        trunks = self._book.apply(listing.trunks, now, self._stale())
        warnings = listing.warnings
        if all(trunk.phone for trunk in trunks):
            warnings = tuple(one for one in warnings if "phone" not in one)
        return listing._replace(trunks=trunks, warnings=warnings)

    def close(self) -> None:
        """Ask for no more details, and close the cabinet."""
        self._closed = True
        self._no_listing.set()
        self._cabinet.close()

    def _read(self, due: Sequence[str]) -> None:
        """Read the details that are due, as far as the budget goes."""
        began = self._clock.monotonic()
        for number, ref in enumerate(due, 1):
            self._no_listing.wait()
            if self._closed or self._clock.monotonic() - began > BUDGET:
                return
            result, sentence, given_up = "success", "", False
            try:
                details = self._cabinet.read_details(ref, renew=False)
                self._book.put(ref, details, self._clock.monotonic(), self._clock.now())
            except CabinetError as error:
                result, sentence = error.result, str(error)
                redeployed = isinstance(error, RedeployedError)
                if given_up := redeployed or not isinstance(error, _OF_A_TRUNK):
                    sentence += f"; not asked for then: {len(due) - number} more"
                    self._book.give_up(self._clock.monotonic(), error.retry_after)
            except Exception as bug:  # noqa: BLE001 - a bug must not end the details of the rest
                result, sentence = "undecodable", describe_unexpected(bug)
            if result != "success":
                self._book.failed(ref, self._clock.monotonic(), its_own=not given_up)
            self._on_details(result, sentence)
            if given_up:
                return
