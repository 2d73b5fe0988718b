"""Logins into a simulated cabinet, each with an enterprise of its own, and their sessions."""

from __future__ import annotations

import random
import secrets
import threading
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
    """One login into the cabinet; ``name`` is what the truth and the exporter call it."""

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

    A single one is named ``demo``, several ``demo-1``, ``demo-2``, … Each has so many trunks, which
    change as ``life`` says.

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


class Sessions:
    """Which cookie belongs to which account, and until when; safe to use from several threads.

    Attributes:
        lifetime: seconds from sign-in after which a session is over, used or not; ``None`` for
            sessions that last. Holds for sessions that are begun later.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lifetime: float | None = None
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Account, float]] = {}

    def begin(self, account: Account) -> str:
        """Begin a session and return its cookie."""
        cookie = new_cookie()
        lifetime = float("inf") if self.lifetime is None else self.lifetime
        with self._lock:
            self._sessions[cookie] = account, self._clock() + lifetime
        return cookie

    def account(self, cookie: str | None) -> Account | None:
        """Return whose session a cookie is; ``None`` where it is no one's, or no more."""
        with self._lock:
            account, until = self._sessions.get(cookie or "", (None, 0.0))
            if account is not None and until <= self._clock():
                del self._sessions[cookie or ""]
                account = None
        return account

    def drop(self, cookie: str | None) -> None:
        """End the session of a cookie, if it is one."""
        with self._lock:
            self._sessions.pop(cookie or "", None)

    def end(self, account: Account | None = None) -> int:
        """End an account's sessions, or everybody's, and return how many there were."""
        with self._lock:
            before = len(self._sessions)
            self._sessions = {
                cookie: session
                for cookie, session in self._sessions.items()
                if account not in (None, session[0])
            }
            return before - len(self._sessions)

    def __len__(self) -> int:
        """Count the sessions that are not over."""
        now = self._clock()
        with self._lock:
            return sum(until > now for _, until in self._sessions.values())


def new_cookie() -> str:
    """Make a cookie's value, in the style of Java's servers."""
    return secrets.token_hex(16).upper()
