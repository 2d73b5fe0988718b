"""One enterprise: its trunks, where they come from, what changes them, and who may see them.

Trunks are immutable, so that an answer written from them is never half changed. The life of an
enterprise is computed from the clock whenever someone looks: first come the changes whose moment
has come. So what a client sees and what the truth says at the same time are the same.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from vats_exporter.gwt import encode_long


class State(NamedTuple):
    """The four of a row's twelve values that vary. [observed] Which is which is [assumed]."""

    active: bool  # value 4
    bound: bool  # value 6
    marked_for_deletion: bool  # value 7
    off: bool  # value 9, of unknown meaning; set where the trunk is switched off

    @classmethod
    def of(cls, pattern: str) -> State:
        """Return the state of a pattern."""
        return cls(*(digit == "1" for digit in pattern))

    @property
    def pattern(self) -> str:
        """The digits as they stand in a row, ``1100`` for a working trunk."""
        return "".join(str(int(value)) for value in self)


WORKING: Final = State.of("1100")  # the first of the known rows [user]
# Each other state, its share of all trunks, and how many of these have one of it at least.
_BROKEN: Final = (
    (State.of("0011"), 0.05, 5),  # switched off, marked: the second of the known rows [user]
    (State.of("1000"), 0.025, 10),  # unbound; the patterns from here on are [assumed]
    (State.of("0101"), 0.015, 34),  # suspended
    (State.of("1110"), 0.01, 51),  # leaving
)
_BROKEN_SHARE: Final = sum(share for _, share, _ in _BROKEN)


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """A trunk's SIP device, as the details form shows it; ``enabled`` is the selector."""

    id: int
    enabled: bool
    line: str
    sip_login: str = field(repr=False)
    sip_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SimulatedTrunk:
    """One row of the tab "Абоненты", and what its details form holds."""

    id: int
    phone: str  # eleven digits, unique within a cabinet
    name: str
    department: str
    inner_number: str
    state: State = WORKING
    note: str | None = None
    migration: int = 0  # ordinal of the row's MIGRATION_STATE_TYPE
    created: int = 0  # milliseconds since the epoch
    balance: int = 0  # the last number of the row, of unknown meaning
    device: SimulatedDevice | None = None
    mobile: bool = False  # a plain mobile subscriber: form 32 shows it, form 31 does not apply
    changed_at: float = 0.0  # when its state or its selector last did, in seconds since the epoch

    @property
    def ref(self) -> str:
        """The reference, ``CaLztv``."""
        return encode_long(self.id)


_BLOCK: Final = 4_000_000  # phones of an account: enough for 100,000 trunks; ids are thrice that
_LARGEST_STEP: Final = 30
_LARGEST_ID_STEP: Final = 3 * _LARGEST_STEP
_FIRST_CREATED: Final = 1_420_070_400_000  # 2015, in milliseconds
_CREATED_WITHIN: Final = 9 * 365 * 86_400_000

_FAMILY: Final = (
    *(("Абрикосов", "Абрикосова"), ("Белкин", "Белкина"), ("Вишневский", "Вишневская")),
    *(("Громов", "Громова"), ("Дубравин", "Дубравина"), ("Ёлкин", "Ёлкина")),
    *(("Журавлёв", "Журавлёва"), ("Зимин", "Зимина"), ("Кедрач", "Кедрач")),
    *(("Лесной", "Лесная"), ("Медведев", "Медведева"), ("Облаков", "Облакова")),
    *(("Подснежный", "Подснежная"), ("Речной", "Речная"), ("Щеглов", "Щеглова")),
    ("Ясенев", "Ясенева"),
)
_GIVEN: Final = (
    ("Андрей", "Борис", "Глеб", "Ефим", "Кирилл", "Лев", "Тимур", "Эльдар"),
    ("Алёна", "Вера", "Дарья", "Зоя", "Инна", "Нина", "Полина", "Юлия"),
)
_PLACES: Final = ("Охрана, пост", "Склад, пульт", "Курьер", "Лифт, корпус", "Касса")
_DEPARTMENTS: Final = (
    *("Бухгалтерия", "Отдел продаж", "Служба доставки", "Склад №2", "Дирекция", "Call-центр"),
    'Филиал "Север" & Ко',
)
_NOTES: Final = ("Временный номер", "Переезд в сентябре", "Запасная SIM-карта", "Не переносить")
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class Population:
    """Makes the trunks of one account, numbered from 0, in blocks of phones and ids of its own.

    Everything is made up of lists and a seeded generator, and is the same each time.
    """

    def __init__(self, account: int = 0) -> None:
        self._random = random.Random(f"0/{account}")  # noqa: S311 - invents data, no secrets
        self._phone = 79_161_000_000 + account * _BLOCK
        self._trunk = 2_586_700_000 + account * 3 * _BLOCK
        self._device = 2_700_000_000 + account * 3 * _BLOCK
        self._made = 0

    def make(self, count: int) -> list[SimulatedTrunk]:
        """Make a list of trunks with realistic shares of states."""
        states: list[State] = []
        for state, share, shown_from in _BROKEN:
            states += [state] * max(round(count * share), count >= shown_from)
        states += [WORKING] * (count - len(states))
        self._random.shuffle(states)
        return [self.make_one(state) for state in states]

    def make_one(self, state: State = WORKING) -> SimulatedTrunk:
        """Make the next trunk."""
        draw = self._random
        number = self._made
        self._made += 1
        self._phone += draw.randint(1, _LARGEST_STEP)
        self._trunk += draw.randint(1, _LARGEST_ID_STEP)
        trunk = SimulatedTrunk(
            id=self._trunk,
            phone=str(self._phone),
            name=self._name(number),
            department=draw.choice(_DEPARTMENTS),
            inner_number=str(100 + number),
            state=state,
            note=draw.choice(_NOTES) if draw.random() < 0.1 else None,
            migration=2 if draw.random() < 0.05 else 0,
            created=_FIRST_CREATED + draw.randrange(_CREATED_WITHIN),
            balance=draw.choice((0, draw.randrange(100_000))),
        )
        kind = draw.random()
        if kind < 0.08:
            return replace(trunk, mobile=True)
        return trunk if kind < 0.12 else replace(trunk, device=self._make_device(trunk))

    def _name(self, number: int) -> str:
        draw = self._random
        if draw.random() < 0.15:
            return f"{draw.choice(_PLACES)} {number + 1}"
        gender = draw.randrange(2)
        return f"{draw.choice(_FAMILY)[gender]} {draw.choice(_GIVEN[gender])}"

    def _make_device(self, trunk: SimulatedTrunk) -> SimulatedDevice:
        draw = self._random
        self._device += draw.randint(1, _LARGEST_ID_STEP)
        digits = trunk.phone[1:]
        return SimulatedDevice(
            id=self._device,
            enabled=trunk.state.active,
            line=f"mobsip_{digits}",
            sip_login=f"sip_{digits}_{''.join(draw.choices(_LETTERS, k=4))}",
            sip_password=f"Demo{''.join(draw.choices(_LETTERS, k=10))}",
        )


