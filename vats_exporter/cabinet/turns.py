"""A lock with two kinds of waiting: for one's turn, and for a moment that nobody else wants.

A cabinet has one connection, and two that want it: the listing, which a scrape waits for, and the
details, of which hundreds may be due. With a plain lock, who has just given it back takes it again
before anybody who waits has woken up, so that a listing may wait for any number of details. Here
details wait until nobody is before them, and a listing for the one call under way at most.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition, get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turns:
    """A lock. Its holder may take it again, and gives it back as often."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._holder: int | None = None
        self._depth = 0
        self._before_last = 0

    def acquire(self, timeout: float | None = None) -> bool:
        """Take it, before all who want it last.

        Args:
            timeout: seconds to wait for it at most; ``None`` waits for as long as it takes.

        Returns:
            whether it was taken.
        """
        with self._changed:
            if self._holder != get_ident():
                self._before_last += 1
                try:
                    if not self._changed.wait_for(lambda: self._holder is None, timeout):
                        return False
                finally:
                    self._before_last -= 1
                self._holder = get_ident()
            self._depth += 1
            return True

    def release(self) -> None:
        """Give it back."""
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._holder = None
                self._changed.notify_all()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    @contextmanager
    def last(self) -> Iterator[None]:
        """Hold it once nobody else wants it; not for who holds it already."""
        with self._changed:
            self._changed.wait_for(lambda: self._holder is None and not self._before_last)
            self._holder = get_ident()
            self._depth = 1
        try:
            yield
        finally:
            self.release()
