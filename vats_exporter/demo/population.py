"""A simulated enterprise's trunks, and where they come from: the same ones for the same seed.

Trunks are immutable, so that an answer written from them is never half changed. Names, numbers and
passwords are made up of lists and of a seeded generator; phones are taken in order from a block
that belongs to one account, so that they are unique within a cabinet.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from vats_exporter.gwt import encode_long


class State(NamedTuple):
    """The four of a row's twelve values that vary.

    That just these vary is [observed], which of them is which is [assumed].

    Attributes:
        active: value 4.
        bound: value 6.
        marked: value 7, for deletion.
        off: value 9, whose meaning is not known; set where the trunk is switched off.
    """

    active: bool
    bound: bool
    marked: bool
    off: bool

    @property
    def pattern(self) -> str:
        """The digits as they stand in a row, ``1100`` for a working trunk."""
        return "".join(str(int(value)) for value in self)


WORKING: Final = State(active=True, bound=True, marked=False, off=False)
"""Activated, not marked, bound: the first of the known rows. [user]"""

SWITCHED_OFF: Final = State(active=False, bound=False, marked=True, off=True)
"""Switched off and marked for deletion: the second of the known rows. [user]"""

UNBOUND: Final = State(active=True, bound=False, marked=False, off=False)
SUSPENDED: Final = State(active=False, bound=True, marked=False, off=True)
LEAVING: Final = State(active=True, bound=True, marked=True, off=False)
"""Besides the two above, states whose patterns are unknown. [assumed]"""


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
    """One row of the tab "Абоненты", and what its details form holds.

    Attributes:
        phone: eleven digits, unique within a cabinet.
        migration: ordinal of the row's ``MIGRATION_STATE_TYPE``.
        created: milliseconds since the epoch.
        balance: the last number of the row, of unknown meaning.
        mobile: a plain mobile subscriber: form 32 shows it, form 31 does not apply.
        changed_at: when its state or its selector last changed, in seconds since the epoch.
    """

    id: int
    phone: str
    name: str
    department: str
    inner_number: str
    state: State = WORKING
    note: str | None = None
    migration: int = 0
    created: int = 0
    balance: int = 0
    device: SimulatedDevice | None = None
    mobile: bool = False
    changed_at: float = 0.0

    @property
    def ref(self) -> str:
        """The reference, ``CaLztv``."""
        return encode_long(self.id)


_LARGEST_STEP: Final = 30
_BLOCK: Final = 4_000_000
"""Phones of an account: enough for 100,000 trunks. Its ids have three times as many."""

_LARGEST_ID_STEP: Final = 3 * _LARGEST_STEP
_FIRST_PHONE: Final = 79_161_000_000
_FIRST_TRUNK: Final = 2_586_700_000
_FIRST_DEVICE: Final = 2_700_000_000
_FIRST_CREATED: Final = 1_420_070_400_000  # 2015, in milliseconds
_CREATED_WITHIN: Final = 9 * 365 * 86_400_000

ABNORMAL_SHARES: Final = {SWITCHED_OFF: 0.05, UNBOUND: 0.025, SUSPENDED: 0.015, LEAVING: 0.01}
"""Share of the trunks in each state; the other nine tenths are working."""

_AT_LEAST_ONE_OF: Final = {SWITCHED_OFF: 5, UNBOUND: 10}
"""States that a list of so many trunks shows even where their share makes less than one."""

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
LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class Population:
    """Makes the trunks of one account, one after the other.

    Args:
        seed: the same seed makes the same trunks.
        account: the account's number from 0, which chooses its block of phones and ids.
    """

    def __init__(self, *, seed: int = 0, account: int = 0) -> None:
        self._random = random.Random(f"{seed}/{account}")  # noqa: S311 - invents data, no secrets
        self._phone = _FIRST_PHONE + account * _BLOCK
        self._trunk = _FIRST_TRUNK + account * 3 * _BLOCK
        self._device = _FIRST_DEVICE + account * 3 * _BLOCK
        self._made = 0

    def make(self, count: int) -> list[SimulatedTrunk]:
        """Make a list of trunks with realistic shares of states."""
        states: list[State] = []
        for state, share in ABNORMAL_SHARES.items():
            at_least = int(count >= _AT_LEAST_ONE_OF.get(state, count + 1))
            states += [state] * max(at_least, round(count * share))
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
            sip_login=f"sip_{digits}_{''.join(draw.choices(LETTERS, k=4))}",
            sip_password=f"Demo{''.join(draw.choices(LETTERS, k=10))}",
        )