_SHORTEST_PACE: Final = 0.01
_LONGEST_PACE: Final = 1_000_000_000
_MOST_CHANGES_AT_ONCE: Final = 100  # after a long time without a look; earlier ones are skipped
_AGAINST_THE_TREND: Final = 0.25  # how often a change leads away from the share of broken trunks


class Enterprise:
    """A customer's company in the cabinet, safe to use from several threads.

    The population invents the trunks that :meth:`add` adds. ``pace`` is the seconds between two
    changes that happen by themselves, 0 for none; ``hold``, for how many seconds these leave a
    trunk alone after any change of it.
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
        self._pace = self._next_change = 0.0
        self.set_pace(pace)

    def set_pace(self, seconds: float) -> None:
        """Change a trunk every so many seconds from now on, which may be a ``ValueError``."""
        if seconds != 0 and not _SHORTEST_PACE <= seconds <= _LONGEST_PACE:
            raise ValueError(f"a pace is 0, or {_SHORTEST_PACE} to {_LONGEST_PACE} seconds")
        with self._lock:
            self._live()
            self._pace = seconds
            self._next_change = self._clock() + seconds

    def trunks(self) -> tuple[SimulatedTrunk, ...]:
        """Return all trunks as of now, in the order of the list."""
        with self._lock:
            return tuple(self._live().values())

    def find(self, key: str) -> SimulatedTrunk:
        """Return a trunk as of now by its reference or phone; a ``LookupError`` if none has it."""
        with self._lock:
            trunks = self._live()
            by_phone = (trunk for trunk in trunks.values() if trunk.phone == key)
            found = trunks.get(key) or next(by_phone, None)
        if found is None:
            raise LookupError(f"no trunk {key}")
        return found

    def change(self, key: str, *, name: str | None = None, **flags: bool) -> SimulatedTrunk:
        """Change what is given of a trunk, and return it as it is then; errors as of :meth:`find`.

        ``sip_device_enabled`` is a ``ValueError`` where it has no device. Of the flags of its state
        ``off`` becomes the opposite of ``active`` unless it is given.
        """
        if "active" in flags:
            flags.setdefault("off", not flags["active"])
        enabled = flags.pop("sip_device_enabled", None)
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
            added = replace(trunk or self._population.make_one(), changed_at=self._clock())
            self._live()[added.ref] = added
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

    def _live(self) -> dict[str, SimulatedTrunk]:
        """Make the changes of life whose moment has come, and return the trunks."""
        now = self._clock()
        self._next_change = max(self._next_change, now - _MOST_CHANGES_AT_ONCE * self._pace)
        while self._pace and self._next_change <= now:
            self._change_one(self._next_change)
            self._next_change += self._pace
        return self._trunks

    def _change_one(self, moment: float) -> None:
        """Break a working trunk or mend a broken one, so that most work most of the time."""
        draw = self._random
        trunks = self._trunks.values()
        broken = sum(trunk.state != WORKING for trunk in trunks)
        breaks = broken < _BROKEN_SHARE * len(trunks)
        if draw.random() < _AGAINST_THE_TREND:
            breaks = not breaks
        candidates = [
            trunk
            for trunk in trunks
            if (trunk.state == WORKING) is breaks and trunk.changed_at + self._hold <= moment
        ]
        if not candidates:
            return
        states = _BROKEN if breaks else ((WORKING, 1.0, 0),)
        ((state, *_),) = draw.choices(states, [share for _, share, _ in states])
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

    A single one is named ``demo``, several ``demo-1``, ``demo-2``, … See also :class:`Enterprise`.
    """
    draw = random.Random("accounts")  # noqa: S311 - the passwords of a demo
    accounts: list[Account] = []
    for index in range(count):
        population = Population(account=index)
        enterprise = Enterprise(
            2_613_189_773 + index * 1_009,
            population.make(trunks),
            population=population,
            pace=pace,
            hold=hold,
            clock=clock,
        )
        name = "demo" if count == 1 else f"demo-{index + 1}"
        password = "".join(draw.choices(_LETTERS, k=12))
        accounts.append(Account(name, f"+7-{9_160_000_001 + index}", password, enterprise))
    return accounts
