"""The machine's clocks, as a class, so that tests can replace them."""

from __future__ import annotations

import time


class Clock:
    """A wall clock, and one that only goes forward; both in seconds."""

    def now(self) -> float:
        """Return the time since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return a time that also passes while the machine is suspended.

        What was read before a night's sleep must not be fresh after it.
        """
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
