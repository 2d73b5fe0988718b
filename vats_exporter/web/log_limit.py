"""How often the log repeats itself about one client, however often the client gives cause to."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE: Final = 60.0
_MOST: Final = 100
"""Clients that the log names in a minute; more of them say nothing new."""


class LogLimit:
    """Allows one line for each client and minute. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}

    def allows(self, client: str) -> bool:
        """Tell whether a line about a client may be logged now; if so, it counts as logged."""
        with self._lock:
            now = self._clock()
            self._logged = {one: at for one, at in self._logged.items() if now - at < _PAUSE}
            if client in self._logged or len(self._logged) >= _MOST:
                return False
            self._logged[client] = now
            return True
