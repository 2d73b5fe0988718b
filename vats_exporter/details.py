"""Which trunks' details to ask for next, and what is known of them meanwhile.

A trunk's details (its selector, its SIP line, its phone where the list does not tell) cost one or
two requests each, so they follow a slower schedule of their own, apart from the flags:

* trunks never asked for come first, in the list's order; then those asked for longest ago, once
  their ``ttl`` has passed;
* one run asks for a few only, so that neither a restart nor a new account asks for all at once:
  all are known a quarter of the ``ttl`` after a start;
* a trunk whose details fail keeps what it had, and takes its turn again; what is older than the
  ``ttl`` and, beyond it, what a snapshot may outlive its own (``stale``), is told no more;
* a failure that is not about this one trunk ends the run: the rest stays due, and the next run
  waits, longer each time, and as long as the cabinet says. One that hangs is not waited for once
  a trunk.

:class:`DetailedSource` is a cabinet's listing with what is known of the details added to it. The
details themselves are read afterwards, beside the listing: a listing waits for the one call under
way at most, and loses nothing when they fail. They never sign in, so that a changed password is
the listing's affair alone, which backs off.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    LoginRefusedError,
    NotGwtError,
    RedeployedError,
    UnreachableError,
)
from vats_exporter.cabinet.subscribers import Listing
from vats_exporter.clock import SystemClock
from vats_exporter.redaction import describe_unexpected
from vats_exporter.refresh import REFUSED_LAST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vats_exporter.cabinet.devices import Details
    from vats_exporter.clock import Clock
    from vats_exporter.trunks import Trunk

MIN_BATCH: Final = 10
"""Trunks asked for in one run at least: small accounts are complete after a few refreshes."""

CATCH_UP: Final = 4
"""All of an account's trunks take this part of the ``ttl`` to be asked for once; what failed is
asked for again after as long."""

PAUSE: Final = 30.0
"""Seconds that the next run waits after one that was given up; twice as long for each in a row that
read nothing, up to what :data:`CATCH_UP` says."""

_OF_THE_CABINET: Final = (
    LoginRefusedError,
    UnreachableError,
    CabinetTimeoutError,
    NotGwtError,
    RedeployedError,
)
"""Failures that tell nothing of the trunk that was asked for: the next one would fail likewise."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of a trunk, and when: by a clock for ages, and by one for people."""

    details: Details
    read: float
    at: float


@dataclass(frozen=True, slots=True)
class _Entry:
    """A trunk that was asked for: when, when it is due again, and the latest that is known."""

    asked: float
    due: float
    known: _Known | None


