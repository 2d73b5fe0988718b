"""Logins into a simulated cabinet with their enterprises and sessions, and what is counted."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.demo.enterprise import STILL, Enterprise, Life
from vats_exporter.demo.population import Population

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        """End the sessions of an account, or of all, and return how many there were."""
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


class Stats:
    """Counts since the cabinet was made, safe to use from several threads.

    Requests of those who have no session count under no account.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._requests_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._sign_ins: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._connections = 0
        self._now: Counter[str | None] = Counter()
        self._highest: Counter[str | None] = Counter()

    @contextmanager
    def request(self, call: str, account: str) -> Iterator[int]:
        """Count a request while it is answered, and yield which one of its call it is, from 1."""
        keys = (None, account) if account else (None,)
        with self._lock:
            self._requests[call] += 1
            number = self._requests[call]
            if account:
                self._requests_of[account][call] += 1
            for key in keys:
                self._now[key] += 1
                self._highest[key] = max(self._highest[key], self._now[key])
        try:
            yield number
        finally:
            with self._lock:
                self._now.subtract(keys)

    def connection(self) -> None:
        """Count a connection, whatever it is for."""
        with self._lock:
            self._connections += 1

    def sign_in(self, account: str, *, is_refused: bool) -> None:
        """Count a sign-in that was answered; the account is empty where the login is no one's."""
        with self._lock:
            (self._refused if is_refused else self._sign_ins)[account] += 1

    def as_json(self) -> dict[str, Any]:
        """Return all counts, as ``/_demo/stats`` shows them."""
        with self._lock:
            accounts = sorted({*self._requests_of, *self._sign_ins, *self._refused} - {""})
            return {
                "requests": dict(self._requests),
                "connections": self._connections,
                "sign_ins": self._sign_ins.total(),
                "refused_sign_ins": self._refused.total(),
                "highest_concurrency": self._highest[None],
                "accounts": {
                    name: {
                        "requests": dict(self._requests_of[name]),
                        "sign_ins": self._sign_ins[name],
                        "refused_sign_ins": self._refused[name],
                        "highest_concurrency": self._highest[name],
                    }
                    for name in accounts
                },
            }
