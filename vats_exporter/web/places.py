"""Places for those who wait for a refresh, of which there are fewer than connections.

A request that waits for a cabinet cannot be ended to make room for another, as an idle connection
can. Without a bound, as many as there may be connections would wait for one cabinet that hangs, and
nobody could ask for anything, not even whether the exporter is healthy.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Places:
    """Where requests wait. Safe to use from many threads.

    Args:
        count: how many may wait at the same time.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)

    @contextmanager
    def wait(self, seconds: float) -> Iterator[float]:
        """Take a place while waiting, if there is one.

        Args:
            seconds: to wait at most.

        Yields:
            the same; 0 where all places are taken.
        """
        if not self._free.acquire(blocking=False):
            yield 0.0
            return
        try:
            yield seconds
        finally:
            self._free.release()
