"""One enterprise: its trunks, what changes them by hand or by themselves, and who may see them.

The life of an enterprise is computed from the clock whenever someone looks, not by a thread: at
fixed moments one trunk's state changes, and looking first makes the changes whose moment has come.
So what a client sees and what the truth says at the same time are the same, and tests that inject a
clock see the same life each time.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from vats_exporter.demo.population import (
    ABNORMAL_SHARES,
    LETTERS,
    WORKING,
    Population,
    SimulatedTrunk,
)

_MOST_CHANGES_AT_ONCE: Final = 100
"""Changes that are caught up on after a long time without a look; earlier ones are skipped."""

_SHORTEST_PACE: Final = 0.01
_LONGEST_PACE: Final = 1_000_000_000

_WORKING_SHARE: Final = 1 - sum(ABNORMAL_SHARES.values())
_AGAINST_THE_TREND: Final = 0.25
"""How often a change leads away from the usual share of working trunks."""

_FIRST_ENTERPRISE: Final = 2_613_189_773
_BETWEEN_ENTERPRISES: Final = 1_009
_FIRST_LOGIN: Final = 9_160_000_001


class Enterprise:
    """A customer's company in the cabinet, safe to use from several threads.

    Args:
        number: the enterprise's id, e.g. 2613189773.
        trunks: in the order of the list.
        population: invents the trunks that :meth:`add` adds.
        pace: seconds between two changes that happen by themselves; 0 for none.
        hold: seconds for which these leave a trunk alone after any change of it.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        number: int,
        trunks: Iterable[SimulatedTrunk],
        *,
        population: Population | None = None,
        pace: float = 0.0,
        hold: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.number = number
        self._trunks = {trunk.ref: replace(trunk, changed_at=clock()) for trunk in trunks}
        self._population = population or Population()
        self._hold = hold
        self._clock = clock
        self._random = random.Random(f"life {number}")  # noqa: S311 - no secrets
        self._lock = threading.RLock()
        self._pace = 0.0
        self.set_pace(pace)

    def set_pace(self, seconds: float) -> None:
        """Change a trunk every so many seconds from now on; 0 to stand still.

        Raises:
            ValueError: no clock could keep up with it.
        """
        if seconds != 0 and not _SHORTEST_PACE <= seconds <= _LONGEST_PACE:
            raise ValueError(f"a pace is 0, or {_SHORTEST_PACE} to {_LONGEST_PACE} seconds")
        with self._lock:
            self._live()
            self._pace = seconds
            self._next_change = self._clock() + seconds

    def trunks(self) -> tuple[SimulatedTrunk, ...]:
        """Return all trunks as of now, in the order of the list."""
        with self._lock:
            self._live()
            return tuple(self._trunks.values())

    def find(self, key: str) -> SimulatedTrunk:
        """Return one trunk as of now.

        Raises:
            LookupError: no trunk has such a reference or phone.
        """
        with self._lock:
            self._live()
            if key in self._trunks:
                return self._trunks[key]
            for trunk in self._trunks.values():
                if trunk.phone == key:
                    return trunk
        raise LookupError(f"no trunk {key}")

    def change(
        self, key: str, *, enabled: bool | None = None, name: str | None = None, **flags: bool
    ) -> SimulatedTrunk:
        """Change what is given of a trunk, and return it as it is then; errors as of :meth:`find`.

        ``enabled`` is the selector of its SIP device, ``flags`` are those of its state; ``off``
        becomes the opposite of ``active`` unless it is given itself.

        Raises:
            ValueError: it has no SIP device.
        """
        if "active" in flags:
            flags.setdefault("off", not flags["active"])
        with self._lock:
            trunk = self.find(key)
            device = trunk.device
            if enabled is not None:
                if device is None:
                    raise ValueError(f"trunk {key} has no SIP device")
                device = replace(device, enabled=enabled)
            state = trunk.state._replace(**flags)
            name = trunk.name if name is None else name
            return self._put(replace(trunk, state=state, device=device, name=name), self._clock())

    def add(self, trunk: SimulatedTrunk | None = None) -> SimulatedTrunk:
        """Add a trunk at the end of the list, an invented one by default, and return it."""
        with self._lock:
            self._live()
            added = replace(trunk or self._population.make_one(), changed_at=self._clock())
            self._trunks[added.ref] = added
            return added

    def remove(self, key: str) -> SimulatedTrunk:
        """Take a trunk from the list, and return it as it was; errors as of :meth:`find`."""
        with self._lock:
            return self._trunks.pop(self.find(key).ref)

    def _put(self, trunk: SimulatedTrunk, now: float) -> SimulatedTrunk:
        """Replace a trunk by a newer version of itself, noting when what matters changed."""
        before = self._trunks[trunk.ref]
        if (before.state, before.device) != (trunk.state, trunk.device):
            trunk = replace(trunk, changed_at=now)
        self._trunks[trunk.ref] = trunk
        return trunk

    def _live(self) -> None:
        """Make the changes of life whose moment has come."""
        now = self._clock()
        if not self._pace:
            return
        self._next_change = max(self._next_change, now - _MOST_CHANGES_AT_ONCE * self._pace)
        while self._next_change <= now:
            self._change_one(self._next_change)
            self._next_change += self._pace

    def _change_one(self, moment: float) -> None:
        """Break a working trunk or mend a broken one, so that most work most of the time."""
        draw = self._random
        trunks = self._trunks.values()
        working = sum(trunk.state == WORKING for trunk in trunks)
        breaks = working > _WORKING_SHARE * len(trunks)
        if draw.random() < _AGAINST_THE_TREND:
            breaks = not breaks
        candidates = [
            trunk
            for trunk in trunks
            if (trunk.state == WORKING) is breaks and trunk.changed_at + self._hold <= moment
        ]
        if not candidates:
            return
        states = ABNORMAL_SHARES if breaks else {WORKING: 1.0}
        (state,) = draw.choices(list(states), list(states.values()))
        self._put(replace(draw.choice(candidates), state=state), moment)


@dataclass(slots=True)
class Account:
    """One login into the cabinet; ``name`` is what the truth and the exporter call it."""

    name: str
    login: str
    password: str = field(repr=False)
    enterprise: Enterprise


def make_accounts(
    count: int = 1,
    *,
    trunks: int = 25,
    pace: float = 0.0,
    hold: float = 0.0,
    clock: Callable[[], float] = time.time,
) -> list[Account]:
    """Invent accounts, each with so many trunks: the same ones each time.

    A single one is named ``demo``, several ``demo-1``, ``demo-2``, … For ``pace`` and ``hold`` see
    :class:`Enterprise`.
    """
    draw = random.Random("accounts")  # noqa: S311 - the passwords of a demo
    accounts: list[Account] = []
    for index in range(count):
        population = Population(account=index)
        enterprise = Enterprise(
            _FIRST_ENTERPRISE + index * _BETWEEN_ENTERPRISES,
            population.make(trunks),
            population=population,
            pace=pace,
            hold=hold,
            clock=clock,
        )
        name = "demo" if count == 1 else f"demo-{index + 1}"
        password = "".join(draw.choices(LETTERS, k=12))
        accounts.append(Account(name, f"+7-{_FIRST_LOGIN + index}", password, enterprise))
    return accounts
