"""What is known of an account at one moment, how a refresh ended, and what refreshing needs.

Plain values and protocols, for those who look at accounts and those who refresh them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vats_exporter.trunks import Snapshot, Trunk


class Clock(Protocol):
    """The two clocks a refresher reads."""

    def now(self) -> float:
        """Return wall-clock seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that only go forward, since anything."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return wall-clock seconds since the epoch."""
        return time.time()

    if hasattr(time, "CLOCK_BOOTTIME"):

        def monotonic(self) -> float:
            """Return seconds that only go forward, while the machine is suspended as well.

            What was read before a night's sleep must not be fresh after it.
            """
            return time.clock_gettime(time.CLOCK_BOOTTIME)

    else:  # pragma: no cover - systems other than Linux

        def monotonic(self) -> float:
            """Return seconds that only go forward."""
            return time.monotonic()


class Listing(Protocol):
    """What one reading of a cabinet gives; :class:`vats_exporter.cabinet.Listing` is one."""

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        """Every trunk, in the cabinet's order."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be told, without personal data."""

    @property
    def pages(self) -> int:
        """How many pages were read."""


class Source(Protocol):
    """What a refresher reads; :class:`vats_exporter.cabinet.Cabinet` is one."""

    def read_trunks(self) -> Listing:
        """Read every trunk.

        Raises:
            CabinetError: if the list cannot be read whole.
        """

    def close(self) -> None:
        """Give back connections and the session."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one refresh ended.

    Attributes:
        result: one of :data:`vats_exporter.cabinet.errors.RESULTS`.
        duration: seconds it took.
        snapshot: what it brought; ``None`` unless ``result`` is ``success``.
        pages: pages read; 0 unless ``result`` is ``success``.
        error: one sentence; empty on success.
        retry_after: seconds after which the cabinet wants to be asked again; 0 if it did not say.
    """

    result: str
    duration: float
    snapshot: Snapshot | None = None
    pages: int = 0
    error: str = ""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class AccountState:
    """What is known of an account at one moment. Compared by identity: a change makes a new one.

    Attributes:
        account: its name.
        snapshot: the snapshot to serve; ``None`` if there is none, or it has become stale.
        result: the latest refresh's result; ``None`` before the first one ended.
        error: the latest refresh's error; empty if it worked.
        refreshed_at: when the latest refresh ended, in seconds since the epoch.
        duration: seconds the latest refresh took.
        login_retry_at: when a refused login is tried again, in seconds since the epoch; ``None``
            unless the latest refresh was refused.
    """

    account: str
    snapshot: Snapshot | None = None
    result: str | None = None
    error: str = ""
    refreshed_at: float | None = None
    duration: float | None = None
    login_retry_at: float | None = None

    @property
    def up(self) -> bool:
        """Whether the latest refresh worked and what it brought is served.

        A snapshot that became stale while the next refresh hangs is not up: its trunks are not
        shown any more, and have not gone.
        """
        return self.result == "success" and self.snapshot is not None
