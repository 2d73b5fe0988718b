"""How often the same thing is told of the same client. Knows no log and no socket."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE: Final = 60.0
"""Seconds for which a client that was told of is not told of again."""

_MOST: Final = 100
"""Clients that are told of within that time; of more at once nothing new is learnt."""


class Throttle:
    """Lets the first of many through. Safe to use from many threads.

    Args:
        clock: seconds that only go forward, since anything.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def lets_through(self, client: str) -> bool:
        """Tell whether nothing was told of a client for a while, and now something is."""
        with self._lock:
            now = self._clock()
            if now - self._told.get(client, -_PAUSE) < _PAUSE:
                return False
            if len(self._told) >= _MOST:
                self._told = {one: at for one, at in self._told.items() if now - at < _PAUSE}
                if len(self._told) >= _MOST:
                    return False
            self._told[client] = now
            return True
