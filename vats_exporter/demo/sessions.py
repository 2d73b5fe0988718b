"""Sessions of the simulated cabinet: which cookie belongs to which account, and until when."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.demo.accounts import Account


class Sessions:
    """All sessions, safe to use from several threads.

    Args:
        clock: seconds since the epoch.

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
        """End sessions.

        Args:
            account: whose; ``None`` for everybody's.

        Returns:
            How many there were.
        """
        with self._lock:
            ended = [
                cookie
                for cookie, (owner, _) in self._sessions.items()
                if account is None or owner is account
            ]
            for cookie in ended:
                del self._sessions[cookie]
        return len(ended)

    def __len__(self) -> int:
        """Count the sessions that are not over."""
        now = self._clock()
        with self._lock:
            return sum(until > now for _, until in self._sessions.values())


def new_cookie() -> str:
    """Make a cookie's value, in the style of Java's servers."""
    return secrets.token_hex(16).upper()
