"""One enterprise: its trunks, what changes them by hand, and what changes them by themselves.

The life of an enterprise is computed from the clock whenever someone looks, not by a thread: at
fixed moments one trunk's state changes, and looking first makes the changes whose moment has come.
So what a client sees and what the truth says at the same time are the same, and tests that inject a
clock see the same life each time.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vats_exporter.demo.population import ABNORMAL_SHARES, WORKING, Population, SimulatedTrunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST_CHANGES_AT_ONCE: Final = 100
"""Changes that are caught up on after a long time without a look; earlier ones are skipped."""

_SHORTEST: Final = 0.01
_LONGEST: Final = 1_000_000_000

_WORKING_SHARE: Final = 1 - sum(ABNORMAL_SHARES.values())
_AGAINST_THE_TREND: Final = 0.25
"""How often a change leads away from the usual share of working trunks."""


@dataclass(frozen=True, slots=True)
class Life:
    """How trunks change by themselves.

    Attributes:
        pace: seconds between two changes, 0.01 to 10^9; 0 to stand still.
        hold: seconds for which a trunk is left alone after any change of it; up to 10^9.
        seed: of what changes into what.
    """

    pace: float = 0.0
    hold: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no clock could keep up with."""
        if self.pace != 0 and not _SHORTEST <= self.pace <= _LONGEST:
            raise ValueError(f"a pace is 0, or {_SHORTEST} to {_LONGEST} seconds")
        if not 0 <= self.hold <= _LONGEST:
            raise ValueError(f"a hold is 0 to {_LONGEST} seconds")


STILL: Final = Life()
"""Nothing changes but by hand."""


class NoTrunkError(LookupError):
    """The enterprise has no such trunk."""


class NoDeviceError(LookupError):
    """The trunk has no SIP device."""


class Enterprise:
    """A customer's company in the cabinet, safe to use from several threads.

    Args:
        number: the enterprise's id, e.g. 2613189773.
        trunks: in the order of the list.
        population: makes the trunks that :meth:`add` adds; without one, only given ones are added.
        life: how they change by themselves.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        number: int,
        trunks: Iterable[SimulatedTrunk],
        *,
        population: Population | None = None,
        life: Life = STILL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.number = number
        self._trunks = {trunk.ref: trunk for trunk in trunks}
        self._population = population
        self._life = life
        self._clock = clock
        self._random = random.Random(f"{life.seed}/{number}")  # noqa: S311 - no secrets
        self._next_change = clock() + life.pace
        self._lock = threading.RLock()

    @property
    def pace(self) -> float:
        """Seconds between two changes of life; 0 where it stands still. Can be set."""
        return self._life.pace

    @pace.setter
    def pace(self, seconds: float) -> None:
        life = replace(self._life, pace=seconds)
        with self._lock:
            self._live()
            self._life = life
            self._next_change = self._clock() + seconds

    def trunks(self) -> tuple[SimulatedTrunk, ...]:
        """Return all trunks as of now, in the order of the list."""
        with self._lock:
            self._live()
            return tuple(self._trunks.values())

    def find(self, key: str) -> SimulatedTrunk:
        """Return one trunk as of now.

        Raises:
            NoTrunkError: no trunk has such a reference or phone.
        """
        with self._lock:
            self._live()
            if key in self._trunks:
                return self._trunks[key]
            for trunk in self._trunks.values():
                if trunk.phone == key:
                    return trunk
        raise NoTrunkError(f"no trunk {key}")

    def change(
        self,
        key: str,
        *,
        active: bool | None = None,
        bound: bool | None = None,
        marked: bool | None = None,
        off: bool | None = None,
        enabled: bool | None = None,
        name: str | None = None,
    ) -> SimulatedTrunk:
        """Change what is given of a trunk, and return it as it is then.

        ``off`` becomes the opposite of ``active`` unless it is given itself. ``enabled`` is the
        selector of its SIP device.

        Raises:
            NoTrunkError: no trunk has such a reference or phone.
            NoDeviceError: it has no SIP device.
        """
        if active is not None and off is None:
            off = not active
        given = {"active": active, "bound": bound, "marked": marked, "off": off}
        flags = {flag: value for flag, value in given.items() if value is not None}
        with self._lock:
            trunk = self.find(key)
            device = trunk.device
            if enabled is not None:
                if device is None:
                    raise NoDeviceError(f"trunk {key} has no SIP device")
                device = replace(device, enabled=enabled)
            state = trunk.state._replace(**flags)
            new = trunk.name if name is None else name
            return self._put(replace(trunk, state=state, device=device, name=new))

    def add(self, trunk: SimulatedTrunk | None = None) -> SimulatedTrunk:
        """Add a trunk at the end of the list, an invented one by default, and return it.

        Raises:
            ValueError: its reference is taken, or there is no population to invent one from.
        """
        with self._lock:
            self._live()
            if trunk is None:
                if self._population is None:
                    raise ValueError("there is no population to invent a trunk from")
                trunk = self._population.make_one()
            if trunk.ref in self._trunks:
                raise ValueError(f"trunk {trunk.ref} exists already")
            added = replace(trunk, changed_at=self._clock())
            self._trunks[added.ref] = added
            return added

    def remove(self, key: str) -> SimulatedTrunk:
        """Take a trunk from the list, and return it as it was; errors as of :meth:`find`."""
        with self._lock:
            return self._trunks.pop(self.find(key).ref)

    def _put(self, trunk: SimulatedTrunk, *, at: float | None = None) -> SimulatedTrunk:
        """Replace a trunk by a newer version of itself, noting when what matters changed."""
        before = self._trunks[trunk.ref]
        if (before.state, before.device) != (trunk.state, trunk.device):
            trunk = replace(trunk, changed_at=self._clock() if at is None else at)
        self._trunks[trunk.ref] = trunk
        return trunk

    def _live(self) -> None:
        """Make the changes of life whose moment has come."""
        now = self._clock()
        if not self._life.pace:
            return
        earliest = now - _MOST_CHANGES_AT_ONCE * self._life.pace
        self._next_change = max(self._next_change, earliest)
        while self._next_change <= now:
            self._change_one(self._next_change)
            self._next_change += self._life.pace

    def _change_one(self, moment: float) -> None:
        """Break a working trunk or mend a broken one, so that most work most of the time."""
        draw = self._random
        trunks = list(self._trunks.values())
        working = sum(trunk.state == WORKING for trunk in trunks)
        breaks = working > _WORKING_SHARE * len(trunks)
        if draw.random() < _AGAINST_THE_TREND:
            breaks = not breaks
        candidates = [
            trunk
            for trunk in trunks
            if (trunk.state == WORKING) is breaks and trunk.changed_at + self._life.hold <= moment
        ]
        if not candidates:
            return
        state = WORKING
        if breaks:
            (state,) = draw.choices(list(ABNORMAL_SHARES), list(ABNORMAL_SHARES.values()))
        self._put(replace(draw.choice(candidates), state=state), at=moment)
