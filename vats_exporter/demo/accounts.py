"""Logins into a simulated cabinet, each with an enterprise of its own."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vats_exporter.demo.enterprise import STILL, Enterprise, Life
from vats_exporter.demo.population import Population

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_ENTERPRISE: Final = 2_613_189_773
_BETWEEN_ENTERPRISES: Final = 1_009
_FIRST_LOGIN: Final = 9_160_000_001
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(slots=True)
class Account:
    """One login into the cabinet.

    Attributes:
        name: what the truth and the counts call it; to be the exporter's name for it, too.
        login: looks like ``+7-9161234567``.
        password: any text; can change.
        enterprise: what the login sees.
    """

    name: str
    login: str
    password: str = field(repr=False)
    enterprise: Enterprise


def make_accounts(
    count: int = 1,
    *,
    trunks: int = 25,
    life: Life = STILL,
    seed: int = 0,
    clock: Callable[[], float] = time.time,
) -> list[Account]:
    """Invent accounts: the same ones for the same seed.

    Args:
        count: how many; a single one is named ``demo``, several ``demo-1``, ``demo-2``, …
        trunks: of each.
        life: how the trunks change by themselves.
        seed: of everything invented.
        clock: seconds since the epoch.

    Raises:
        ValueError: a count is negative or too large.
    """
    if count < 0:
        raise ValueError(f"there can't be {count} accounts")
    draw = random.Random(f"accounts {seed}")  # noqa: S311 - the passwords of a demo
    accounts: list[Account] = []
    for index in range(count):
        population = Population(seed=seed, account=index)
        enterprise = Enterprise(
            _FIRST_ENTERPRISE + index * _BETWEEN_ENTERPRISES,
            population.make(trunks, at=clock()),
            population=population,
            life=life,
            clock=clock,
        )
        digits = str(_FIRST_LOGIN + index)
        accounts.append(
            Account(
                name="demo" if count == 1 else f"demo-{index + 1}",
                login=f"+7-{digits}",
                password="".join(draw.choices(_LETTERS, k=12)),
                enterprise=enterprise,
            )
        )
    return accounts