class DetailsBook:
    """What is known of the details of one account's trunks.

    Args:
        ttl: seconds after which a trunk's details are asked for again.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._retry = ttl / CATCH_UP
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._last_run: float | None = None
        self._fruitless = 0
        self._resume = -math.inf

    def due(self, trunks: Sequence[Trunk], now: float) -> list[str]:
        """The references to ask for in this run, in order; forget trunks that are gone.

        Args:
            trunks: the account's trunks.
            now: a monotonic time in seconds.
        """
        with self._lock:
            entries = self._entries
            present = {trunk.ref for trunk in trunks}
            for ref in entries.keys() - present:
                del entries[ref]
            new = [trunk.ref for trunk in trunks if trunk.ref not in entries]
            old = sorted((entry.asked, ref) for ref, entry in entries.items() if now >= entry.due)
            elapsed = now - self._last_run if self._last_run is not None else 0.0
            self._last_run = now
            if now < self._resume:
                return []
            paced = math.ceil(CATCH_UP * len(present) * elapsed / self._ttl) if self._ttl else 0
            return [*new, *(ref for _, ref in old)][: max(MIN_BATCH, paced)]

    def ended(self, now: float, *, given_up: bool, fruitless: bool, retry_after: float) -> None:
        """Note how a run ended.

        Args:
            now: a monotonic time in seconds.
            given_up: by a failure that was not about one trunk; then the next run waits.
            fruitless: not one trunk's details were read.
            retry_after: seconds after which the cabinet wants to be asked again.
        """
        with self._lock:
            self._fruitless = self._fruitless + 1 if given_up and fruitless else 0
            # The exponent is bounded: 2.0 to the power of a month of them is no float.
            pause = min(PAUSE * 2.0 ** min(self._fruitless, 32), self._retry)
            pause = max(pause, min(retry_after, REFUSED_LAST))
            self._resume = now + pause if given_up else -math.inf

    def put(self, ref: str, details: Details, now: float, at: float) -> None:
        """Keep what was read of a trunk.

        Args:
            ref: the trunk's.
            details: what was read.
            now: a monotonic time in seconds.
            at: the same time, in seconds since the epoch.
        """
        with self._lock:
            self._entries[ref] = _Entry(now, now + self._ttl, _Known(details, now, at))

    def failed(self, ref: str, now: float, *, its_own: bool) -> None:
        """Note that a trunk was asked for in vain: it keeps what it had.

        Args:
            ref: the trunk's.
            now: a monotonic time in seconds.
            its_own: what failed was about this trunk. A trunk that never had details and fails by
                itself may have none, and is asked for no more often than one that has. Any other
                comes sooner, but after the rest: it may be the one at which the cabinet breaks.
        """
        with self._lock:
            entry = self._entries.get(ref)
            known = entry.known if entry else None
            wait = self._ttl if its_own and known is None else self._retry
            self._entries[ref] = _Entry(now, now + wait, known)

    def apply(self, trunks: Sequence[Trunk], now: float, stale: float) -> tuple[Trunk, ...]:
        """Add to the trunks what is known: line, selector, and the phone where it is empty.

        The phone stays however old it is, as it is what the trunk is called by.

        Args:
            trunks: as listed.
            now: a monotonic time in seconds.
            stale: seconds past the ``ttl`` after which line and selector are told no more.
        """
        with self._lock:
            entries: Mapping[str, _Entry] = dict(self._entries)
        oldest = now - self._ttl - stale
        return tuple(
            _with_details(trunk, entry.known, oldest)
            if (entry := entries.get(trunk.ref)) and entry.known
            else trunk
            for trunk in trunks
        )


def _with_details(trunk: Trunk, known: _Known, oldest: float) -> Trunk:
    phone = trunk.phone or known.details.phone
    if known.read <= oldest:
        return replace(trunk, phone=phone)
    device = known.details.device
    return replace(
        trunk,
        phone=phone,
        line=known.details.line,
        sip_device_enabled=device.enabled if device else None,
        details_at=known.at,
    )


class DetailsReader(Protocol):
    """Whatever reads one trunk's details: a lane of a cabinet."""

    def read_details(self, ref: str) -> Details:
        """Read one trunk's details.

        Raises:
            CabinetError: they could not be read.
        """

    def close(self) -> None:
        """Close the connection."""


class Detailable(Protocol):
    """A cabinet, as far as it is needed here."""

    def read_trunks(self) -> Listing:
        """Read every trunk."""

    def lane(self, *, shared: bool = False) -> DetailsReader:
        """Make a way to details, on the list's own connection or on another one."""

    def close(self) -> None:
        """Close the connection."""


OnDetails = Callable[[str, str], None]
"""Told of each trunk asked for: the result word, and the error's sentence or nothing."""


