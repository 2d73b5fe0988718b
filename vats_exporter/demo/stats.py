"""What the simulated cabinet counts: requests by call, sign-ins, how many at once."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


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
