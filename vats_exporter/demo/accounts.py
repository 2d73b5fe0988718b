"""Logins into a simulated cabinet with their enterprises and sessions, and what is counted."""

from __future__ import annotations

import math
import random
import secrets
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.demo.enterprise import Enterprise
from vats_exporter.demo.population import LETTERS, Population

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST_ENTERPRISE: Final = 2_613_189_773
_BETWEEN_ENTERPRISES: Final = 1_009
_FIRST_LOGIN: Final = 9_160_000_001


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
    seed: int = 0,
    clock: Callable[[], float] = time.time,
) -> list[Account]:
    """Invent accounts, each with so many trunks: the same ones for the same seed.

    A single one is named ``demo``, several ``demo-1``, ``demo-2``, … For ``pace`` and ``hold`` see
    :class:`Enterprise`.
    """
    draw = random.Random(f"accounts {seed}")  # noqa: S311 - the passwords of a demo
    accounts: list[Account] = []
    for index in range(count):
        population = Population(seed=seed, account=index)
        enterprise = Enterprise(
            _FIRST_ENTERPRISE + index * _BETWEEN_ENTERPRISES,
            population.make(trunks, at=clock()),
            population=population,
            pace=pace,
            hold=hold,
            clock=clock,
        )
        name = "demo" if count == 1 else f"demo-{index + 1}"
        password = "".join(draw.choices(LETTERS, k=12))
        accounts.append(Account(name, f"+7-{_FIRST_LOGIN + index}", password, enterprise))
    return accounts


class Sessions:
    """Which cookie belongs to which account, and until when; safe to use from several threads.

    Attributes:
        lifetime: seconds from sign-in after which a session is over, used or not, if it is begun
            from now on.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lifetime = math.inf
        self._clock = clock
        # Each method takes one step at it, which no other thread can interrupt.
        self._sessions: dict[str, tuple[Account, float]] = {}

    def begin(self, account: Account) -> str:
        """Begin a session and return its cookie."""
        cookie = new_cookie()
        self._sessions[cookie] = account, self._clock() + self.lifetime
        return cookie

    def account(self, cookie: str | None) -> Account | None:
        """Return whose session a cookie is; ``None`` where it is no one's, or no more."""
        account, until = self._sessions.get(cookie or "", (None, 0.0))
        return account if until > self._clock() else None

    def drop(self, cookie: str | None) -> None:
        """End the session of a cookie, if it is one."""
        self._sessions.pop(cookie or "", None)

    def end(self, account: Account | None = None) -> int:
        """End the sessions of an account, or of all, and return how many there were."""
        sessions = list(self._sessions.items())
        ended = [cookie for cookie, (owner, _) in sessions if account in (None, owner)]
        for cookie in ended:
            self.drop(cookie)
        return len(ended)

    def __len__(self) -> int:
        """Count the sessions that are not over."""
        now = self._clock()
        return sum(until > now for _, until in list(self._sessions.values()))


def new_cookie() -> str:
    """Make a cookie's value, in the style of Java's servers."""
    return secrets.token_hex(16).upper()


@dataclass(slots=True)
class _Counts:
    """Of one account, or of all; ``concurrency`` is how many requests are being answered."""

    requests: dict[str, int] = field(default_factory=dict)
    sign_ins: int = 0
    refused_sign_ins: int = 0
    concurrency: int = 0
    highest_concurrency: int = 0


class Stats:
    """Counts since the cabinet was made, safe to use from several threads.

    Requests of those who have no session count under no account.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections = 0
        self._all = _Counts()
        self._accounts: defaultdict[str, _Counts] = defaultdict(_Counts)

    @contextmanager
    def request(self, call: str, account: str) -> Iterator[int]:
        """Count a request while it is answered, and yield which one of its call it is, from 1."""
        with self._lock:
            for counts in self._of(account):
                counts.requests[call] = counts.requests.get(call, 0) + 1
                counts.concurrency += 1
                counts.highest_concurrency = max(counts.highest_concurrency, counts.concurrency)
            number = self._all.requests[call]
        try:
            yield number
        finally:
            with self._lock:
                for counts in self._of(account):
                    counts.concurrency -= 1

    def connection(self) -> None:
        """Count a connection, whatever it is for."""
        with self._lock:
            self._connections += 1

    def sign_in(self, account: str, *, is_refused: bool) -> None:
        """Count a sign-in that was answered; the account is empty where the login is no one's."""
        with self._lock:
            for counts in self._of(account):
                counts.refused_sign_ins += is_refused
                counts.sign_ins += not is_refused

    def as_json(self) -> dict[str, Any]:
        """Return all counts, as ``/_demo/stats`` shows them."""
        with self._lock:
            accounts = {name: asdict(counts) for name, counts in sorted(self._accounts.items())}
            return {"connections": self._connections, **asdict(self._all), "accounts": accounts}

    def _of(self, account: str) -> list[_Counts]:
        return [self._all, self._accounts[account]] if account else [self._all]