class DetailedSource:
    """A cabinet whose listings tell the details too, as far as they are known.

    Args:
        cabinet: what is read.
        ttl: seconds after which a trunk's details are asked for again.
        stale: says how many seconds past the ``ttl`` details are still told; asked for with each
            listing.
        concurrency: requests for details at the same time; each takes a connection, the first
            one the listing's own.
        on_details: told how each trunk's details went.
        clock: the machine's, unless a test brings its own.
    """

    def __init__(
        self,
        cabinet: Detailable,
        *,
        ttl: float,
        stale: Callable[[], float],
        concurrency: int = 1,
        on_details: OnDetails | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._cabinet = cabinet
        self._book = DetailsBook(ttl)
        self._readers = [cabinet.lane(shared=number == 0) for number in range(concurrency)]
        self._stale = stale
        self._on_details = on_details
        self._clock: Clock = clock or SystemClock()
        self._closed = threading.Event()
        self._run: threading.Thread | None = None

    def read_trunks(self) -> Listing:
        """Read every trunk, add what is known, and set off to read what is not.

        Raises:
            CabinetError: of the listing; never of the details.
        """
        listing = self._cabinet.read_trunks()
        now = self._clock.monotonic()
        if self._run is None or not self._run.is_alive():
            due = self._book.due(listing.trunks, now)
            if due and not self._closed.is_set():
                self._run = threading.Thread(
                    target=self._read, args=(due,), name="details", daemon=True
                )
                self._run.start()
        trunks = self._book.apply(listing.trunks, now, self._stale())
        return Listing(trunks, _still_true(listing.warnings, trunks), listing.pages)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the details under way are read.

        Args:
            timeout: seconds to wait at most.
        """
        if self._run is not None:
            self._run.join(timeout)

    def close(self) -> None:
        """Ask for no more details, and close the cabinet."""
        self._closed.set()
        for reader in self._readers:
            reader.close()
        self._cabinet.close()

    def _read(self, due: Sequence[str]) -> None:
        """Read the details that are due, each reader the next one as it becomes free."""
        run = _Run(due)

        def work(reader: DetailsReader) -> None:
            while not self._closed.is_set() and (ref := run.next()) is not None:
                self._read_one(reader, ref, run)

        # Not a pool of threads, for whose calls the process would wait before it ends.
        beside = [
            threading.Thread(target=work, args=(reader,), name="details", daemon=True)
            for reader in self._readers[1:]
        ]
        for thread in beside:
            thread.start()
        work(self._readers[0])
        for thread in beside:
            thread.join()
        self._book.ended(
            self._clock.monotonic(),
            given_up=run.given_up,
            fruitless=run.fruitless,
            retry_after=run.retry_after,
        )

    def _read_one(self, reader: DetailsReader, ref: str, run: _Run) -> None:
        result, sentence, its_own = "success", "", True
        try:
            details = reader.read_details(ref)
            self._book.put(ref, details, self._clock.monotonic(), self._clock.now())
        except CabinetError as error:
            result, sentence = error.result, str(error)
            its_own = not isinstance(error, _OF_THE_CABINET)
            run.retry_after = max(run.retry_after, error.retry_after)
        except Exception as bug:  # noqa: BLE001 - a bug here must not end the details of the rest
            result, sentence = "undecodable", describe_unexpected(bug)
        if result == "success":
            run.fruitless = False
        else:
            self._book.failed(ref, self._clock.monotonic(), its_own=its_own)
        if not its_own:
            left = run.give_up()
            # Those under way besides end with the same; it is told once.
            sentence = "" if left is None else f"{sentence}; not asked for then: {left} more"
        if self._on_details is not None:
            self._on_details(result, sentence)


class _Run:
    """The trunks of one run, given out one by one. Thread-safe.

    Args:
        due: their references.

    Attributes:
        given_up: whether the rest is left for another run.
        fruitless: whether not one was read yet.
        retry_after: seconds after which the cabinet wants to be asked again, as far as it said.
    """

    def __init__(self, due: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._waiting = deque(due)
        self.given_up = False
        self.fruitless = True
        self.retry_after = 0.0

    def next(self) -> str | None:
        """Return the next one; ``None`` if there is none, or the run was given up."""
        with self._lock:
            return self._waiting.popleft() if self._waiting and not self.given_up else None

    def give_up(self) -> int | None:
        """Give out no more.

        Returns:
            how many are left; ``None`` if the run was given up before.
        """
        with self._lock:
            if self.given_up:
                return None
            self.given_up = True
            return len(self._waiting)


def _still_true(warnings: Sequence[str], trunks: Sequence[Trunk]) -> tuple[str, ...]:
    """The listing's warnings, without those about phones that the details have told since."""
    if all(trunk.phone for trunk in trunks):
        return tuple(warning for warning in warnings if "phone" not in warning)
    return tuple(warnings)
